"""Names of the batch fields: what a batch holds of each sample with the input.

The X of a batch with fields is a dict. The module sees its INPUT alone, the loss sees
all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

INPUT = "skkd_input"
TEACHER_LOGITS = "teacher_logits"  # (n, n_classes), or (n, n_views, n_classes)
TEACHER_FEATURES = "teacher_features"  # (n, d), all layers, flat
HARD_WEIGHT = "hard_weight"  # (n,), in the term of the labels
SOFT_WEIGHT = "soft_weight"  # (n,), in the term of the teacher
INDEX = "index"  # (n,), of the sample in the training data
VIEW_SEEDS = "view_seeds"  # (n, n_views), of fixed augmented views
MIXUP_INDEX = "mixup_index"  # (n,), in the batch, of what a sample is mixed with
MIXUP_LAM = "mixup_lam"  # (n,), share of the sample itself


def split_inputs(X: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split the X of a batch into the input of the module and the batch fields."""
    if isinstance(X, Mapping) and INPUT in X:
        fields = dict(X)
        return fields.pop(INPUT), fields
    return X, {}
