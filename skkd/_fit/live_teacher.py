"""A teacher that is asked about every batch, as the student is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.keys import TEACHER_FEATURES, TEACHER_LOGITS
from skkd._data.rows import len_of
from skkd._fit.feature_terms import ask_with_features, flat_features
from skkd.teachers import Teacher
from skkd.teachers._base import check_logits


class LiveTeacher:
    """What is asked of a teacher in every batch: logits, features, or both.

    Parameters
    ----------
    adapter : Teacher
    classes : ndarray of shape (n_classes,)
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
        logits: bool,
        layers: Sequence[Any] = (),
    ) -> None:
        self.adapter, self.classes = adapter, classes
        self.logits, self.layers = logits, layers

    def targets(self, inputs: Any) -> dict[str, torch.Tensor]:
        """Return what is to lie beside a batch of `inputs`."""
        X = to_numpy(inputs)
        said = {}
        if self.layers:
            logits, features = ask_with_features(
                self.adapter, X, self.classes, self.layers
            )
            said[TEACHER_FEATURES] = flat_features(features)
        else:
            logits = self.adapter.logits(X, self.classes)
        if self.logits:
            checked = check_logits(logits, len_of(X), self.classes)
            said[TEACHER_LOGITS] = torch.from_numpy(checked)
        return said
