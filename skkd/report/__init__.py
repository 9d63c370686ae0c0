"""Whether it was worth it: models compared on the same rows, with intervals."""

from skkd.report._compare import compare
from skkd.report._comparison import Comparison

__all__ = ["Comparison", "compare"]
