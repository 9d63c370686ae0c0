"""Whether a teacher knows the rows of a table by heart, and teaches only labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skkd.tables import TablePreprocessor
from skkd.teachers._base import Teacher
from skkd.teachers.health._finding import Finding, name_of

# Where the neighbours of a row tell its label in fewer cases than this, its labels are
# not told by the row alone: the best that can be known of a new row is less than all.
_TOLD_BY_NEIGHBOURS, _N_NEIGHBOURS = 0.9, 10


def examine_memory(teacher: Teacher, X: Any, y_encoded: np.ndarray) -> list[Finding]:
    """Look whether a teacher knows labels that the rows alone do not tell.

    It is one for which :func:`is_sure_and_right` of its rows `X`. Rows that are no
    table give no finding: of images the nearest tell little.
    """
    if len(getattr(X, "shape", ())) != 2 or hasattr(X, "tocsr"):
        return []
    try:
        told = _told_by_neighbours(X, y_encoded)
    except (ValueError, TypeError):  # columns that only the teacher can read
        return []
    share, n = told.mean(), len(told)
    if share + 2.33 * (share * (1 - share) / n) ** 0.5 >= _TOLD_BY_NEIGHBOURS:
        return []
    text = (
        f"{name_of(teacher)} is right, and sure, on nearly all of {n} labelled rows, "
        f"and their nearest neighbours tell the labels of {share:.0%}: it probably "
        "knows them by heart, and teaches little more than their labels. Take soft "
        "targets from clones that did not see them: teacher_cv=5. If it was fitted on "
        "other rows, all is well."
    )
    return [Finding("by-heart", text)]


def _told_by_neighbours(X: Any, y_encoded: np.ndarray) -> np.ndarray:
    """Return, of labelled rows, whether most of the nearest others have their label."""
    known = np.flatnonzero(y_encoded >= 0)
    numbers = TablePreprocessor(n_bins=0, min_frequency=1).fit_transform(X)[known]
    y = y_encoded[known]
    near = NearestNeighbors(n_neighbors=_N_NEIGHBOURS).fit(numbers)
    labels = y[near.kneighbors(return_distance=False)]  # (n, n_neighbours)
    votes = (labels[:, :, None] == np.unique(y)).sum(axis=1)  # (n, n_classes)
    return np.unique(y)[votes.argmax(axis=1)] == y
