"""Was it worth it? Students measured against teachers and against themselves."""

from skkd._evaluate.machine import describe_machine
from skkd.report._compare._compare import compare
from skkd.report._compare._examples import Example
from skkd.report._compare._pairs import Answers, Pair
from skkd.report._compare._result import Comparison
from skkd.report._gain._gain import gain
from skkd.report._gain._result import Gain
from skkd.report._gain._scoring import Fit

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
