"""Uncertainty of the difference between two models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from skkd._utils.checks import check_number

_N_RESAMPLES = 9999


def check_confidence(confidence: Any) -> None:
    """Raise if `confidence` is not a number in (0, 1)."""
    check_number(
        "confidence",
        confidence,
        low=0,
        high=1,
        low_inclusive=False,
        high_inclusive=False,
        hint="0.95 is usual.",
    )


def totals_of(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the sum of the values and the number of rows of each group, (n_groups, 2).

    Without groups, each row is one.
    """
    if groups is None:
        return np.column_stack([values, np.ones(len(values))])
    _, numbers = np.unique(groups, return_inverse=True)
    return np.column_stack([np.bincount(numbers, values), np.bincount(numbers)])


def standard_error(values: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Return the standard error of the mean over rows that come in groups.

    For values 0 and 1 without groups, it is sqrt(p (1 - p) / n).
    """
    values = np.asarray(values, dtype=float)
    sums, sizes = totals_of(values, groups).T
    return float(np.linalg.norm(sums - values.mean() * sizes) / len(values))


def bootstrap_mean(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    confidence: float = 0.95,
    rng: Any = None,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval (low, high) of the mean over rows.

    Groups are drawn with replacement, each with all its rows. Groups of the same sum
    and size are interchangeable, and there are few kinds (-1, 0 and 1 for single rows):
    drawing how often each kind occurs, which is multinomial, is equivalent to drawing
    the groups, and far cheaper.
    """
    totals = totals_of(np.asarray(values, dtype=float), groups)
    kinds, counts = np.unique(totals, axis=0, return_counts=True)
    n_groups = counts.sum()
    generator = np.random.default_rng(rng)
    drawn = generator.multinomial(n_groups, counts / n_groups, size=_N_RESAMPLES)
    sums = drawn @ kinds  # (n_resamples, 2)
    tail = (1 - confidence) / 2
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [tail, 1 - tail])
    return float(low), float(high)


def count_won(
    right: np.ndarray, other_right: np.ndarray, groups: np.ndarray | None = None
) -> tuple[int, int]:
    """Return on how many rows, or groups, only one or only the other is right.

    Takes which rows each model predicts correctly. A group counts once, for the model
    that is correct on more of its rows: rows of a group are not independent evidence.
    """
    difference = right.astype(float) - other_right
    won = totals_of(difference, groups)[:, 0]
    return int((won > 0).sum()), int((won < 0).sum())


def mcnemar(
    right: np.ndarray, other_right: np.ndarray, groups: np.ndarray | None = None
) -> float:
    """Return the p-value of McNemar's exact test, two-sided; 1 if no row differs.

    It is computed from the two numbers of :func:`count_won`.
    """
    n_won, n_lost = count_won(right, other_right, groups)
    if not n_won + n_lost:
        return 1.0
    return float(binomtest(n_won, n_won + n_lost, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number, by Holm's method.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    raised = p[order] * (len(p) - np.arange(len(p)))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected
