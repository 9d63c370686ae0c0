"""Arrays that torch and other libraries take without a warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy


def writable(X: Any) -> np.ndarray:
    """Return an array that torch takes without a warning, a copy only if need be."""
    # joblib maps large arrays read-only, DataFrames show their values so, and reversed
    # rows have negative strides.
    return np.require(X, requirements=["C", "W"])


def to_array(values: Any) -> np.ndarray:
    """Return outputs, or inputs of a model that takes arrays, as a writable array."""
    if not isinstance(values, torch.Tensor):
        return writable(values)
    # NumPy has no bfloat16, and float16 has too few digits for a softmax.
    is_half = values.dtype in (torch.bfloat16, torch.float16)
    return to_numpy(values.float() if is_half else values)
