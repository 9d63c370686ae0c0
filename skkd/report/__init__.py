"""Was it worth it? Students measured against teachers and against themselves."""

from skkd.report._gain import gain
from skkd.report._gain_result import Gain
from skkd.report._machine import describe_machine
from skkd.report._scoring import Fit

__all__ = ["Fit", "Gain", "describe_machine", "gain"]
