"""Fixtures of the displays' tests, and matplotlib without a screen."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _no_figure_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(iris):
    """A teacher, a plain and a distilled student, the latter two with validation."""
    X, y = iris
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    settings = {"max_epochs": 3, "train_split": ValidSplit(5), "random_state": 0}
    plain = DistilledClassifier(**settings)
    distilled = DistilledClassifier(teacher=teacher, **settings)
    # The teacher takes the rows that the scaler has not changed.
    pipe = make_pipeline(StandardScaler(), distilled)
    return {
        "teacher": teacher,
        "plain": plain.fit(X, y),
        "distilled": pipe.fit(X, y, distilledclassifier__teacher_X=X),
    }
