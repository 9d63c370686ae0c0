"""Whether the teacher of a search had seen the rows that its students are scored on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skkd._data.labels import check_labels
from skkd._fit.seen_rows import (
    UNKNOWN,
    is_prefit,
    look_for_seen_rows,
    predict_with_teacher,
    report_seen_rows,
)


def right_of(student: Any, X: Any, y: np.ndarray) -> np.ndarray:
    """Return whether teacher and student are right on each row, bool of (2, n)."""
    classes = student.classes_
    logits = predict_with_teacher(student, student.teacher_, classes, X)[0]
    return np.stack([classes[logits.argmax(axis=1)] == y, student.predict(X) == y])


def caveat_of(
    fitted: Sequence[Any], held_out: Iterable[Any], X: Any, y: Any, fit_params: Any
) -> str | None:
    """Return what limits the scores of a search, and warn if it is sure.

    Parameters
    ----------
    fitted : sequence of estimators
        The best candidate's, one for each fold.
    held_out : iterable of ndarray of int
        The rows that each was scored on.
    X, y : array-like of n samples
    fit_params : mapping
        Of the search; with rows or logits of the teacher's own nothing is looked at.

    Returns
    -------
    str or None
        None if no teacher was fitted before.
    """
    net = fitted[0].steps[-1][1] if isinstance(fitted[0], Pipeline) else fitted[0]
    if not is_prefit(net) or net.alpha == 0:
        return None
    if any(name.rpartition("__")[2].startswith("teacher_") for name in fit_params):
        return UNKNOWN
    y, labelled = check_labels(X, y, net.unlabeled)
    right = []
    for estimator, rows in zip(fitted, held_out, strict=True):
        rows = np.arange(len(y))[rows]
        rows = rows[labelled[rows]]
        inputs, student = _safe_indexing(X, rows), estimator
        if isinstance(estimator, Pipeline):
            inputs, student = estimator[:-1].transform(inputs), estimator.steps[-1][1]
        right.append(right_of(student, inputs, y[rows]))
    findings = report_seen_rows(look_for_seen_rows(*np.concatenate(right, axis=1)))
    return str(findings[0]) if findings else UNKNOWN
