"""Measures of quality, computed from predictions alone."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

_N_BINS = 15
# scikit-learn's bound for float32, here for every model: float64 is no disadvantage.
_LEAST = float(np.finfo(np.float32).eps)


def quality(
    y: np.ndarray, labels: np.ndarray, proba: np.ndarray | None
) -> dict[str, float | None]:
    """Return the measures of one model; `y` and `labels` are class indices."""
    # Averaged over the classes of y, for all models alike. Predicting a class that y
    # lacks lowers the recall of another class.
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, labels, labels=np.unique(y), average="macro", zero_division=0
    )
    return {
        "accuracy": float(np.mean(y == labels)),
        "balanced_accuracy": float(recall),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "log_loss": log_loss(y, proba),
        "calibration_error": calibration_error(y, proba),
    }


def log_loss(y: np.ndarray, proba: np.ndarray | None) -> float | None:
    """Return the mean of -log p of the true class, None without probabilities."""
    if proba is None:
        return None
    p = proba[np.arange(len(y)), y].astype(np.float64)
    return float(-np.log(np.clip(p, _LEAST, 1)).mean())


def calibration_error(
    y: np.ndarray, proba: np.ndarray | None, n_bins: int = _N_BINS
) -> float | None:
    """Return the expected calibration error, None without probabilities.

    The largest probability of each row is its confidence. Rows are binned by it, in
    bins of equal width that include their upper bound. The error is the mean distance
    between mean confidence and accuracy over the bins, weighted by their rows.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
    Networks", ICML 2017, equation (3). https://arxiv.org/abs/1706.04599
    """
    if proba is None:
        return None
    confidence = proba.max(axis=1).astype(np.float64)
    right = proba.argmax(axis=1) == y
    bins = bins_of(confidence, n_bins)
    gaps = np.bincount(bins, right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(y))


def bins_of(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the bin index of each row; bins are (low, high], equally wide.

    As in Guo et al. and in scikit-learn's ``calibration_curve``.
    """
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence)
