"""A pass of a teacher in batches of one size, whatever the number of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from skkd._data.rows import len_of, pick

# Samples that go through a network at a time: enough to keep it busy, few enough that
# the activations of a large one fit.
_BATCH_SIZE = 256
# On a CPU they should fit into its caches: convolutions are two to four times as fast.
# Powers of two, from 8 on: of other sizes vector instructions leave a remainder, which
# is computed otherwise.
_CPU_NUMBERS, _MIN_CPU, _MAX_CPU, _MAX_CPU_IMAGES = 2**19, 8, 128, 64
# Batches that are larger are not filled up: of few samples that would be most of them.
_MAX_SIZE = 512


def fast_batch_size(X: Any, device: Any) -> int:
    """Return how many samples of `X` should go through a network at a time."""
    if torch.device(device).type != "cpu":
        return _BATCH_SIZE
    shape = getattr(X, "shape", (1,))[1:]
    high = _MAX_CPU_IMAGES if len(shape) > 1 else _MAX_CPU
    fitting = _CPU_NUMBERS // max(1, int(np.prod(shape)))
    return 2 ** (max(_MIN_CPU, min(fitting, high)).bit_length() - 1)


def in_whole_batches(
    compute: Callable[[Any], np.ndarray], X: Any, batch_size: int
) -> np.ndarray:
    """Return ``compute(X)``, the last batch filled up with its last sample.

    How a matrix product is computed, to the last digit, depends on its size. In batches
    of one size the outputs for a sample do not depend on how many others there are: the
    teacher of a fit gives the same whether or not some of its logits are cached.

    Parameters
    ----------
    compute : callable
        From samples to an array with a row for each.
    X : array-like or other, n samples
    batch_size : int
        Samples that `compute` takes at a time.

    Returns
    -------
    ndarray of n rows
    """
    n_samples = len_of(X)
    n_last = n_samples % batch_size
    if not n_last or batch_size > _MAX_SIZE:
        return compute(X)
    start = n_samples - n_last
    filled = np.minimum(np.arange(start, start + batch_size), n_samples - 1)
    is_array = isinstance(X, (np.ndarray, torch.Tensor))
    last = compute(X[filled] if is_array else pick(X, filled))[:n_last]
    if not start:
        return last
    first = compute(X[:start] if is_array else pick(X, np.arange(start)))
    return np.concatenate([first, last])
