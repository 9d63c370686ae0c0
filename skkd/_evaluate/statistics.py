"""Uncertainty of the difference between two models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from scipy.stats import binomtest

_N_RESAMPLES = 9999


def check_confidence(confidence: Any) -> None:
    """Raise if `confidence` is not a number in (0, 1)."""
    number = isinstance(confidence, Real) and not isinstance(confidence, bool)
    if not number or not 0 < confidence < 1:
        raise ValueError(
            f"confidence={confidence!r}: expected a number in (0, 1), such as 0.95."
        )


def totals_of(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the sum of the values and the number of rows of each group.

    Parameters
    ----------
    values : ndarray of shape (n,)
    groups : ndarray of shape (n,) or None
        None makes each row a group.

    Returns
    -------
    ndarray of shape (n_groups, 2)
    """
    if groups is None:
        return np.column_stack([values, np.ones(len(values))])
    _, numbers = np.unique(groups, return_inverse=True)
    return np.column_stack([np.bincount(numbers, values), np.bincount(numbers)])


def standard_error(values: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Return the standard error of the mean over rows that come in groups.

    Parameters
    ----------
    values : ndarray of shape (n,)
    groups : ndarray of shape (n,), default=None

    Returns
    -------
    float
        For values 0 and 1 without groups, sqrt(p (1 - p) / n).
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
    """Return the percentile bootstrap interval of the mean over rows.

    Groups are drawn with replacement, each with all its rows. Groups of the same sum
    and size are interchangeable, and there are few kinds (-1, 0 and 1 for single rows):
    drawing how often each kind occurs, which is multinomial, is equivalent to drawing
    the groups, and far cheaper.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One value per row; for a paired difference, that of the row.
    groups : ndarray of shape (n,), default=None
        Rows that belong together, such as copies of an image.
    confidence : float, default=0.95
    rng : numpy.random.Generator, default=None

    Returns
    -------
    low, high : float
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


def mcnemar(
    right: np.ndarray, other_right: np.ndarray, groups: np.ndarray | None = None
) -> float:
    """Return the p-value of McNemar's exact test, two-sided.

    Parameters
    ----------
    right, other_right : ndarray of bool, shape (n,)
        Which rows each of the two models predicts correctly.
    groups : ndarray of shape (n,), default=None
        A group counts once, for the model that is correct on more of its rows: rows
        of a group are not independent evidence.

    Returns
    -------
    float
        1.0 if the two models never differ.
    """
    difference = right.astype(float) - other_right
    won = totals_of(difference, groups)[:, 0]
    n_won, n_lost = int((won > 0).sum()), int((won < 0).sum())
    if not n_won + n_lost:
        return 1.0
    return float(binomtest(n_won, n_won + n_lost, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number, by Holm's method.

    Parameters
    ----------
    p_values : sequence of float, length m

    Returns
    -------
    ndarray of shape (m,)

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
