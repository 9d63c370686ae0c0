"""Weights of the samples in both terms of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight

from skkd._data.keys import HARD_WEIGHT, SOFT_WEIGHT


def sample_weight_fields(
    weight: np.ndarray | None, labelled: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the weights in the two terms of the loss, each of mean 1.

    With mean 1 over the whole set, the mean over a batch is an unbiased estimate of
    the weighted mean over all samples, however few labels the batch has.
    """
    if weight is None:
        # All samples weigh the same in the term of the teacher, labelled or not.
        return {} if labelled.all() else {HARD_WEIGHT: of_mean_1(1.0 * labelled)}
    return {HARD_WEIGHT: of_mean_1(weight * labelled), SOFT_WEIGHT: of_mean_1(weight)}


def of_mean_1(weight: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
    """Scale weights so that their mean over `rows` is 1."""
    # Without any label there is no hard term, and nothing to divide by.
    return weight / (weight[rows].mean() or 1.0)


def check_sample_weight(sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
    """Validate ``sample_weight``, as float64."""
    if sample_weight is None:
        return None
    try:
        return _check_sample_weight(
            sample_weight, y, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{error} In sample_weight expected a finite number of at least 0 for each "
            f"of the {len(y)} rows of X."
        ) from error


def combine_weights(
    sample_weight: np.ndarray | None,
    class_weight: Any,
    y: np.ndarray,
    labelled: np.ndarray,
) -> np.ndarray | None:
    """Return the weight of each sample, float64; None if all weigh the same."""
    if class_weight is not None and labelled.any():
        by_class = np.ones(len(y))
        try:
            by_class[labelled] = compute_sample_weight(class_weight, y[labelled])
        except ValueError as error:
            raise ValueError(
                f"class_weight={class_weight!r} names labels that are no label of y, "
                f"and lacks others, {np.unique(y[labelled]).tolist()[:20]}: expected a "
                "weight for each of these."
            ) from error
        sample_weight = by_class if sample_weight is None else sample_weight * by_class
    if sample_weight is None:
        return None
    counted = sample_weight[labelled] if labelled.any() else sample_weight
    if not counted.sum() > 0:
        raise ValueError("The weights of all labelled rows are zero: nothing to learn.")
    return sample_weight
