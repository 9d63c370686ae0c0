"""A finding about a teacher, and its first words."""

from __future__ import annotations

from typing import NamedTuple

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher


class Finding(NamedTuple):
    """Something about a teacher that is probably not meant.

    Attributes
    ----------
    code : str
        Names the kind of finding and never changes, for instance ``"chance-level"``.
    message : str
        What was seen, what was expected, and what to do.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


def name_of(teacher: Teacher | None) -> str:
    """Name the teacher at the beginning of a message."""
    if teacher is None:
        return "What was passed as teacher_logits"
    if isinstance(teacher, EnsembleTeacher):
        some = ", ".join(member.described for member in teacher.model[:3])
        return f"The teacher of {len(teacher.model)} members, such as [{some}],"
    return f"The teacher {teacher.described}"
