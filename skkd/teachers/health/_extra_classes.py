"""Whether classes that only the teacher knows are missing from y by chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._transform import TransformedTeacher
from skkd.teachers.health._evidence import find_permutation
from skkd.teachers.health._finding import Finding, name_of

# A fold that lacks a class has none of its rows, so that a teacher decides for it only
# by mistake. All mistakes may go there, as they do between three classes of which the
# middle one is lacking: a good teacher of wine gives it 8 % of the rows. A poor one of
# three classes, right in half of the rows, gives a quarter to the one that is lacking.
_SHARE, _SMALL_SHARE, _TIMES = 0.3, 0.15, 2
# On fewer rows these are figures of luck, unless it is most of them.
_MIN_ROWS, _MOST = 30, 0.5


def examine_extra_classes(
    teacher: Teacher, X: Any, y_encoded: np.ndarray, classes: np.ndarray
) -> Iterator[Finding]:
    """Ask a teacher, whose outputs will do without some classes, for all of them."""
    for one in _with_extra_classes(teacher, classes):
        known: Any = _inner(one).classes_
        decisions = one.logits(X, known).argmax(axis=1)
        yield from compare_extra_classes(
            name_of(_inner(one)), decisions, y_encoded, known.tolist(), classes.tolist()
        )


def examine_extra_columns(
    frame: Any, y_encoded: np.ndarray, classes: np.ndarray
) -> Iterator[Finding]:
    """Look at a frame of logits by label, of which some columns will be left out."""
    known, wanted = [*frame.columns], classes.tolist()
    if set(known) > set(wanted):
        decisions = np.asarray(frame).argmax(axis=1)
        who = name_of(None)
        yield from compare_extra_classes(who, decisions, y_encoded, known, wanted)


def compare_extra_classes(
    who: str,
    decisions: np.ndarray,
    y_encoded: np.ndarray,
    known: list[Any],
    classes: list[Any],
) -> Iterator[Finding]:
    """Compare decisions between the `known` classes with labels, of few of these."""
    column = {label: i for i, label in enumerate(known)}
    columns = np.array([column[label] for label in classes])
    is_extra = ~np.isin(decisions, columns)
    share, labelled = float(is_extra.mean()), y_encoded >= 0
    y, given = columns[y_encoded[labelled]], decisions[labelled]
    suspicious = share > _MOST
    if len(decisions) >= _MIN_ROWS and len(y):
        others = ~is_extra[labelled]
        wrong = float((given != y)[others].mean()) if others.any() else 1.0
        suspicious = share > min(_SHARE, max(_SMALL_SHARE, _TIMES * wrong))
        suspicious = suspicious or find_permutation(given, y, len(known)) is not None
    if not suspicious:
        return
    extra = [label for label in known if label not in set(classes)]
    right = float((given == y).mean()) if len(y) else float("nan")
    yield Finding(
        "extra-classes",
        f"{who} knows {len(extra)} classes that y lacks, such as {extra[:5]}, and "
        f"decides for these in {share:.0%} of {len(decisions)} rows; {right:.0%} of "
        "its decisions agree with y. It seems to have learnt something else than y. If "
        "its columns stand for other labels, name them, as_teacher(model, "
        "classes=[...]); if y lacks these classes here, declare all of them, "
        "DistilledClassifier(classes=[...]); if the other columns are what you want, "
        "as_teacher(model, extra_classes='drop').",
    )


def _with_extra_classes(teacher: Teacher, classes: np.ndarray) -> Iterator[Teacher]:
    """Yield what knows more than `classes`: the teacher, or members of a list."""
    inner = _inner(teacher)
    if isinstance(inner, EnsembleTeacher):
        for member in inner.model:
            if inner is not teacher:
                member = TransformedTeacher(member, teacher.transform)  # type: ignore[attr-defined]
            yield from _with_extra_classes(member, classes)
    elif inner.has_extra_classes(classes) and inner.extra_classes == "auto":
        yield teacher


def _inner(teacher: Any) -> Any:
    return teacher.teacher if isinstance(teacher, TransformedTeacher) else teacher
