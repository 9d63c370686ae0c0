"""A teacher that computes targets batch by batch, for the view that is trained on."""

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
from skkd.teachers._check_logits import check_logits


class LiveTeacher:
    """What a teacher computes for every batch: logits, features of layers, or both.

    `like` is a data frame if the teacher takes such, for the names of the columns.
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
