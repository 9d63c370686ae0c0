"""Two models on the same rows."""

from __future__ import annotations

from dataclasses import dataclass


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
        Interval of the difference, by a paired bootstrap of rows or groups.
    only_first, only_second : int
        How many rows only that model predicts correctly.
    p_value : float
        P-value of McNemar's exact test, two-sided.
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
