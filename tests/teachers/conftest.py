"""Fixtures of the tests of teachers."""

import pytest
import torch
from health_cases import X, net, y
from sklearn.linear_model import LogisticRegression


@pytest.fixture(autouse=True)
def warn_every_time():
    """torch warns once a process, and later tests would pass by that."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    return net().fit(X, y)
