"""Random numbers of augmentations: a hash of seeds."""

import numpy as np
import pytest
import torch
from augment_cases import numbers

from skkd.augment import (
    Compose,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    uniform,
)
from skkd.augment._seeds import splitmix


def test_the_hash_is_splitmix64():
    # The published first outputs from the state 1234567.
    state = 1234567 + np.arange(1, 6, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    expected = [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423),
        *(4593380528125082431, 16408922859458223821),
    ]
    assert splitmix(state).tolist() == expected


def test_the_hash_is_as_documented():
    mask, seed, stream = 2**64 - 1, -5, 3

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    state = mix(seed & mask) + (stream + 1) * 0x9E3779B97F4A7C15 & mask
    assert uniform(np.array([seed]), stream)[0] == (mix(state) >> 11) / 2**53


@pytest.mark.parametrize(
    "seeds",
    [
        np.arange(100_000),
        np.arange(100_000) * 2**40,
        np.arange(100_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        numbers(100_000),
    ],
    ids=["neighbours", "upper bits", "multiples of the increment", "random"],
)
def test_numbers_are_uniform_and_streams_independent(seeds):
    u = np.stack([uniform(seeds, stream) for stream in range(4)])
    assert u.dtype == np.float64
    assert u.min() >= 0
    assert u.max() < 1
    # Chi-squared of 63 degrees of freedom, at five standard deviations.
    bound = 63 + 5 * np.sqrt(2 * 63)
    for row in u:
        counts = np.bincount((row * 64).astype(int), minlength=64)
        assert ((counts - 100_000 / 64) ** 2 / (100_000 / 64)).sum() < bound
    for a, b in [(0, 1), (0, 2), (1, 3), (2, 3)]:
        cells = (u[a] * 8).astype(int) * 8 + (u[b] * 8).astype(int)
        counts = np.bincount(cells, minlength=64)
        assert ((counts - 100_000 / 64) ** 2 / (100_000 / 64)).sum() < bound
    neighbours = np.corrcoef(u[0, 1:], u[0, :-1])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(100_000)


def test_the_steps_of_a_composition_are_independent():
    row = torch.arange(3.0).reshape(1, 1, 1, 3)
    seeds = np.arange(4000)
    x = row.expand(4000, 1, 1, 3)
    twice = Compose([RandomHorizontalFlip(), RandomHorizontalFlip()])(x, seeds)
    back = (twice == x).flatten(1).all(dim=1).double().mean()
    assert abs(back - 0.5) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("p", "augment"),
    [(0.3, RandomHorizontalFlip(0.3)), (0.8, RandomErasing(1, 9, 0.8))],
)
def test_the_share_of_changed_rows(p, augment):
    x = torch.arange(2.0).expand(5000, 1, 1, 2)
    changed = (augment(x, np.arange(5000)) != x).flatten(1).any(dim=1)
    assert abs(changed.double().mean() - p) < 5 * np.sqrt(p * (1 - p) / 5000)


def test_every_shift_and_every_centre_comes_up():
    x = torch.zeros(3000, 1, 5, 5)
    x[:, :, 2, 2] = 1
    moved = RandomCrop(max_shift=2)(x, np.arange(3000)).sum(dim=(0, 1))
    assert (moved > 3000 / 25 * 0.6).all()
    centres = RandomErasing(size=1, fill=1)(torch.zeros(3000, 1, 5, 5), np.arange(3000))
    assert (centres.sum(dim=(0, 1)) > 3000 / 25 * 0.6).all()
