"""Where the soft targets of a fit come from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skkd._batches import len_of
from skkd._memory import remembered_logits
from skkd._validation import check_logits, check_steady
from skkd.teachers import Teacher, as_teacher
from skkd.teachers._fitting import (
    check_fittable,
    fit_on_all,
    fit_out_of_fold,
    sliceable,
)


class Lesson(NamedTuple):
    """What a teacher has to say about the rows of a fit."""

    teacher: Any  # what is shown as `teacher_`
    logits: np.ndarray | None  # (n, n_classes), float32; None where it is asked live
    live: Teacher | None  # asked about every batch


def check_teacher(
    teacher: Any, teacher_cv: Any, classes: np.ndarray, *, given: bool, labelled: Any
) -> Teacher | None:
    """Raise, before anything is trained, where the teacher cannot teach.

    Parameters
    ----------
    teacher, teacher_cv
        The estimator's parameters.
    classes : ndarray of shape (n_classes,)
    given : bool
        Whether logits were passed in place of the teacher's.
    labelled : ndarray of bool, shape (n,)

    Returns
    -------
    Teacher or None
        The fitted teacher; None where there is none, or clones are to be fitted.
    """
    if teacher is None or given:
        if teacher is None and not given and not labelled.all():
            raise ValueError(
                f"{int((~labelled).sum())} rows are marked as unlabelled, and only a "
                "teacher can teach these: pass teacher=, or leave them out."
            )
        return None
    if not isinstance(teacher_cv, str):
        check_fittable(teacher, teacher_cv)
        return None
    adapter = as_teacher(teacher)
    adapter.check(classes)
    return adapter


def hold_lesson(
    adapter: Teacher | None,
    estimator: Any,
    X: Any,
    rows: Any,
    sample_weight: np.ndarray | None = None,
) -> Lesson:
    """Ask the teacher about every row, once.

    Parameters
    ----------
    adapter : Teacher or None
        What :func:`check_teacher` returned.
    estimator : DistilledClassifier
        Its ``teacher``, ``teacher_cv``, ``memory``, ``augment`` and ``classes_``.
    X : array-like of n rows
        As the teacher wants them.
    rows : TrainingSet
    sample_weight : ndarray of shape (n,), default=None
        For the fitting of clones.

    Returns
    -------
    Lesson
    """
    classes, n = estimator.classes_, len(rows)
    if len_of(X) != n:
        raise ValueError(f"teacher_X has {len_of(X)} rows, expected {n}, those of X.")
    check_steady(X)
    teacher, memory = estimator.teacher, estimator.memory
    if adapter is None:
        X, memory = sliceable(X), None  # clones are others at every fit
        data = (X, rows.y, rows.codes >= 0, sample_weight)
        cv = estimator.teacher_cv
        if cv is not None:
            members, logits = fit_out_of_fold(teacher, cv, *data, classes=classes)
            return Lesson(members, check_logits(logits, n, classes), None)
        teacher = fit_on_all(teacher, *data)
        adapter = as_teacher(teacher)
        adapter.check(classes)
    if estimator.augment is not None:
        return Lesson(teacher, None, adapter)
    logits = remembered_logits(memory, adapter, X, classes)
    return Lesson(teacher, check_logits(logits, n, classes), None)
