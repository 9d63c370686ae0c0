"""Fixtures that the tests of the recipes share."""

import pytest
from recipe_cases import X, y
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=500).fit(X, y)
