"""Scores of predictions, and the influence of each row on their difference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Number of parts of the rows that the jackknife leaves out in turn.
_N_PARTS = 100


class Fit(NamedTuple):
    """The predictions of one network on the test rows of one fold.

    Attributes
    ----------
    network : {"plain", "distilled", "teacher"}
    seed : int
    fold : int
    rows : ndarray of shape (n_test,)
        Indices of the rows in X.
    y_true, y_pred : ndarray of shape (n_test,)
        Labels.
    seconds : float or None
        Duration of the student's `fit`, without the steps before it. None for a
        teacher.
    n_parameters : int or None
        None for a teacher that is not a network.
    confidence : float or None
        Mean probability of a teacher's decisions; None for a student, and for scores.
    """

    network: str
    seed: int
    fold: int
    rows: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    seconds: float | None
    n_parameters: int | None
    confidence: float | None = None


def check_metric(metric: Any) -> None:
    """Raise if `metric` is not a metric."""
    if metric not in ("accuracy", "balanced_accuracy") and not callable(metric):
        raise ValueError(
            f"metric={metric!r}: expected 'accuracy', 'balanced_accuracy', or a "
            "function of (y_true, y_pred), such as sklearn.metrics.matthews_corrcoef."
        )


def score_of(metric: Any, y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the score of one fold."""
    if callable(metric):
        return float(metric(y_true, y_pred))
    if metric == "accuracy":
        return float((y_true == y_pred).mean())
    return float((_row_weights(metric, y_true) * (y_true == y_pred)).sum())


def differences(
    metric: Any, pairs: Sequence[Sequence[tuple[Fit, Fit]]], units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each seed's difference, and the influence of each tested unit on it.

    `pairs` holds, for each seed, the plain and the distilled fit of each fold; `units`
    the index of the unit, a row or a group of rows, of each row of X.
    """
    of_seeds = np.array([_difference(metric, of_seed) for of_seed in pairs])
    tested = np.unique(
        np.concatenate([units[one.rows] for of_seed in pairs for one, _ in of_seed])
    )
    function = _by_jackknife if callable(metric) else _by_row
    rows = [
        function(metric, of_seed, np.searchsorted(tested, units), len(tested))
        for of_seed in pairs
    ]
    return of_seeds, np.stack(rows)


def _difference(metric: Any, pairs: Sequence[tuple[Fit, Fit]]) -> float:
    """Return the mean over the folds of a seed."""
    return float(
        np.mean(
            [
                score_of(metric, two.y_true, two.y_pred)
                - score_of(metric, one.y_true, one.y_pred)
                for one, two in pairs
            ]
        )
    )


def _row_weights(metric: str, y_true: np.ndarray) -> np.ndarray:
    """Return the weight of each row in the score; the sum is one."""
    if metric == "accuracy":
        return np.full(len(y_true), 1 / len(y_true))
    _, y_encoded, counts = np.unique(y_true, return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[y_encoded])


def _by_row(
    metric: str, pairs: Sequence[tuple[Fit, Fit]], units: np.ndarray, n_units: int
) -> np.ndarray:
    """Return the exact influence: the score is a weighted mean over rows."""
    weights = [_row_weights(metric, one.y_true) / len(pairs) for one, _ in pairs]
    labels = np.concatenate([one.y_true for one, _ in pairs])
    gained = [
        (two.y_pred == two.y_true) * 1.0 - (one.y_pred == one.y_true)
        for one, two in pairs
    ]
    weight, gain = np.concatenate(weights), np.concatenate(gained)
    classes = np.zeros(len(labels), dtype=int)
    if metric == "balanced_accuracy":
        classes = np.unique(labels, return_inverse=True)[1]
    # Relative to the mean of the class: the number of its rows is not what varies.
    mean = np.bincount(classes, weight * gain) / np.bincount(classes, weight)
    numbers = np.concatenate([units[one.rows] for one, _ in pairs])
    # Rows of a small class vary less around their own mean: a correction for that.
    pairs_of = np.unique(np.stack([classes, numbers]), axis=1)[0]
    n_of_class = np.maximum(np.bincount(pairs_of), 2)
    n = max(len(np.unique(numbers)), 2)
    factor = np.sqrt(n_of_class / (n_of_class - 1) * (n - 1) / n)[classes]
    summed = weight * factor * (gain - mean[classes])
    return np.bincount(numbers, summed, minlength=n_units)


def _by_jackknife(
    metric: Callable[[Any, Any], float],
    pairs: Sequence[tuple[Fit, Fit]],
    units: np.ndarray,
    n_units: int,
) -> np.ndarray:
    """Return the influence of parts of the units, by leaving out each in turn."""
    n_parts = min(_N_PARTS, n_units)
    part_of = np.random.default_rng(0).permutation(n_units) % n_parts
    if n_parts == 1:
        return np.zeros(1)
    without = np.empty(n_parts)
    with warnings.catch_warnings():
        # About a class that is left out; the score of the whole fold has warned.
        warnings.simplefilter("ignore")
        for part in range(n_parts):
            kept = [_rows_outside(pair, part_of[units], part) for pair in pairs]
            without[part] = _difference(metric, [pair for pair in kept if pair])
    # The sum of squares is the jackknife's variance, up to a factor of n / (n - 1)
    # that all kinds of influence share.
    return (without.mean() - without) * (n_parts - 1) / n_parts


def _rows_outside(
    pair: tuple[Fit, Fit], part_of: np.ndarray, part: int
) -> tuple[Fit, Fit] | None:
    kept = part_of[pair[0].rows] != part
    if not kept.any():
        return None
    one, two = (
        fit._replace(
            rows=fit.rows[kept], y_true=fit.y_true[kept], y_pred=fit.y_pred[kept]
        )
        for fit in pair
    )
    return one, two
