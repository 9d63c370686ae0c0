"""Whether a teacher has anything to teach, before a student is trained on it."""

from skkd.teachers.health._check import check_health
from skkd.teachers.health._findings import Finding

__all__ = ["Finding", "check_health"]
