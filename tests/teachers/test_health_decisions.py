"""A teacher that decides otherwise than its probabilities say is a finding."""

import pickle
import re

import numpy as np
import pytest
from health_cases import codes_of
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skkd import DistilledClassifier, TeacherWarning
from skkd.teachers import check_health
from skkd.teachers.health._decisions import threshold_between

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
NAMES = np.array(["bad", "good"])[y]
LINEAR = LogisticRegression(C=0.001)


def student(teacher, **params):
    params = {"max_epochs": 5, "random_state": 0, **params}
    return DistilledClassifier(teacher=teacher, **params)


def found(teacher, X=X, y=NAMES):
    with pytest.warns(TeacherWarning, match=r"^\[other-decisions\]"):
        (finding,) = check_health(teacher, X, y)
    return finding.message


def threshold_in(text):
    return float(re.search(r"threshold=([\d.]+)", text)[1])


def fixed(t, label="good"):
    return FixedThresholdClassifier(LINEAR, threshold=t, pos_label=label)


@pytest.mark.parametrize("t", [0.3, 0.75])
def test_the_threshold_is_named_and_makes_the_student_decide_alike(t):
    teacher = fixed(t).fit(X, NAMES)
    text = found(teacher)
    assert abs(threshold_in(text) - t) < 0.05
    assert "pos_label='good'" in text
    est = student(teacher, max_epochs=10, alpha=1.0, lr=0.02)
    with pytest.warns(TeacherWarning, match="other-decisions"):
        est.fit(X, NAMES)
    net = student(teacher, max_epochs=10, alpha=1.0, lr=0.02)
    remedy = FixedThresholdClassifier(
        net,
        threshold=threshold_in(text),
        pos_label="good",
        response_method="predict_proba",
    )
    with pytest.warns(TeacherWarning, match="other-decisions"):
        remedy = clone(remedy).fit(X, NAMES)
    decided = teacher.predict(X)
    assert (remedy.predict(X) == decided).mean() > 0.97
    assert (remedy.predict(X) == decided).sum() > (est.predict(X) == decided).sum()
    copy = pickle.loads(pickle.dumps(remedy))
    assert (copy.predict(X) == remedy.predict(X)).all()


@pytest.mark.filterwarnings("ignore:.other-decisions")
def test_the_remedy_in_a_search():
    teacher = fixed(0.3).fit(X, NAMES)
    remedy = FixedThresholdClassifier(
        student(teacher),
        threshold=0.3,
        pos_label="good",
        response_method="predict_proba",
    )
    grid = {"estimator__alpha": [0.3, 0.9], "threshold": [0.3, 0.5]}
    search = GridSearchCV(remedy, grid, cv=2, error_score="raise").fit(X, NAMES)
    assert search.best_estimator_.estimator_.teacher is teacher


@pytest.mark.parametrize(
    "teacher",
    [
        fixed(0.25, "bad"),
        make_pipeline(StandardScaler(), fixed(0.2)),
        GridSearchCV(fixed(0.2), {"estimator__C": [1e-3]}, cv=2),
        TunedThresholdClassifierCV(LINEAR, scoring="recall_macro", cv=2),
        FixedThresholdClassifier(SVC(), threshold=1.0, pos_label="good"),
    ],
)
def test_thresholds_inside_of_others_are_found(teacher):
    teacher = clone(teacher).fit(X, NAMES)
    differ = (teacher.predict(X) != teacher.classes_[scores(teacher).argmax(1)]).sum()
    if differ > 20:
        found(teacher)


def scores(teacher):
    if hasattr(teacher, "predict_proba"):
        return teacher.predict_proba(X)
    s = teacher.decision_function(X)
    return np.column_stack([0 * s, s])


class Own(ClassifierMixin, BaseEstimator):
    """Decides for the second best of three, or not."""

    def __init__(self, rank=-2):
        self.rank = rank

    def fit(self, X, y):
        self.inner_ = RandomForestClassifier(20, random_state=0).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)

    def predict(self, X):
        asked.append(len(X))
        return self.classes_[self.predict_proba(X).argsort(axis=1)[:, self.rank]]


asked = []


def test_classifiers_of_others_are_asked_for_few_rows_where_they_run():
    A, b = load_digits(return_X_y=True)
    assert "as_teacher(lambda X:" in found(Own().fit(A, b), A, b)
    asked.clear()
    teacher = Own(-1).fit(A, b)
    for _ in range(3):
        assert student(teacher, max_epochs=1).fit(A, b).teacher_findings_ == []
    assert asked == [200]  # later fits find its logits in the cache


@pytest.mark.parametrize(
    "model",
    [LINEAR, SVC(probability=True, random_state=0), RandomForestClassifier(20)],
)
@pytest.mark.filterwarnings("ignore:The `probability` parameter")
def test_usual_classifiers_are_no_finding(model):
    assert codes_of(check_health(clone(model).fit(X, y), X, y)) == []


def test_the_clones_of_folds_are_asked_too():
    with pytest.warns(TeacherWarning, match=r"^\[other-decisions\]"):
        student(fixed(0.2), teacher_cv=3, max_epochs=1).fit(X, NAMES)


def test_a_threshold_of_a_half_is_no_finding():
    assert check_health(fixed(0.5).fit(X, NAMES), X, NAMES) == []


def test_strict_stops_it_although_the_logits_are_cached():
    teacher = fixed(0.2).fit(X, NAMES)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"\[other-decisions\]"):
            student(teacher, strict=True).fit(X, NAMES)


def test_the_threshold_that_divides_decisions():
    p = np.linspace(0, 1, 101)
    assert threshold_between(p, 1 * (p > 0.305)) == pytest.approx(0.305, abs=0.01)
    assert threshold_between(p, np.ones(101, int)) <= 0
    assert threshold_between(p, np.zeros(101, int)) >= 1
