"""Look for mistakes in a teacher, before a student is trained on it."""

from skkd.teachers.health._check import check_health
from skkd.teachers.health._encoding import check_encoding
from skkd.teachers.health._finding import Finding

__all__ = ["Finding", "check_encoding", "check_health"]
