"""Validation of a teacher's logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy


def check_logits(logits: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Validate the teacher's logits of a fit, as float32."""
    if hasattr(logits, "columns") and set(logits.columns) == set(classes.tolist()):
        logits = logits[classes.tolist()]  # by name, whatever their order
    logits = np.asarray(
        to_numpy(logits) if isinstance(logits, torch.Tensor) else logits
    )
    expected = (n_rows, len(classes))
    if logits.shape != expected:
        raise ValueError(
            f"teacher_logits has shape {logits.shape}, expected {expected}: a row for "
            f"each row of X and a column for each class of y, in the order "
            f"{classes.tolist()[:20]}."
        )
    if logits.dtype.kind not in "fiu":
        raise ValueError(
            f"teacher_logits has dtype {logits.dtype}, expected floating point."
        )
    with np.errstate(over="ignore"):  # an infinity is reported below
        logits = logits.astype(np.float32, copy=False)
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"The teacher's logits are not finite in {int((~finite).sum())} of "
            f"{n_rows} rows (the first is row {int(np.argmin(finite))}). A logarithm "
            "of a zero probability is -inf: clip probabilities first, for instance "
            "np.log(np.clip(p, 1e-7, 1))."
        )
    return logits
