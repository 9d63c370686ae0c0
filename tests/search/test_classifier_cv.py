"""DistilledClassifierCV chooses temperature and alpha, as RidgeCV its penalty."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skkd import DistilledClassifier, DistilledClassifierCV
from skkd.search._halving import within_one_standard_error

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
TEACHER = LogisticRegression(max_iter=1000).fit(X[::2], NAMES[::2])
SETTINGS = {
    "module__hidden": 8,
    "max_epochs": 4,
    "lr": 0.02,
    "random_state": 0,
    "device": "cpu",
}


def net(**params):
    return DistilledClassifierCV(**{"teacher": TEACHER, "cv": 3, **SETTINGS, **params})


def of_the_student(estimator):
    if "teacher_cv" not in vars(estimator):
        return {}
    name = "check_no_attributes_set_in_init"
    return {name: "parameters of the student are keywords that it passes on"}


@parametrize_with_checks(
    [
        DistilledClassifierCV(cv=2),
        DistilledClassifierCV(
            teacher=LogisticRegression(),
            teacher_cv=None,
            temperatures=(1, 4),
            alphas=(0.5,),
            cv=2,
        ),
    ],
    expected_failed_checks=of_the_student,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_chooses_the_best_candidate_and_trains_on_all_samples():
    student = net(temperatures=[1, 4], alphas=[0.5, 1.0]).fit(X, NAMES)
    results = student.cv_results_
    assert len(results["params"]) == 5  # the plain student is one of them
    assert results["params"][0] == {"alpha": 0, "temperature": 1}
    best = results["params"][int(results["rank_test_score"].argmin())]
    assert {"alpha": student.alpha_, "temperature": student.temperature_} == best
    assert student.best_score_ == results["mean_test_score"].max()
    single = DistilledClassifier(teacher=TEACHER, **SETTINGS, **best).fit(X, NAMES)
    assert_array_equal(student.predict_proba(X), single.predict_proba(X))
    assert student.packing_.n_packed == 15
    again = pickle.loads(pickle.dumps(student))
    assert_array_equal(again.predict(X), student.predict(X))


def test_a_teacher_that_helps_is_taken():
    X, y = load_digits(return_X_y=True)
    teacher = RandomForestClassifier(50, random_state=0).fit(X[400:], y[400:])
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(400) < 0.4, rng.integers(0, 10, 400), y[:400])
    some = {"temperatures": [1, 4], "alphas": [0.5, 0.9]}
    student = net(teacher=teacher, max_epochs=20, module__hidden=64, **some)
    student.fit(X[:400], noisy)
    assert student.alpha_ > 0
    # Of those that are as good, this takes the one that is nearest to no teacher.
    careful = clone(student).set_params(rule="one_standard_error").fit(X[:400], noisy)
    assert 0 < careful.alpha_ <= student.alpha_


def test_the_rule_of_one_standard_error():
    pairs = [(0, 1), (0.9, 1), (0.3, 4), (0.3, 2)]
    results = {
        "mean_test_score": np.array([0.80, 0.90, 0.88, 0.885]),
        "std_test_score": np.full(4, 0.04),
        "split0_test_score": None,
        "split1_test_score": None,
        "split2_test_score": None,
        "split3_test_score": None,
        "params": [{"alpha": a, "temperature": t} for a, t in pairs],
    }
    assert within_one_standard_error(results) == 3


def test_without_a_teacher_there_is_nothing_to_choose():
    student = net(teacher=None).fit(X, NAMES)
    assert student.alpha_ == 0
    assert len(student.cv_results_["params"]) == 1
    logits = TEACHER.predict_log_proba(X)
    taught = net(teacher=None).fit(X, NAMES, teacher_logits=logits)
    assert len(taught.cv_results_["params"]) == 13


def test_successive_halving():
    student = net(halving=True, max_epochs=10).fit(X, NAMES)
    assert not hasattr(student, "packing_")
    results = student.cv_results_
    assert {*results["n_resources"]} == {1, 3, 9}
    assert student.student_.max_epochs == 10 == len(student.student_.history)
    last = np.flatnonzero(results["iter"] == 2)
    best = last[results["mean_test_score"][last].argmax()]
    assert student.best_score_ == results["mean_test_score"][best]
    assert student.alpha_ == results["params"][best]["alpha"]
    single = DistilledClassifier(
        teacher=TEACHER,
        alpha=student.alpha_,
        temperature=student.temperature_,
        **{**SETTINGS, "max_epochs": 10},
    )
    expected = single.fit(X, NAMES).predict_proba(X)
    assert_array_equal(student.predict_proba(X), expected)


def test_the_rule_holds_for_the_last_round_of_halving():
    def by_alpha(estimator, X, y):
        # All are as good as the best of the last round; more epochs are worse.
        noise = 0.1 * (len(X) + X[0, 0]) % 1
        return noise - estimator.max_epochs - 0.001 * (1 - estimator.alpha)

    settings = {"halving": True, "max_epochs": 9, "scoring": by_alpha}
    student = net(**settings).fit(X, NAMES)
    results = student.cv_results_
    last = [
        p for p, i in zip(results["params"], results["iter"], strict=True) if i == 2
    ]
    assert len(last) == 2 and student.alpha_ == max(p["alpha"] for p in last)
    careful = net(rule="one_standard_error", **settings).fit(X, NAMES)
    assert careful.alpha_ == min(p["alpha"] for p in last)


def test_parameters():
    student = net()
    params = student.get_params()
    assert params["lr"] == 0.02 and params["batch_size"] == 64
    assert not {"temperature", "alpha"} & set(params)
    assert student.set_params(lr=0.1, cv=2, module__hidden=4) is student
    assert "lr=0.1" in repr(student) and "teacher=LogisticRegression" in repr(student)
    twin = clone(student)
    assert twin.teacher is TEACHER
    assert twin.get_params()["module__hidden"] == 4
    with pytest.raises(ValueError, match="temprature"):
        student.set_params(temprature=1)
    with pytest.raises(TypeError, match="alpha: chosen by cross-validation here"):
        net(alpha=0.5).fit(X, NAMES)


def test_in_a_search_and_in_cross_validation():
    grid = {"module__hidden": [4, 8]}
    search = GridSearchCV(net(alphas=[0.5], temperatures=[2]), grid, cv=2)
    assert search.fit(X, NAMES).best_params_.keys() == grid.keys()
    assert len(cross_val_score(net(alphas=[0.5]), X, NAMES, cv=2)) == 2
    fitted = DistilledClassifierCV(
        teacher=LogisticRegression(max_iter=1000), teacher_cv=2, cv=2, **SETTINGS
    )
    fitted.set_params(teacher__C=0.1)
    assert fitted.fit(X, NAMES).student_.teacher_[0].C == 0.1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperatures": []}, "temperatures is empty"),
        ({"temperatures": [0]}, "temperature=0: expected"),
        ({"alphas": [2]}, "alpha=2: expected a number in"),
        ({"rule": "median"}, "rule='median': expected one of"),
        ({"halving": True, "max_epochs": 2}, "max_epochs=2: expected"),
    ],
)
def test_impossible_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        net(**params).fit(X, NAMES)
