"""scikit-learn's own checks of an estimator."""

from unittest import SkipTest

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from skkd import DistilledClassifier


@parametrize_with_checks(
    [
        DistilledClassifier(),
        DistilledClassifier(teacher=LogisticRegression(), teacher_cv=None),
    ]
)
def test_scikit_learns_own_checks(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        # The one check that asks for an environment variable, set before SciPy is
        # imported. It says nothing of this estimator, which takes no array API.
        assert "SCIPY_ARRAY_API" in str(reason)
        pytest.skip(str(reason))
