"""Was it worth it? Students measured against teachers and against themselves."""

from skkd.report._compare import compare
from skkd.report._comparison import Answers, Comparison, Pair
from skkd.report._gain import gain
from skkd.report._gain_result import Gain
from skkd.report._instructive import Example
from skkd.report._machine import describe_machine
from skkd.report._scoring import Fit

__all__ = [
    "Answers",
    "Comparison",
    "Example",
    "Fit",
    "Gain",
    "Pair",
    "compare",
    "describe_machine",
    "gain",
]
