"""The reliability curve of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skkd._evaluate.quality import bins_of
from skkd._utils.checks import check_number


@dataclass(frozen=True)
class Reliability:
    """The reliability curve of one classifier, without empty bins.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins_used,)
        Mean confidence of the rows of each bin.
    accuracy : ndarray of shape (n_bins_used,)
        Share of these rows that are correct.
    counts : ndarray of shape (n_bins,)
        Number of rows in every bin, 0 for an empty one.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap, weighted by rows [1]_.

        References
        ----------
        .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", 2017,
           equation 3. https://arxiv.org/abs/1706.04599
        """
        counts = self.counts[self.counts > 0]
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.average(gaps, weights=counts))


def reliability(
    name: str, y: Any, proba: Any, classes: np.ndarray, n_bins: int, pos_label: Any
) -> Reliability:
    """Return the reliability curve: rows are binned by confidence."""
    y, proba = np.asarray(y), np.asarray(proba, dtype=float)
    _check_proba(name, y, proba, classes, n_bins)
    if pos_label is None:
        confidence, hit = proba.max(axis=1), classes[proba.argmax(axis=1)] == y
    else:
        if pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={pos_label!r} is none of the classes of {name}, "
                f"{classes.tolist()[:20]}."
            )
        column = classes.tolist().index(pos_label)
        confidence, hit = proba[:, column], y == pos_label
    bins = bins_of(confidence, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    used = counts > 0
    sure, right = (
        np.bincount(bins, weights=values, minlength=n_bins)[used] / counts[used]
        for values in (confidence, hit.astype(float))
    )
    return Reliability(sure, right, counts)


def _check_proba(
    name: str, y: np.ndarray, proba: np.ndarray, classes: np.ndarray, n_bins: int
) -> None:
    check_number("n_bins", n_bins, Integral, low=1)
    if proba.shape != (len(y), len(classes)):
        raise ValueError(
            f"{name} has probabilities of shape {proba.shape}, expected "
            f"{(len(y), len(classes))}: a row for each of y, a column for each class "
            f"of {classes.tolist()[:20]}. Pass classes=[...] if the columns are others."
        )
    if len(y) and not set(y.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"{name} knows none of the labels of y: its columns stand for "
            f"{classes.tolist()[:5]}, y holds {np.unique(y).tolist()[:5]}. Pass y "
            "with the labels that it was trained on."
        )
    if not len(y):
        raise ValueError("y is empty: expected at least one row.")
    sums = proba.sum(axis=1)
    if not (np.all(proba >= 0) and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            f"{name} has no probabilities: expected values of at least 0 whose rows "
            f"sum to 1, got {proba.min():.3g} to {proba.max():.3g} with sums "
            f"from {sums.min():.3g} to {sums.max():.3g}. Logits go through a softmax "
            "first."
        )
