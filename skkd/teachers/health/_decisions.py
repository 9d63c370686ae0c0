"""Whether a teacher decides as its soft targets say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import softmax

from skkd.teachers._base import Teacher
from skkd.teachers._feature_names import in_order
from skkd.teachers._sklearn import THRESHOLDS, call, innermost
from skkd.teachers.health._finding import Finding, name_of

# Rows of which the decisions are asked, and the share that may differ: the
# probabilities of an SVC, calibrated apart, differ in 1 to 2 % of the rows.
N_ROWS, _SHARE, _LEAST = 200, 0.03, 3


def compare_decisions(
    teacher: Teacher, X: Any, logits: np.ndarray, classes: np.ndarray
) -> Iterator[Finding]:
    """Compare ``predict(X)`` with the largest of the logits of these rows.

    `X` are rows as the teacher takes them, `logits` (n, n_classes) their soft targets.
    """
    if hasattr(X, "columns"):
        X = in_order(X, teacher.model)
    try:
        decided = call(teacher.model.predict, X).reshape(len(logits), -1)[:, 0]
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return  # it gives soft targets alone
    column = {label: i for i, label in enumerate(classes.tolist())}
    decisions = np.array([column.get(label, -1) for label in decided.tolist()])
    known = decisions >= 0
    other = known & (decisions != logits.argmax(axis=1))
    n = int(other.sum())
    least = 1 if has_threshold(teacher) else max(_LEAST, _SHARE * len(logits))
    if n < least:
        return
    text = (
        f"{name_of(teacher)} decides otherwise than its probabilities say in {n} of "
        f"{len(logits)} rows. A student learns the probabilities, and decides for the "
        "largest. "
    )
    if len(classes) == 2:
        t = threshold_between(softmax(logits, axis=1)[known, 1], decisions[known])
        positive = classes.tolist()[1]
        text += (
            "To decide as the teacher does, set the student's threshold: "
            f"FixedThresholdClassifier(DistilledClassifier(...), threshold={t:.4g}, "
            f"pos_label={positive!r}, response_method='predict_proba')."
        )
    else:
        text += (
            "If its decisions are what is meant, say so: as_teacher(lambda X: "
            "np.eye(n_classes)[np.searchsorted(model.classes_, model.predict(X))], "
            "output='proba', classes=model.classes_)."
        )
    yield Finding("other-decisions", text)


def has_threshold(teacher: Teacher) -> bool:
    """Tell whether scikit-learn's classifiers with a threshold decide."""
    return type(innermost(teacher.model)).__name__ in THRESHOLDS


def threshold_between(p: np.ndarray, decisions: np.ndarray) -> float:
    """Return the probability from which on most decisions are for the second class."""
    order = np.argsort(p)
    p, positive = p[order], decisions[order] == 1
    # Errors if all rows from i on are called positive.
    errors = np.concatenate([[0], np.cumsum(positive)])
    errors = errors + np.concatenate([np.cumsum(~positive[::-1])[::-1], [0]])
    best = int(errors.argmin())
    edges = np.concatenate([[0.0], p, [1.0]])
    return float((edges[best] + edges[best + 1]) / 2)
