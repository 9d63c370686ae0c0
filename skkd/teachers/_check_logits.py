"""The check of the soft targets of a fit, whoever gave them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skkd.teachers._arrays import to_array


def check_logits(logits: Any, n_samples: int, classes: np.ndarray) -> np.ndarray:
    """Validate the soft targets of a fit; return them as float32."""
    if hasattr(logits, "columns") and set(logits.columns) >= set(classes.tolist()):
        logits = logits[classes.tolist()]  # by name, whatever their order
    if isinstance(logits, torch.Tensor):
        logits = to_array(logits)
    logits = np.asarray(logits)
    expected = (n_samples, len(classes))
    if logits.shape != expected:
        raise ValueError(
            f"teacher_logits has shape {logits.shape}, expected {expected}: a row for "
            "each sample of X and a column for each class of y, in the order "
            f"{classes.tolist()[:20]}. If y lacks classes here, as in a fold, name the "
            "columns, pd.DataFrame(teacher_logits, columns=labels), or declare all "
            "classes, DistilledClassifier(classes=[...])."
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
            f"{n_samples} rows (the first is row {int(np.argmin(finite))}). The "
            "logarithm of a zero probability is -inf: clip probabilities first, for "
            "instance np.log(np.clip(p, 1e-7, 1))."
        )
    return logits
