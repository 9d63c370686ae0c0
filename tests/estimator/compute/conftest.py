"""Small images, their labels, and a table of logits."""

import numpy as np
import pytest
from compute_helpers import SHAPE, C, N


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, *SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0].mean((1, 2)) > 0).astype(int) + (X[:, 1, 0, 0] > 0.5)


@pytest.fixture(scope="module")
def table():
    return np.random.RandomState(1).randn(N, C).astype(np.float32) * 3
