"""The split of ``train_split``, drawn before the samples are what they will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Subset

from skkd._data.batches import TrainingSet, unwrap
from skkd._utils.modules import describe


class Split(NamedTuple):
    """Which samples are for training, and what is for validation.

    Attributes
    ----------
    train : ndarray of int
    valid : ndarray of int, Dataset or None
        Indices of the same samples, or data of their own.
    """

    train: np.ndarray
    valid: Any

    def parts_of(self, samples: TrainingSet) -> tuple[Any, Any]:
        """Return the training and the validation part of samples."""
        valid = self.valid
        if isinstance(valid, np.ndarray):
            valid = Subset(samples, valid.tolist())
        is_whole = np.array_equal(self.train, np.arange(len(samples)))
        return samples if is_whole else Subset(samples, self.train.tolist()), valid


def draw_split(
    net: Any, samples: TrainingSet, fit_params: Mapping[str, Any], why: str
) -> Split:
    """Call ``train_split`` once; ValueError if it gives training data of its own."""
    if samples.split is not None:
        return samples.split
    if not net.train_split:
        return Split(np.arange(len(samples)), None)
    train, valid = net.split_samples(samples, **fit_params)
    base, index = unwrap(train)
    if base is not samples:
        raise ValueError(
            f"train_split={describe(net.train_split)} gave training data of its own, "
            f"and {why}: use one that splits, such as ValidSplit, or "
            "skorch.helper.predefined_split."
        )
    index = np.arange(len(samples)) if index is None else np.asarray(index)
    if valid is not None and unwrap(valid)[0] is samples:
        valid = np.asarray(unwrap(valid)[1])
    return Split(index, valid)
