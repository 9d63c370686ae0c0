"""Rows, images and students that the tests of this folder share."""

import numpy as np
import oracles
import pytest
import torch

from skkd.students import MLP, SmallCNN, Standardize

SHAPES = [(4,), (2, 3), (3, 5, 6)]
STUDENTS = [
    pytest.param(MLP, (7,), id="mlp-table"),
    pytest.param(MLP, (1, 8, 8), id="mlp-image"),
    pytest.param(SmallCNN, (1, 8, 8), id="cnn-8x8"),
    pytest.param(SmallCNN, (1, 28, 28), id="cnn-28x28"),
    pytest.param(SmallCNN, (3, 32, 32), id="cnn-32x32"),
]


def rows(n, shape, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.arange(1, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1))
    return rng.normal(scale, scale, size=(n, *shape))


def images(n, shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, 256, size=(n, *shape), dtype=np.uint8))


def adapted(batches, shape):
    """Return the mean and std that a float64 module learns, as (d,), (d,)."""
    module = Standardize(shape).double()
    assert module.adapt(batches) is module
    assert module.adapted
    return module.mean.flatten().numpy(), module.std.flatten().numpy()


def check_moments(got, x, weight=None, rtol=1e-12):
    for a, b in zip(got, oracles.moments(x, weight), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)
