"""Some samples that are the same everywhere, and what a student answers to them.

A network of the same shapes may compute something else: with another activation, or
by another version of a library. Then its answers differ.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from skkd._utils.modules import first_tensor

_N_SAMPLES, _N_VALUES = 4, 2**20
# Of float32 on two machines, relative to the largest logit.
_TOLERANCE, _TOLERANCE_OF_BF16 = 1e-3, 0.1


def probe_samples(net: Any) -> np.ndarray | None:
    """Return samples as a fitted net takes them; None if that is not known."""
    shape, dtype = net.input_shape_, net.input_dtype_
    if shape is None or not isinstance(dtype, np.dtype) or dtype.kind not in "fiub":
        return None
    n_samples = min(_N_SAMPLES, _N_VALUES // max(1, int(np.prod(shape, dtype=float))))
    if not n_samples:
        return None
    n_values = n_samples * int(np.prod(shape))
    # Generators of random numbers may change with their library, a hash does not.
    noise = np.frombuffer(hashlib.shake_256(b"skkd").digest(2 * n_values), "<u2")
    unit = noise.reshape(n_samples, *shape) / 65535  # 0 to 1
    seen = getattr(net, "input_range_", {}).get("X")
    if net.preprocessor_ is not None:
        seen = None  # it is the range of what the preprocessor takes
    low, high = np.asarray(0.0), np.asarray(255.0 if dtype == np.uint8 else 1.0)
    if seen is not None:
        low = np.where(np.isfinite(seen.low), seen.low, 0.0)
        high = np.where(np.isfinite(seen.high), seen.high, 1.0)
    values = low + unit * (high - low)
    return (np.rint(values) if dtype.kind in "iub" else values).astype(dtype)


def answers(net: Any) -> np.ndarray | None:
    """Return a net's logits of the samples, float64; None if there are none."""
    samples = probe_samples(net)
    if samples is None:
        return None
    try:
        # As `predict_proba` does for a batch, after the preprocessor.
        batch = torch.from_numpy(samples), 0
        logits = first_tensor(net.evaluation_step(batch)).cpu()
    except Exception:  # a student may refuse what is none of its data
        return None
    return logits.detach().double().numpy()


def differ(net: Any, now: np.ndarray, written: np.ndarray) -> bool:
    """Tell whether logits differ by more than machines make them differ."""
    if now.shape != written.shape:
        return True
    tolerance = _TOLERANCE if net.precision == "fp32" else _TOLERANCE_OF_BF16
    half = any(p.dtype.itemsize < 4 for p in net.module_.parameters())
    tolerance = _TOLERANCE_OF_BF16 if half else tolerance
    scale = float(np.abs(written[np.isfinite(written)]).max(initial=1e-6))
    close = np.isclose(now, written, rtol=0, atol=tolerance * scale, equal_nan=True)
    return not close.all()
