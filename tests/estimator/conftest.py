"""A table, its labels, and what a teacher says of them."""

import numpy as np
import pytest
from estimator_helpers import C, D, N
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, D)


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


@pytest.fixture(scope="module")
def table(X):
    """Logits of a teacher, one row for each of X."""
    return np.random.RandomState(1).randn(N, C).astype(np.float32) * 3


@pytest.fixture(scope="module")
def forest(X, y):
    return LogisticRegression().fit(X, y)
