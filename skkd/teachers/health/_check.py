"""The check of a teacher on labelled samples, for users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skkd._data.labels import check_labels, encode_labels, labels_of
from skkd._data.rows import pick
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers.health._by_heart import examine_memory
from skkd.teachers.health._decisions import N_ROWS, compare_decisions
from skkd.teachers.health._extra_classes import examine_extra_classes
from skkd.teachers.health._finding import Finding
from skkd.teachers.health._findings import (
    examine,
    is_sure_and_right,
    report,
    sample_rows,
)


def check_health(
    teacher: Any,
    X: Any,
    y: Any,
    *,
    temperature: float = 1.0,
    classes: Any = None,
    n_samples: int = 1000,
    strict: bool = False,
    random_state: Any = 0,
) -> list[Finding]:
    """Look for mistakes in a teacher, on labelled samples.

    ``DistilledClassifier.fit`` does this by itself, on the outputs that it needs
    anyway. Each finding is a :class:`~skkd.TeacherWarning` that begins with its code:

    - ``chance-level``: the outputs do not depend on the labels;
    - ``random-head``: the last layer was never trained;
    - ``below-majority``: less accurate than always predicting the most frequent class;
    - ``one-sided``: it decides for a class, or a few, far too often, as happens if the
      rows are on another scale than its training data;
    - ``other-decisions``: it decides by a threshold, or otherwise than by the largest
      of its outputs, which is what a student learns;
    - ``permuted-classes``: the columns stand for other classes than expected;
    - ``probabilities-as-logits``: probabilities, declared as logits;
    - ``not-probabilities``: declared as probabilities, but they do not sum to 1;
    - ``non-finite``: infinite or NaN;
    - ``constant-output``: the same for every sample;
    - ``scores-as-logits``: scores, whose scale no labels tell (in a fit alone);
    - ``saturated``: the probabilities are hardly soft at this temperature;
    - ``by-heart``: it is right and sure on rows of a table whose labels cannot be told
      by the rows alone;
    - ``extra-classes``: it decides for classes that y lacks, not only by mistake;
    - ``train-mode``: a module with dropout or batch norm is in train mode.

    Parameters
    ----------
    teacher : object
        As in :class:`~skkd.DistilledClassifier`, fitted. The members of a list are
        checked, too.
    X : array-like of shape (n_samples, ...)
        Inputs of the teacher.
    y : array-like of shape (n_samples,)
        True labels. May be None if X is a torch Dataset that holds them.
    temperature : float, default=1.0
        That of the distillation.
    classes : array-like of shape (n_classes,), default=None
        The student's classes. None takes the teacher's, or the sorted labels of y.
    n_samples : int, default=1000
        How many samples the teacher predicts at most, drawn by class.
    strict : bool, default=False
        True raises an error instead of warning.
    random_state : int, RandomState or None, default=0
        Seed of the drawing.

    Returns
    -------
    list of Finding
        Empty for a healthy teacher.

    Raises
    ------
    ValueError
        If there is any finding and ``strict=True``, X has no samples, or the classes
        or the shape of the teacher's outputs do not fit.

    Notes
    -----
    Fewer than 30 labelled samples give no finding about labels. At chance level, the
    decisions and the ranking of samples by each column are not significantly better
    than chance, and significantly worse than those of a poor but useful teacher.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd.teachers import as_teacher, check_health
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> check_health(teacher, X, y)
    []
    >>> wrong = as_teacher(teacher, classes=[2, 0, 1])
    >>> check_health(wrong, X, y, strict=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: [permuted-classes] ... as_teacher(model, classes=[0, 1, 2]), ...
    """
    adapter = as_teacher(teacher)
    y, labelled = check_labels(X, labels_of(X, y))
    if not len(y):
        raise ValueError("X has no rows: expected some with known labels.")
    classes = _classes_of(adapter, y) if classes is None else np.asarray(classes)
    adapter.check(classes)
    y_encoded = encode_labels(y, labelled, classes)
    rows = sample_rows(y_encoded, n_samples, random_state)
    X = X if len(rows) == len(y_encoded) else pick(X, rows)
    findings = list(_examine_each(adapter, X, y_encoded[rows], classes, temperature))
    report(findings, strict=strict)
    return findings


def _examine_each(
    teacher: Teacher,
    X: Any,
    y_encoded: np.ndarray,
    classes: np.ndarray,
    temperature: float,
) -> Iterator[Finding]:
    if isinstance(teacher, EnsembleTeacher):
        for i, member in enumerate(teacher.model):
            for code, text in _examine_each(member, X, y_encoded, classes, temperature):
                yield Finding(code, f"Member {i} of the list: {text}")
    # Infinities are a finding, not a warning of NumPy's.
    with np.errstate(invalid="ignore", over="ignore"):
        logits = teacher.logits(X, classes)
    found = examine(
        logits, y_encoded, teacher=teacher, temperature=temperature, classes=classes
    )
    if is_sure_and_right(logits, y_encoded) and not isinstance(
        teacher, EnsembleTeacher
    ):
        found += examine_memory(teacher, X, y_encoded)
    if teacher.has_extra_classes(classes) and not isinstance(teacher, EnsembleTeacher):
        yield from examine_extra_classes(teacher, X, y_encoded, classes)
    if teacher.may_decide_otherwise:
        few = sample_rows(y_encoded, N_ROWS)
        found += compare_decisions(teacher, pick(X, few), logits[few], classes)
    # The mode of members was checked above.
    whole = isinstance(teacher, EnsembleTeacher)
    yield from (f for f in found if not (whole and f.code == "train-mode"))


def _classes_of(teacher: Teacher, y: np.ndarray) -> np.ndarray:
    known, seen = teacher.classes_, np.unique(y)
    if known is None or teacher.extra_classes == "drop":
        return seen
    return known if set(seen.tolist()) <= set(known.tolist()) else seen
