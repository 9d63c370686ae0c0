"""Teachers: anything fitted that classifies, read for its logits and left unchanged."""

from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._base import Teacher
from skkd.teachers.health import Finding, check_health

__all__ = ["Finding", "Teacher", "as_teacher", "check_health"]
