"""Whether a model gives scores beside labels."""

from __future__ import annotations

from skkd.teachers import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._sklearn import SklearnTeacher
from skkd.teachers._transform import TransformedTeacher


def gives_scores(teacher: Teacher) -> bool:
    """Tell whether the logits of a teacher, or of one of several, are mere scores."""
    if isinstance(teacher, TransformedTeacher):
        return gives_scores(teacher.teacher)
    if isinstance(teacher, EnsembleTeacher):
        return any(gives_scores(teacher.model[i]) for i in teacher.weights.nonzero()[0])
    is_auto = isinstance(teacher, SklearnTeacher) and teacher.output == "auto"
    return is_auto and teacher._method() == "decision_function"  # type: ignore[attr-defined]
