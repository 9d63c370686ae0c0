"""Whether a teacher knows the rows of a table by heart, and teaches only labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from skkd.tables import TablePreprocessor
from skkd.teachers._base import Teacher
from skkd.teachers.health._finding import Finding, name_of

# If a forest tells fewer of the rows that its trees did not see, the rows alone do not
# tell the labels, and nobody can be right on nearly all of new ones.
_TOLD_BY_FOREST, _N_TREES = 0.9, 50


def examine_memory(teacher: Teacher, X: Any, y_encoded: np.ndarray) -> list[Finding]:
    """Look whether a teacher knows labels that the rows alone do not tell.

    It is one for which :func:`is_sure_and_right` of its rows `X`. Rows that are no
    table give no finding: of images the nearest tell little.
    """
    if len(getattr(X, "shape", ())) != 2 or hasattr(X, "tocsr"):
        return []
    try:
        told = _told_by_forest(X, y_encoded)
    except (ValueError, TypeError):  # columns that only the teacher can read
        return []
    share, n = told.mean(), len(told)
    if share + 2.33 * (share * (1 - share) / n) ** 0.5 >= _TOLD_BY_FOREST:
        return []
    text = (
        f"{name_of(teacher)} is right, and sure, on nearly all of {n} labelled rows, "
        f"and of rows like these a forest tells {share:.0%} that it did not see: it "
        "probably knows them by heart, and teaches little more than their labels. Take "
        "soft targets from clones that did not see them: teacher_cv=5. If it was "
        "fitted on other rows, all is well."
    )
    return [Finding("by-heart", text)]


def _told_by_forest(X: Any, y_encoded: np.ndarray) -> np.ndarray:
    """Return which labelled rows the trees of a forest tell that did not see them."""
    known = np.flatnonzero(y_encoded >= 0)
    numbers = TablePreprocessor(n_bins=0, min_frequency=1).fit_transform(X)[known]
    forest = RandomForestClassifier(_N_TREES, oob_score=True, random_state=0)
    forest.fit(numbers, y_encoded[known])
    decisions = forest.oob_decision_function_.argmax(axis=1)
    return forest.classes_[decisions] == y_encoded[known]
