"""Compare fitted models, and measure what a teacher is worth to a student."""

from skkd._evaluate.machine import describe_machine
from skkd._evaluate.models import Predictions
from skkd.report._compare._compare import compare
from skkd.report._compare._examples import Example
from skkd.report._compare._pairs import Pair
from skkd.report._compare._result import Comparison
from skkd.report._gain._gain import gain
from skkd.report._gain._result import Gain
from skkd.report._gain._scoring import Fit

__all__ = [
    "Comparison",
    "Example",
    "Fit",
    "Gain",
    "Pair",
    "Predictions",
    "compare",
    "describe_machine",
    "gain",
]
