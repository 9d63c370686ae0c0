"""Names of what travels with the input of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

# What travels with an input, as further keys beside it. The module sees the
# input alone, the loss sees all of it.
INPUT = "skkd_input"


TEACHER_LOGITS = "teacher_logits"


HARD_WEIGHT = "hard_weight"


SOFT_WEIGHT = "soft_weight"


TEACHER_FEATURES = "teacher_features"


INDEX = "rows"


VIEW_SEEDS = "view_seeds"


MIXUP_INDEX = "partner"


MIXUP_LAM = "share"


def split_inputs(X: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split a batch into the input of the module and what travels beside it."""
    if isinstance(X, Mapping) and INPUT in X:
        batch_fields = dict(X)
        return batch_fields.pop(INPUT), batch_fields
    return X, {}
