"""Tables: numbers for a student out of them, and more rows for its teacher."""

from skkd.tables._preprocessor import TablePreprocessor
from skkd.tables._synthetic import SyntheticRows

__all__ = ["SyntheticRows", "TablePreprocessor"]
