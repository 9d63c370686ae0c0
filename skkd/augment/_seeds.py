"""Random numbers by hashing seeds, without any state."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd
_UNIT = 2.0**-53  # a float64 has 53 bits of precision


def uniform(seeds: np.ndarray, stream: int) -> np.ndarray:
    """Draw one number in [0, 1) for each seed: a hash, without any state.

    Parameters
    ----------
    seeds : ndarray of shape (n,), any integer dtype
    stream : int
        At least 0. Numbers of different streams are independent of each other.

    Returns
    -------
    ndarray of shape (n,), float64
        Multiples of 2^-53.

    Notes
    -----
    With ``mix``, SplitMix64's finaliser, and its increment ``g``, a number consists of
    the upper 53 bits of ``mix(mix(seed) + (stream + 1) * g)``: the output number
    ``stream`` of a SplitMix64 that starts from ``mix(seed)``. Mixing the seed first
    keeps neighbouring seeds apart.

    References
    ----------
    Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    https://doi.org/10.1145/2660193.2660195

    Examples
    --------
    >>> import numpy as np
    >>> from skkd.augment import uniform
    >>> uniform(np.array([0, 1, 0]), stream=0).round(3)
    array([0.883, 0.75 , 0.883])
    """
    return (bits(seeds, stream) >> np.uint64(11)) * _UNIT


def bits(seeds: np.ndarray, stream: int) -> np.ndarray:
    """Hash each seed to 64 bits, for instance to get the seeds of one step."""
    offset = np.array(stream + 1, dtype=np.uint64) * _GOLDEN_GAMMA
    return splitmix(splitmix(seeds.astype(np.uint64)) + offset)


def splitmix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def whole(seeds: np.ndarray, stream: int, n: int) -> Tensor:
    """Draw an integer from 0 to n - 1 for each seed, int64."""
    return torch.from_numpy((uniform(seeds, stream) * n).astype(np.int64))


def chosen(seeds: np.ndarray, stream: int, p: float, x: Tensor) -> Tensor:
    """Choose each image with probability `p`, as bools of shape (n, 1, 1, 1)."""
    chosen = torch.from_numpy(uniform(seeds, stream) < p)
    return chosen.to(x.device)[:, None, None, None]


def between(seeds: np.ndarray, stream: int, low: float, high: float) -> np.ndarray:
    """Draw a number from `low` to `high` for each seed, float64."""
    return low + (high - low) * uniform(seeds, stream)
