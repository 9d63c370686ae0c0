"""Teachers' logits, computed once and cached by content."""

from skkd.memory._fingerprint import UnknowableError
from skkd.memory._logits import LogitMemory, TeacherPass, forget

__all__ = ["LogitMemory", "TeacherPass", "UnknowableError", "forget"]
