"""A table with two classes, a teacher of it, and a net."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from skorch_helpers import D, N, distil


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, D).astype(np.float32)


@pytest.fixture(scope="module")
def y_encoded(X):
    return (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)


@pytest.fixture(scope="module")
def y(y_encoded):
    return np.array(["no", "yes"])[y_encoded]


@pytest.fixture(scope="module")
def teacher(X, y):
    return LogisticRegression().fit(X, y)


@pytest.fixture
def net(teacher):
    return distil(teacher=teacher)
