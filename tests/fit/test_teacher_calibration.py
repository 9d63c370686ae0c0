"""A teacher that is too sure of itself is calibrated on rows that it did not see."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from skkd import DistilledClassifier
from skkd._fit.score_scale import calibrate
from skkd.recipes import AssistantChain, BornAgain
from skkd.report import gain
from skkd.search import PackedSearchCV

X, y = make_classification(
    900, 8, n_informative=5, n_classes=3, flip_y=0.3, random_state=0
)
X = X.astype(np.float32)
X, y, X_TEST, Y_TEST = X[:500], y[:500], X[500:], y[500:]


class Unweighted(HistGradientBoostingClassifier):
    """One that takes no weights: they matter to the temperature alone."""

    def __init__(self, min_samples_leaf=5, random_state=0):
        super().__init__(min_samples_leaf=min_samples_leaf, random_state=random_state)

    def fit(self, X, y):
        return super().fit(X, y)


FOLDS = StratifiedKFold(4, shuffle=True, random_state=0)
TOO_SURE = HistGradientBoostingClassifier(min_samples_leaf=5, random_state=0)


def student(teacher=TOO_SURE, **params):
    settings = {
        "teacher_cv": FOLDS,
        "teacher_calibration": "temperature",
        "max_epochs": 4,
        "alpha": 0.9,
        "random_state": 0,
        "device": "cpu",
    }
    return DistilledClassifier(teacher=teacher, **{**settings, **params})


def logits_out_of_fold():
    proba = cross_val_predict(TOO_SURE, X, y, cv=FOLDS, method="predict_proba")
    return np.log(proba)


def best_temperature(logits, labels, weight):
    """Look through a thousand temperatures for the least Brier score."""
    scores = {}
    for t in np.geomspace(0.2, 10, 1000):
        proba = np.exp(log_softmax(logits / t, axis=1))
        own = proba[np.arange(len(labels)), labels]
        scores[t] = weight @ (1 - 2 * own + (proba**2).sum(axis=1))
    return min(scores, key=scores.get)


@pytest.mark.filterwarnings("ignore:Unweighted.fit takes no sample_weight")
@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_that_of_rows_that_were_not_seen(weighted):
    weight = np.where(y == 1, 3.0, 1.0) if weighted else np.ones(len(y))
    net = student(Unweighted()).fit(X, y, sample_weight=weight)
    expected = best_temperature(logits_out_of_fold(), y, weight)
    assert expected > 1.2
    assert_allclose(net.teacher_temperature_, expected, rtol=5e-3)


def test_the_zeros_of_a_forest_are_no_certainties():
    forest = RandomForestClassifier(100, random_state=0)
    net = student(forest, max_epochs=1).fit(X, y)
    assert 0.6 < net.teacher_temperature_ < 1.4


def test_labels_of_one_class_tell_nothing():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    assert calibrate(logits, np.array([0, -1, 0])) == 1


def test_the_student_learns_from_the_logits_divided_by_it():
    net = student().fit(X, y)
    divided = logits_out_of_fold() / net.teacher_temperature_
    given = student(teacher=None, teacher_cv="prefit", teacher_calibration=None)
    given.fit(X, y, teacher_logits=divided)
    assert_allclose(net.predict_proba(X), given.predict_proba(X), atol=1e-4)
    raw = student(teacher_calibration=None).fit(X, y)
    assert raw.teacher_temperature_ == 1
    assert np.abs(raw.predict_proba(X) - net.predict_proba(X)).max() > 0.05


def test_a_student_of_a_teacher_that_is_too_sure_is_surer_than_right():
    losses = [
        log_loss(Y_TEST, net.fit(X, y).predict_proba(X_TEST))
        for net in (
            student(max_epochs=30, lr=0.01, alpha=1.0),
            student(max_epochs=30, lr=0.01, alpha=1.0, teacher_calibration=None),
        )
    ]
    assert losses[0] < losses[1] - 0.05


def test_rows_without_a_label_are_left_out():
    labels = y.copy()
    labels[::3] = -1
    known = labels >= 0
    some = student(unlabeled=-1, teacher_cv=4).fit(X, labels)
    alone = student(teacher_cv=4).fit(X[known], y[known])
    assert_allclose(some.teacher_temperature_, alone.teacher_temperature_, rtol=1e-4)


def test_a_search_packs_calibrated_and_raw_teachers_apart():
    grid = {"teacher_calibration": [None, "temperature"], "alpha": [0.5, 0.9]}
    found = [
        search(student(), grid, cv=3, refit=False).fit(X, y).cv_results_
        for search in (GridSearchCV, PackedSearchCV)
    ]
    scores = [results["mean_test_score"] for results in found]
    assert_allclose(*scores, atol=0.01)
    assert found[0]["params"] == found[1]["params"]


def test_logits_that_are_given_are_taken_as_they_are():
    given = logits_out_of_fold()
    net = student().fit(X, y, teacher_logits=given)
    assert net.teacher_temperature_ == 1


def test_a_student_without_a_teacher():
    for params in [{"teacher": None}, {"teacher": None, "teacher_cv": "prefit"}]:
        assert student(**params).fit(X, y).teacher_temperature_ == 1
    net = clone(student(alpha=0.0)).fit(X, y)
    alone = student(teacher=None, teacher_calibration=None).fit(X, y)
    assert_array_equal(net.predict_proba(X), alone.predict_proba(X))


def test_recipes_and_gain_calibrate_the_first_teacher_alone():
    chain = BornAgain(student(max_epochs=1), 2).fit(X, y)
    first, second = chain.generations_
    assert first.teacher_temperature_ > 1.2
    assert second.teacher_temperature_ == 1
    assert gain(student(max_epochs=1), X, y, cv=2, seeds=1).distilled.shape == (1, 2)
    members = [{"teacher_calibration": "temperature"}]
    with pytest.raises(ValueError, match="sets teacher_calibration, which the recipe"):
        AssistantChain(student(), members).fit(X, y)


def test_a_tree_is_as_sure_as_it_is_right():
    # All of its outputs are 0 and 1: divided, they are its accuracy.
    with pytest.warns(match="saturated"):
        net = student(DecisionTreeClassifier(random_state=0)).fit(X, y)
    assert net.teacher_temperature_ > 1


@pytest.mark.parametrize("teacher_cv", ["prefit", None])
def test_rows_that_the_teacher_saw_tell_nothing(teacher_cv):
    teacher = LogisticRegression().fit(X, y)
    net = student(teacher, teacher_cv=teacher_cv)
    with pytest.raises(ValueError, match=r"teacher_calibration=.*teacher_cv=5"):
        net.fit(X, y)


def test_other_ways_of_calibration():
    with pytest.raises(ValueError, match=r"'isotonic'.*None or 'temperature'"):
        student(teacher_calibration="isotonic").fit(X, y)
