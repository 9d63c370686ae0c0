"""Scores that are no log-odds are divided by a temperature fitted to the labels."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skkd import DistilledClassifier, TeacherWarning
from skkd._fit.score_scale import fit_temperature
from skkd.losses import KD
from skkd.teachers import as_teacher, check_health

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
X, y, X_TEST, Y_TEST = X[:600], y[:600], X[600:], y[600:]
SEEN = []


class Spy(KD):
    def __call__(self, student_logits, teacher_logits, y, temperature):
        SEEN.append(teacher_logits)
        return super().__call__(student_logits, teacher_logits, y, temperature)


def student(teacher, **params):
    return DistilledClassifier(
        teacher=teacher, **{"max_epochs": 1, "random_state": 0, **params}
    )


def taught(teacher, X=X, y=y, **params):
    """Return the fitted student, and what the loss saw of the teacher."""
    SEEN.clear()
    est = student(teacher, distillation=Spy(), batch_size=-1, **params)
    est.set_params(iterator_train__shuffle=False).fit(X, y)
    return est, SEEN[0].numpy()


SCORES = {
    "svc": SVC(),
    "linear svc": LinearSVC(),
    "ridge": RidgeClassifier(),
    "hinge": SGDClassifier(random_state=0),
    "one vs rest": OneVsRestClassifier(LinearSVC()),
    "pipeline": make_pipeline(StandardScaler(), RidgeClassifier()),
}


@pytest.mark.parametrize("name", SCORES)
def test_the_temperature_minimises_the_cross_entropy_of_smooth_labels(name):
    teacher = SCORES[name].fit(X, y)
    est, seen = taught(teacher)
    T, raw = est.teacher_temperature_, teacher.decision_function(X)
    assert_allclose(seen, raw / T, rtol=1e-4, atol=1e-5)
    share = (np.bincount(y)[y] + 1) / (np.bincount(y)[y] + 2)
    target = np.eye(10)[y] * share[:, None]
    target += (1 - np.eye(10)[y]) * (1 - share[:, None]) / 9

    def loss(t):
        return -(target * log_softmax(raw / t, axis=1)).sum(axis=1).mean()

    assert loss(T) <= min(loss(0.98 * T), loss(1.02 * T), loss(1)) + 1e-7


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("model", [SVC(), RidgeClassifier(), LinearSVC()])
@pytest.mark.parametrize("cv", ["prefit", 3])
def test_the_students_probabilities_are_not_spoiled(model, binary, cv):
    data = (X, y, X_TEST, Y_TEST)
    if binary:
        A, b = load_breast_cancer(return_X_y=True)
        A = StandardScaler().fit_transform(A).astype(np.float32)
        data = (A[:350], b[:350], A[350:], b[350:])
    A, b, C, d = data

    def loss(teacher, teacher_cv="prefit"):
        est = student(teacher, teacher_cv=teacher_cv, max_epochs=15).fit(A, b)
        return log_loss(d, est.predict_proba(C))

    fitted = clone(model).fit(A, b)
    with_scale = loss(fitted if cv == "prefit" else model, cv)
    assert with_scale < loss(None) + 0.06
    assert with_scale < loss(as_teacher(fitted, output="logits"))


def test_scores_that_separate_the_labels_have_a_finite_scale():
    scores = np.eye(3)[np.arange(30) % 3] * 7.0
    T = fit_temperature(scores, np.arange(30) % 3)
    p = np.exp(log_softmax(scores / T, axis=1)).max(axis=1)
    assert_allclose(p, 11 / 12, rtol=1e-4)  # Platt's target of 10 rows
    assert fit_temperature(scores * 1e6, np.arange(30) % 3) == pytest.approx(T * 1e6)
    assert fit_temperature(scores, np.zeros(30, dtype=int)) is None
    assert fit_temperature(np.ones((30, 3)), np.arange(30) % 3) is None
    noise = np.random.RandomState(0).randn(30, 3)
    flat = log_softmax(noise / fit_temperature(noise, np.arange(30) % 3), axis=1)
    assert np.exp(flat).max() < 0.6


def test_only_scores_are_scaled():
    svc, linear = SVC().fit(X, y), LogisticRegression(max_iter=500).fit(X, y)
    z = svc.decision_function(X)
    for teacher in (as_teacher(svc, output="logits"), linear, None):
        assert taught_temperature(teacher) == 1
    est = student(None).fit(X, y, teacher_logits=z)
    assert est.teacher_temperature_ == 1
    for teacher in ([svc, linear], as_teacher(svc, transform=torch.clone)):
        assert taught_temperature(teacher) != 1


def taught_temperature(teacher):
    return student(teacher).fit(X, y).teacher_temperature_


def test_the_cache_holds_raw_scores_and_each_fit_has_its_own_scale():
    teacher = SVC().fit(X, y)
    first = student(teacher).fit(X, y)
    wrong = np.random.RandomState(0).permutation(y)
    with pytest.warns(TeacherWarning, match="chance-level"):
        second = student(teacher).fit(X, wrong)
    assert second.cache_info_.misses == 0
    assert second.teacher_temperature_ > 10 * first.teacher_temperature_
    assert pickle.loads(pickle.dumps(first)).teacher_temperature_ == (
        first.teacher_temperature_
    )


def test_views_and_a_live_teacher_are_scaled_too():
    teacher = RidgeClassifier().fit(X, y)
    est, seen = taught(teacher, augment=lambda x: x)
    raw = teacher.decision_function(X)
    assert est.teacher_temperature_ < 0.5
    assert_allclose(seen, raw / est.teacher_temperature_, rtol=1e-4, atol=1e-4)


def test_a_further_partial_fit_keeps_the_scale():
    est = student(SVC().fit(X, y)).partial_fit(X, y)
    T = est.teacher_temperature_
    assert est.partial_fit(X[:3], y[:3]).teacher_temperature_ == T
    assert est.set_params(teacher=LinearSVC().fit(X, y)).partial_fit(X, y)
    assert est.teacher_temperature_ != T


def test_scores_without_labels_are_a_finding():
    teacher = SVC().fit(X, y)
    est = student(teacher, unlabeled=-1, classes=range(10), alpha=1.0, strict=True)
    with pytest.raises(ValueError, match=r"\[scores-as-logits\].*output='logits'"):
        est.fit(X, np.full(len(X), -1))
    est.set_params(teacher=as_teacher(teacher, output="logits"))
    est.fit(X, np.full(len(X), -1))


def test_scores_are_not_called_saturated():
    teacher = RidgeClassifier().fit(X, y)
    teacher.coef_ *= 1e4
    teacher.intercept_ *= 1e4
    assert check_health(teacher, X, y, temperature=4) == []
    assert student(teacher, temperature=4).fit(X, y).teacher_findings_ == []
