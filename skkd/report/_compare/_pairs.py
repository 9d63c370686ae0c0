"""Two models on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pair:
    """Two models on the same rows.

    Attributes
    ----------
    first, second : str
        Names of the models.
    difference : float
        Accuracy of the first minus that of the second.
    low, high : float
        Its interval, by a paired bootstrap of rows or groups.
    only_first, only_second : int
        How many rows only the one of them has right.
    p_value : float
        Of McNemar's exact test, two-sided.
    p_holm : float
        The same, corrected for the number of pairs by Holm's method.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Answers:
    """What a model predicted.

    Attributes
    ----------
    labels : ndarray of shape (n,)
    proba : ndarray of shape (n, n_classes) or None
        Columns in the order of ``Comparison.classes``; 0 for a class that the model
        does not know. None where it gives no probabilities.
    """

    labels: np.ndarray
    proba: np.ndarray | None
