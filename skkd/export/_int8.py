"""Int8 after training: ranges, and what stays in float, chosen on calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skkd.export._graph import PROBABILITIES
from skkd.export._int8_graph import quantize_graph
from skkd.export._int8_layers import Layer, find_layers
from skkd.export._int8_ranges import Seen, clipped_range, full_range, watch
from skkd.export._libraries import open_session

# Share of calibration samples that may get another label before layers stay in float.
_FEW = 0.02
_BATCH_SIZE = 50


def quantize_int8(model: Any, inputs: dict[str, np.ndarray]) -> Any:
    """Return a student's model with its convolutions and linear layers in int8.

    Ranges are those of the calibration samples, or clipped, whichever keeps the
    probabilities closer to those of the floats. If many labels change all the same, the
    first layer, or the first and the last one, stay in float.

    Parameters
    ----------
    model : ModelProto
        The student alone, with the output ``probabilities``.
    inputs : dict of str to ndarray
        Calibration samples.

    Raises
    ------
    ValueError
        If the student has no layer to quantise.
    """
    layers = find_layers(model)
    if not layers:
        raise ValueError(
            "quantize='int8': the student has no convolution or linear layer with "
            "float32 weights. Export it without quantize=, or as 'fp16'."
        )
    seen = watch(model, [n for la in layers for n in (la.input, la.output)], inputs)
    expected = run_probabilities(model, inputs)
    best: tuple[float, Any] = np.inf, None
    for chosen in _choices(layers):
        share = 1.0
        for range_of in (full_range, clipped_range):
            quantized = _quantized(model, chosen, seen, range_of)
            given = run_probabilities(quantized, inputs)
            loss = divergence(expected, given)
            if loss < best[0]:
                best = loss, quantized
            changed = given.argmax(axis=1) != expected.argmax(axis=1)
            share = min(share, float(changed.mean()))
        if share <= _FEW:
            break
    return best[1]


def _choices(layers: list[Layer]) -> Iterator[list[Layer]]:
    """Yield the layers to quantise: all, then without those that lose most."""
    yield layers
    if len(layers) > 4:
        yield layers[1:]
        yield layers[1:-1]


def _quantized(
    model: Any,
    layers: list[Layer],
    seen: dict[str, Seen],
    range_of: Callable[[Seen], tuple[float, float]],
) -> Any:
    ranges = {name: range_of(one) for name, one in seen.items()}
    means = {name: one.channel_means for name, one in seen.items()}
    return quantize_graph(model, layers, ranges, means)


def run_probabilities(model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the probabilities that a model gives."""
    session = open_session(model.SerializeToString())
    n_samples = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, n_samples, _BATCH_SIZE):
        feed = {k: v[start : start + _BATCH_SIZE] for k, v in inputs.items()}
        parts.append(session.run([PROBABILITIES], feed)[0])
    return np.concatenate(parts)


def divergence(expected: np.ndarray, given: np.ndarray) -> float:
    """Return the mean Kullback-Leibler divergence of two arrays of probabilities."""
    p, q = (np.maximum(one.astype(np.float64), 1e-12) for one in (expected, given))
    return float((p * np.log(p / q)).sum(axis=1).mean())
