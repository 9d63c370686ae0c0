"""DistilledClassifier wherever scikit-learn takes a classifier."""

import numpy as np
import pytest
from iris_helpers import (
    GOOD,
    NAMES,
    X_test,
    X_train,
    classifier,
    quick,
    y_test,
    y_train,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skkd import DistilledClassifier
from skkd.teachers import as_teacher


def test_a_student_in_a_pipeline(teacher):
    # The teacher learnt from rows that were not scaled.
    in_front = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    in_front.fit(X_train, y_train)
    pipe = make_pipeline(StandardScaler(), classifier(teacher=in_front[-1]))
    assert pipe.fit(X_train, y_train).score(X_test, y_test) > GOOD
    assert pipe[-1].teacher_ is in_front[-1]
    assert_array_equal(pipe.classes_, [0, 1, 2])
    unscaled = make_pipeline(StandardScaler(), classifier(teacher=teacher))
    unscaled.fit(X_train, y_train, distilledclassifier__teacher_X=X_train)
    assert unscaled.score(X_test, y_test) > GOOD


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search(teacher, n_jobs):
    grid = GridSearchCV(
        classifier(teacher=teacher),
        {"temperature": [1.0, 4.0], "alpha": [0.0, 0.5, 1.0]},
        cv=3,
        n_jobs=n_jobs,
        error_score="raise",
    ).fit(X_train, y_train)
    assert grid.score(X_test, y_test) > GOOD
    assert grid.best_estimator_.teacher is teacher
    assert (grid.cv_results_["mean_test_score"] > GOOD).all()
    # Without a teacher's say the temperature means nothing.
    scores = grid.cv_results_["split0_test_score"][grid.cv_results_["param_alpha"] == 0]
    assert len(set(scores)) == 1


def test_randomized_search(teacher):
    search = RandomizedSearchCV(
        classifier(teacher=teacher),
        {"temperature": loguniform(1, 10), "optimizer__weight_decay": [0, 1e-4]},
        n_iter=3,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(X_train, y_train)
    assert search.score(X_test, y_test) > GOOD


@pytest.mark.parametrize("resource", ["n_samples", "max_epochs"])
def test_halving_grid_search(teacher, resource):
    search = HalvingGridSearchCV(
        classifier(teacher=teacher),
        {"temperature": [1, 2, 4], "alpha": [0.3, 0.9]},
        resource=resource,
        max_resources=30 if resource == "max_epochs" else "auto",
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(X_train, y_train)
    assert search.n_iterations_ > 1
    assert search.score(X_test, y_test) > GOOD


def test_cross_val_predict(teacher):
    p = cross_val_predict(
        classifier(teacher=teacher), X_train, y_train, cv=3, method="predict_proba"
    )
    assert p.shape == (100, 3)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p.argmax(axis=1) == y_train).mean() > GOOD


def test_cross_validate_with_scorers(teacher):
    scoring = ["accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro"]
    est = classifier(teacher=teacher)
    scores = cross_validate(
        est, X_train, y_train, scoring=scoring, cv=3, error_score="raise"
    )
    assert (scores["test_accuracy"] > 0.8).all()
    assert (scores["test_neg_log_loss"] > -np.log(3)).all()
    assert (scores["test_roc_auc_ovr"] > 0.9).all()


def test_learning_curve(teacher):
    _, train, test = learning_curve(
        classifier(teacher=teacher),
        X_train,
        y_train,
        train_sizes=[0.5, 1.0],
        cv=3,
        shuffle=True,
        random_state=0,
        error_score="raise",
    )
    assert train.shape == test.shape == (2, 3)
    assert test[-1].mean() > GOOD


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("labels", ["int", "str"])
def test_calibrated_classifier(ensemble, labels):
    train, test = (
        (y_train, y_test) if labels == "int" else (NAMES[y_train], NAMES[y_test])
    )
    teacher = GaussianNB().fit(X_train, train)
    if labels == "str" and not ensemble:
        # It fits on numbers first and on names in the end: only a teacher whose
        # columns go by position, as those of a function, suits both.
        teacher = teacher.predict_log_proba
    est = classifier(teacher=teacher)
    calibrated = CalibratedClassifierCV(est, cv=3, ensemble=ensemble)
    assert calibrated.fit(X_train, train).score(X_test, test) > GOOD
    prefit = CalibratedClassifierCV(FrozenEstimator(est.fit(X_train, train)))
    assert prefit.fit(X_test, test).score(X_test, test) > GOOD


@pytest.mark.parametrize("bootstrap", [True, False])
def test_bagging(teacher, bootstrap):
    bagging = BaggingClassifier(
        classifier(teacher=teacher), n_estimators=3, bootstrap=bootstrap, random_state=0
    ).fit(X_train, y_train)
    assert bagging.score(X_test, y_test) > GOOD
    assert all(member.teacher is teacher for member in bagging.estimators_)
    # Each has a random_state of its own.
    a, b = (m.predict_proba(X_test) for m in bagging.estimators_[:2])
    assert (a != b).any()


def test_voting_and_stacking(teacher):
    members = [
        ("taught", classifier(teacher=teacher)),
        ("alone", classifier()),
        ("out-of-fold", classifier(teacher=GaussianNB(), teacher_cv=3)),
    ]
    for voting in ("hard", "soft"):
        vote = VotingClassifier(members, voting=voting).fit(X_train, y_train)
        assert vote.score(X_test, y_test) > GOOD
    stack = StackingClassifier(members, cv=3).fit(X_train, y_train)
    assert stack.score(X_test, y_test) > GOOD
    assert stack.transform(X_test).shape == (50, 9)


def test_meta_estimators_that_pass_numbers_for_names():
    # VotingClassifier and others encode y: the teacher's names follow.
    teacher = GaussianNB().fit(X_train, NAMES[y_train])
    numbered = as_teacher(teacher, classes=[0, 1, 2])
    probabilities = []
    for known in (teacher, numbered):
        vote = VotingClassifier([("one", classifier(teacher=known))], voting="soft")
        vote.fit(X_train, NAMES[y_train])
        assert vote.score(X_test, NAMES[y_test]) > GOOD
        probabilities.append(vote.predict_proba(X_test))
    assert_array_equal(*probabilities)


@pytest.mark.parametrize("meta", [OneVsRestClassifier, OneVsOneClassifier])
@pytest.mark.parametrize("teacher_cv", [None, 3])
# All trees agree on which iris is a setosa.
@pytest.mark.filterwarnings(r"ignore:\[saturated\]:skkd.TeacherWarning")
def test_one_vs_rest_fits_a_teacher_for_each_problem(meta, teacher_cv):
    est = classifier(teacher=RandomForestClassifier(10, random_state=0))
    est.set_params(teacher_cv=teacher_cv, max_epochs=50)
    model = meta(est).fit(X_train, y_train)
    assert len(model.estimators_) == 3
    assert model.score(X_test, y_test) > GOOD
    for member in model.estimators_:
        assert_array_equal(member.classes_, [0, 1])


def test_one_vs_rest_refuses_a_teacher_of_all_classes(teacher):
    with pytest.raises(ValueError, match=r"\[(permuted|extra)-classes\]"):
        OneVsRestClassifier(quick(teacher=teacher, strict=True)).fit(X_train, y_train)


def test_self_training(teacher):
    hidden = y_train.copy()
    hidden[::2] = -1
    model = SelfTrainingClassifier(classifier(teacher=teacher), threshold=0.6)
    model.fit(X_train, hidden)
    assert model.score(X_test, y_test) > GOOD
    assert model.n_iter_ >= 1
    assert (model.transduction_ != -1).sum() > 50


def test_permutation_importance(teacher):
    est = classifier(teacher=teacher).fit(X_train, y_train)
    result = permutation_importance(est, X_test, y_test, n_repeats=3, random_state=0)
    assert result.importances.shape == (4, 3)
    assert result.importances_mean[2:].min() > result.importances_mean[:2].max()


def test_images_in_a_search():
    digits = load_digits()
    images = (digits.images[:300, None] * 15).astype(np.uint8)
    flat = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    teacher = flat.fit(digits.data[:300], digits.target[:300])
    grid = GridSearchCV(
        DistilledClassifier(teacher=teacher, lr=0.01, max_epochs=8, random_state=0),
        {"temperature": [1, 4]},
        cv=2,
        error_score="raise",
    ).fit(images, digits.target[:300], teacher_X=digits.data[:300])
    assert grid.best_score_ > 0.7  # chance is 0.1
    assert grid.predict(images).shape == (300,)
