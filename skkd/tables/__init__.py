"""Tables: numbers for a student out of names, categories, dates and gaps."""

from skkd.tables._preprocessor import TablePreprocessor

__all__ = ["TablePreprocessor"]
