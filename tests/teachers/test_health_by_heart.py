"""Teachers that know the rows of a table by heart are found, honest ones are not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier, TeacherWarning
from skkd.tables import TablePreprocessor
from skkd.teachers import check_health

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 5))
Y = (X[:, 0] + X[:, 1] + RNG.normal(size=600) > 0).astype(int)  # 0.8 can be known


class InContext(ClassifierMixin, BaseEstimator):
    """Stands for a model that is given its training rows with each question.

    As TabPFN and TabICL, it learns nothing in `fit`: a row attends to those of the
    context, and most to its own copy.
    """

    def fit(self, X, y):
        self.context_ = np.asarray(X), np.asarray(y)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        rows, labels = self.context_
        distances = ((np.asarray(X)[:, None] - rows) ** 2).sum(axis=2)
        attention = np.exp(-distances / 0.02) + 1e-9
        ones = labels[:, None] == self.classes_
        return attention @ ones / attention.sum(axis=1, keepdims=True)


BY_HEART = {
    "in context": InContext(),
    "forest": RandomForestClassifier(50, random_state=0),
    "one neighbour": KNeighborsClassifier(1),
    "boosted": HistGradientBoostingClassifier(random_state=0, min_samples_leaf=2),
}


def codes(findings):
    return [finding.code for finding in findings]


# One neighbour gives decisions alone, which is told, too.
pytestmark = pytest.mark.filterwarnings("ignore:.saturated")


@pytest.mark.parametrize("name", BY_HEART)
def test_rows_known_by_heart_are_found(name):
    teacher = BY_HEART[name].fit(X, Y)
    net = DistilledClassifier(teacher=teacher, max_epochs=1, random_state=0)
    with pytest.warns(TeacherWarning, match=r"by-heart.*teacher_cv=5"):
        net.fit(X, Y)
    assert "by-heart" in codes(net.teacher_findings_)
    net.set_params(teacher_cv=5).fit(X, Y)  # the remedy
    assert "by-heart" not in codes(net.teacher_findings_)


@pytest.mark.parametrize("name", BY_HEART)
def test_other_rows_are_not(name):
    teacher = BY_HEART[name].fit(X[:300], Y[:300])
    found = check_health(teacher, X[300:], Y[300:])
    assert codes(found) == ["saturated"] * (name == "one neighbour")


def test_a_frame_with_categories_and_gaps():
    frame = pd.DataFrame({"n": X[:, 0], "c": pd.Categorical(RNG.choice([*"ab"], 600))})
    frame["gaps"] = np.where(np.arange(600) % 9, X[:, 1], np.nan)
    forest = RandomForestClassifier(50, random_state=0)
    teacher = make_pipeline(TablePreprocessor(), forest)
    with pytest.warns(TeacherWarning, match="by-heart"):
        check_health(teacher.fit(frame, Y), frame, Y)


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_tables_that_can_be_known_are_silent(load):
    numbers, y = load(return_X_y=True)
    teacher = RandomForestClassifier(random_state=0).fit(numbers, y)
    assert check_health(teacher, numbers, y) == []
