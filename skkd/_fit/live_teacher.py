"""A teacher that is asked about every batch, in the view that the student sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.keys import TEACHER_FEATURES, TEACHER_LOGITS
from skkd._data.rows import len_of, with_columns
from skkd._fit.feature_terms import features_of, flat_features
from skkd.teachers import Teacher
from skkd.teachers._base import check_logits


class LiveTeacher:
    """What is asked of a teacher for every batch: logits, features, or both.

    Parameters
    ----------
    adapter : Teacher
    classes : ndarray of shape (n_classes,)
    like : object, default=None
        A data frame, if the teacher is given such, for the names of the columns.
    logits : bool
        Whether its logits are wanted.
    layers : sequence of (str or None), default=()
        Layers whose features are wanted.
    """

    def __init__(
        self,
        adapter: Teacher,
        classes: np.ndarray,
        *,
        like: Any = None,
        logits: bool,
        layers: Sequence[Any] = (),
    ) -> None:
        self.adapter, self.classes, self.like = adapter, classes, like
        self.logits, self.layers = logits, layers

    def targets(self, inputs: Any) -> dict[str, torch.Tensor]:
        """Return the batch fields that the teacher gives for a batch of `inputs`."""
        X = with_columns(to_numpy(inputs), self.like)
        fields = {}
        if self.layers:
            logits, features = features_of(self.adapter, X, self.classes, self.layers)
            fields[TEACHER_FEATURES] = flat_features(features)
        else:
            logits = self.adapter.logits(X, self.classes)
        if self.logits:
            checked = check_logits(logits, len_of(X), self.classes)
            fields[TEACHER_LOGITS] = torch.from_numpy(checked)
        return fields
