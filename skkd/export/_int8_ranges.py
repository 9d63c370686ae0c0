"""Between which values a tensor is quantised: seen on calibration samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skkd.export._libraries import onnx, open_session

_BATCH_SIZE = 50
# Values of a tensor that are kept, of each batch.
_N_KEPT = 2**14
_LEVELS = 255
# Where a range may be clipped, as a part of it.
_CLIPS = np.linspace(0.3, 1.0, 36)


@dataclass(frozen=True)
class Seen:
    """What a tensor held: extremes, some of its values, the mean of each channel."""

    low: float
    high: float
    values: np.ndarray
    channel_means: np.ndarray


def watch(
    model: Any, names: Iterable[str], inputs: dict[str, np.ndarray]
) -> dict[str, Seen]:
    """Run a float model and return what these tensors hold."""
    watched = type(model)()
    watched.CopyFrom(model)
    names = sorted({*names})
    known = {value.name for value in watched.graph.output}
    for name in names:
        if name not in known:
            watched.graph.output.append(onnx().helper.ValueInfoProto(name=name))
    session = open_session(watched.SerializeToString())
    parts: dict[str, list[Seen]] = {name: [] for name in names}
    n_samples = len(next(iter(inputs.values())))
    for start in range(0, n_samples, _BATCH_SIZE):
        feed = {k: v[start : start + _BATCH_SIZE] for k, v in inputs.items()}
        for name, values in zip(names, session.run(names, feed), strict=True):
            parts[name].append(_seen(values))
    return {name: _merged(some) for name, some in parts.items()}


def _seen(values: np.ndarray) -> Seen:
    others = tuple(axis for axis in range(values.ndim) if axis != 1)
    # A step that is odd meets all columns of images.
    step = max(1, values.size // _N_KEPT) | 1
    means = values.mean(axis=others, dtype=np.float64) * len(values)
    low, high = float(values.min()), float(values.max())
    return Seen(low, high, values.reshape(-1)[::step], means / len(values))


def _merged(parts: list[Seen]) -> Seen:
    return Seen(
        min(part.low for part in parts),
        max(part.high for part in parts),
        np.concatenate([part.values for part in parts]),
        np.mean([part.channel_means for part in parts], axis=0),
    )


def full_range(seen: Seen) -> tuple[float, float]:
    """Return the lowest and highest value; zero is always within."""
    return min(seen.low, 0.0), max(seen.high, 0.0)


def clipped_range(seen: Seen) -> tuple[float, float]:
    """Return the range with the least squared error of 256 levels.

    Beyond it values are clipped, within it they are rounded: rare large values cost
    the others their digits.
    """
    low, high = full_range(seen)
    x = seen.values.astype(np.float64)
    x = x[x != 0]  # which is a level of its own, in any range
    if not x.size:
        return low, high
    errors = []
    for clip in _CLIPS:
        step = clip * (high - low) / _LEVELS
        beyond = x - np.clip(x, clip * low, clip * high)
        within = np.count_nonzero(beyond == 0) * step**2 / 12
        errors.append(within + np.square(beyond).sum())
    best = _CLIPS[int(np.argmin(errors))]
    return float(best * low), float(best * high)
