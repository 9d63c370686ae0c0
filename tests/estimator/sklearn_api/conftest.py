"""A teacher that knows iris."""

import pytest
from iris_helpers import X_train, y_train
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=1000).fit(X_train, y_train)
