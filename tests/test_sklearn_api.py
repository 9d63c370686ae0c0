"""DistilledClassifier wherever scikit-learn takes a classifier."""

import pickle
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
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
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd.losses import KD, DistillationLoss
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
GOOD = 0.85  # chance is 1/3
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, test_size=50, random_state=0
)


def classifier(**params):
    """Return a student that learns iris in a fraction of a second."""
    params = {
        "module__hidden": 16,
        "max_epochs": 30,
        "lr": 0.02,
        "batch_size": 32,
        "random_state": 0,
        "device": "cpu",
        **params,
    }
    return DistilledClassifier(**params)


def quick(**params):
    return classifier(**{"max_epochs": 1, "module__hidden": (), **params})


def never_built(**kwargs):
    raise AssertionError("the student was built")


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=1000).fit(X_train, y_train)


# --- scikit-learn's own checks ------------------------------------------------------


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


# --- Meta-estimators ----------------------------------------------------------------


def test_pipeline(teacher):
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


@pytest.mark.parametrize("n_jobs", [1, 2])
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


def test_meta_estimators_that_hand_on_numbers_for_names():
    # VotingClassifier and others encode y: the teacher's names must follow.
    teacher = GaussianNB().fit(X_train, NAMES[y_train])
    vote = VotingClassifier([("one", quick(teacher=teacher))])
    with pytest.raises(ValueError, match=r"does not know the classes.*classes=\[..."):
        vote.fit(X_train, NAMES[y_train])
    numbered = as_teacher(teacher, classes=[0, 1, 2])
    vote = VotingClassifier([("one", classifier(teacher=numbered))], voting="soft")
    assert vote.fit(X_train, NAMES[y_train]).score(X_test, NAMES[y_test]) > GOOD


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
    with pytest.raises(ValueError, match=r"knows classes that y does not have: \[2\]"):
        OneVsRestClassifier(quick(teacher=teacher)).fit(X_train, y_train)


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


# --- What can be searched -----------------------------------------------------------


class ScaledKD(DistillationLoss):
    """Hinton's loss, times beta; leaves beta in a list for the test."""

    seen = []

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        ScaledKD.seen.append((self.beta, temperature))
        return self.beta * KD()(student_logits, teacher_logits, y, temperature)


@pytest.mark.parametrize(
    "grid",
    [
        {"temperature": [1, 2.5, np.float32(4), np.int64(8)]},
        {"alpha": [0, 0.5, 1, np.float64(0.25)]},
        {"module__hidden": [(), 4, (4, 4)]},
        {"optimizer__weight_decay": [0, 0.1]},
        {"lr": [0.01, 0.1], "batch_size": [16, -1]},
        {"distillation": ["kd", "hard", "mse", KD(), ScaledKD]},
        {"distillation": [ScaledKD()], "distillation__beta": [0.5, 2]},
        {"teacher_cv": [None, 2], "teacher": [GaussianNB(), LogisticRegression()]},
        {"class_weight": [None, "balanced", {0: 1, 1: 2, 2: 3}]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_searchable(teacher, grid):
    search = GridSearchCV(
        quick(teacher=teacher), grid, cv=2, error_score="raise", refit=True
    ).fit(X_train, y_train)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for name, value in search.best_params_.items():
        assert name in search.best_estimator_.get_params()
        assert search.best_estimator_.get_params()[name] is value or not isinstance(
            value, float
        )


def test_parameters_of_the_loss_reach_it(teacher):
    ScaledKD.seen.clear()
    given = ScaledKD()
    search = GridSearchCV(
        quick(teacher=teacher, distillation=given, batch_size=-1),
        {"distillation__beta": [0.5, 2], "temperature": [1, 3]},
        cv=2,
        refit=False,
        error_score="raise",
    ).fit(X_train, y_train)
    assert len(search.cv_results_["params"]) == 4
    assert sorted(set(ScaledKD.seen)) == [(0.5, 1), (0.5, 3), (2, 1), (2, 3)]
    assert len(ScaledKD.seen) == 8
    assert given.beta == 1.0


BAD = [("temperature", value) for value in (0, -1, np.nan, np.inf, "a", None, True)]
BAD += [("alpha", value) for value in (-0.1, 1.1, np.nan, "a", None)]
BAD += [("distillation", value) for value in ("kb", "")]
BAD += [("distillation__gamma", 1), ("unheard_of", 1), ("module__unheard_of", 1)]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("with_teacher", [False, True])
def test_invalid_values_raise_before_training(teacher, name, value, with_teacher):
    params = {"teacher": teacher if with_teacher else None, name: value}
    if "unheard_of" not in name:  # those are told when the student is being built
        params |= {"module": never_built, "module__hidden": ()}
    est = classifier(**params)  # the constructor itself checks nothing
    with pytest.raises((ValueError, TypeError)) as caught:
        est.fit(X_train, y_train)
    assert name.split("__")[-1] in str(caught.value)
    assert "built" not in str(caught.value) or "cannot be built" in str(caught.value)


@pytest.mark.parametrize("value", [5, object(), lambda a: a])
def test_invalid_distillation(teacher, value):
    with pytest.raises(TypeError, match="distillation"):
        quick(teacher=teacher, distillation=value, module=never_built).fit(X, y)


# --- teacher_logits and sample_weight, sliced per fold ------------------------------

# Logits that tell their row: column 0 holds its number, and so does X.
INDEX = np.column_stack([np.arange(60), np.zeros(60)])
LABELS = np.tile([0, 1, 2], 20)
ROW_LOGITS = np.column_stack([np.arange(60), LABELS, np.zeros(60)]).astype(float)


class RowSpy(DistillationLoss):
    """Writes down the rows of each batch, by the teacher's logits."""

    batches = []

    def __call__(self, student_logits, teacher_logits, y, temperature):
        rows = teacher_logits[:, 0].long()
        # The labels that came with the logits are those of the same rows.
        assert_array_equal(y.numpy(), LABELS[rows.numpy()])
        RowSpy.batches.append(sorted(rows.tolist()))
        return student_logits.sum(dim=1)


@pytest.fixture
def batches():
    RowSpy.batches.clear()
    return RowSpy.batches


def spied(**params):
    return quick(distillation=RowSpy(), batch_size=-1, **params)


def routed(estimator, routing):
    """Ask for what fit shall be given, where scikit-learn wants to be asked."""
    if routing:
        estimator.set_fit_request(teacher_logits=True, sample_weight=True)
        estimator.set_score_request(sample_weight=True)
    return estimator


def splits():
    return list(StratifiedKFold(3).split(INDEX, LABELS))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame, torch.tensor])
# Each row is told by a logit of its own size.
@pytest.mark.filterwarnings(r"ignore:\[saturated\]:skkd.TeacherWarning")
def test_logits_are_sliced_per_fold(routing, in_pipeline, weighted, container, batches):
    if routing and in_pipeline and weighted and not hasattr(sklearn, "callback"):
        pytest.skip("scikit-learn before 1.9 demands a score request of the Pipeline")
    with sklearn.config_context(enable_metadata_routing=routing):
        model, prefix = routed(spied(), routing), ""
        if in_pipeline:
            scaler = StandardScaler()
            if routing:
                scaler.set_fit_request(sample_weight=False)
            else:
                prefix = "distilledclassifier__"
            model = make_pipeline(scaler, model)
        params = {f"{prefix}teacher_logits": container(ROW_LOGITS)}
        if weighted:
            params[f"{prefix}sample_weight"] = np.linspace(1, 2, 60)
        name = "distilledclassifier__temperature" if in_pipeline else "temperature"
        grid = GridSearchCV(model, {name: [1, 2]}, cv=splits(), error_score="raise")
        grid.fit(INDEX, LABELS, **params)
    train = [sorted(train.tolist()) for train, _ in splits()]
    assert batches == [*train, *train, list(range(60))]


def test_logits_that_nobody_asked_for_are_refused_by_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        grid = GridSearchCV(spied(), {"temperature": [1]}, cv=2)
        with pytest.raises(
            sklearn.exceptions.UnsetMetadataPassedError, match="teacher_logits"
        ):
            grid.fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)


def test_logits_take_the_place_of_the_teacher(teacher):
    logits = teacher.predict_log_proba(X_train)
    asked = classifier(teacher=teacher).fit(X_train, y_train)
    given = classifier().fit(X_train, y_train, teacher_logits=logits)
    assert_array_equal(asked.predict_proba(X_test), given.predict_proba(X_test))
    # Not even an unfitted teacher is asked, then.
    other = classifier(teacher=LogisticRegression())
    other.fit(X_train, y_train, teacher_logits=logits)
    assert_array_equal(other.predict_proba(X_test), given.predict_proba(X_test))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_logits_of_any_precision(dtype):
    est = quick(alpha=1).fit(INDEX, LABELS, teacher_logits=ROW_LOGITS.astype(dtype))
    expected = quick(alpha=1).fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)
    assert_array_equal(est.predict_proba(INDEX), expected.predict_proba(INDEX))


def test_tensor_of_logits():
    logits = torch.tensor(ROW_LOGITS, requires_grad=True)
    est = quick().fit(INDEX, LABELS, teacher_logits=logits)
    expected = quick().fit(INDEX, LABELS, teacher_logits=ROW_LOGITS)
    assert_array_equal(est.predict_proba(INDEX), expected.predict_proba(INDEX))
    assert logits.grad is None


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (ROW_LOGITS[:-1], r"shape \(59, 3\), expected \(60, 3\)"),
        (ROW_LOGITS[:, :2], r"shape \(60, 2\), expected \(60, 3\)"),
        (ROW_LOGITS[:, 0], r"shape \(60,\), expected \(60, 3\)"),
        (ROW_LOGITS[None], r"shape \(1, 60, 3\), expected"),
        (np.where(ROW_LOGITS == 7, np.nan, ROW_LOGITS), r"not finite in 1 .* row 7"),
        (np.where(ROW_LOGITS == 7, -np.inf, ROW_LOGITS), r"np\.log\(np\.clip"),
        (np.where(ROW_LOGITS == 7, np.inf, ROW_LOGITS), "not finite"),
        (ROW_LOGITS.astype(str), "dtype"),
        (ROW_LOGITS > 0, "dtype bool"),
        (ROW_LOGITS * 1e300, "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_bad_logits(logits, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(INDEX, LABELS, teacher_logits=logits)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(59), "shape"),
        (np.full(60, np.nan), "NaN"),
        (-np.ones(60), "[Nn]egative"),
        (np.zeros(60), "zero"),
        (np.ones((60, 2)), "1D|dim"),
    ],
)
def test_bad_sample_weight(weight, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(INDEX, LABELS, sample_weight=weight)


# --- Shown in a line, and as a diagram ----------------------------------------------


def tiny():
    return nn.Linear(4, 3)


def skorch_net():
    return NeuralNetClassifier(tiny(), criterion=nn.CrossEntropyLoss).initialize()


SHOWN = {
    "module": (tiny, "Linear(15 parameters)"),
    "skorch": (skorch_net, "NeuralNetClassifier(Linear(15 parameters))"),
    "frozen": (
        lambda: FrozenEstimator(tiny()),
        "FrozenEstimator(Linear(15 parameters))",
    ),
    "frozen-net": (lambda: FrozenEstimator(skorch_net()), "NeuralNetClassifier(Linear"),
    "as-teacher": (lambda: as_teacher(tiny()), "as_teacher(Linear(15 parameters))"),
    "as-net": (lambda: as_teacher(skorch_net()), "as_teacher(NeuralNetClassifier("),
    "list": (lambda: [tiny(), GaussianNB()], "[Linear(15 parameters), GaussianNB()]"),
    "student": (lambda: quick().fit(X, y), "DistilledClassifier(MLP(15 parameters))"),
    "pipeline": (lambda: make_pipeline(StandardScaler(), skorch_net()), "Pipeline"),
    "frozen-step": (
        lambda: make_pipeline(StandardScaler(), FrozenEstimator(skorch_net())),
        "Pipeline",
    ),
    "function": (lambda: never_built, "never_built"),
    "forest": (lambda: RandomForestClassifier(7), "RandomForestClassifier(n_estim"),
    "none": (lambda: None, "None"),
}


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("module", [None, "instance"])
def test_shown_without_its_layers(kind, module):
    make, expected = SHOWN[kind]
    module = None if module is None else nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    est = DistilledClassifier(module, teacher=make(), temperature=3.5, alpha=0.25)
    line = repr(est)
    assert f"teacher={expected}" in line or expected in line
    assert "temperature=3.5, alpha=0.25" in line
    assert "module=" in line
    html = est._repr_html_()
    for word in ("teacher", "student", "temperature", "3.5", "alpha", "0.25"):
        assert word in html
    for text in (line, str(est), html):
        assert "Linear(in" not in text  # a table shows only the beginning
    assert len(line) < 300


def test_line_shows_what_differs_from_the_defaults():
    assert repr(DistilledClassifier()) == (
        "DistilledClassifier(module=None, teacher=None, "
        f"temperature={DistilledClassifier().temperature!r}, "
        f"alpha={DistilledClassifier().alpha!r})"
    )
    line = repr(quick(classes=np.arange(3), optimizer__betas=(0.5, 0.9), unlabeled=-1))
    assert "classes=array([0, 1, 2])" in line
    assert "optimizer__betas=(0.5, 0.9)" in line
    assert "module__hidden=()" in line
    assert "unlabeled=-1" in line
    assert "train_split" not in line


def test_shown_after_fit(teacher):
    est = quick(teacher=teacher).fit(X_train, y_train)
    assert "MLP(15 parameters)" in est._repr_html_()
    search = GridSearchCV(est, {"temperature": [1]}, cv=2).fit(X_train, y_train)
    assert "in_features" not in search._repr_html_()


# --- Conventions --------------------------------------------------------------------


def test_it_is_a_classifier():
    assert is_classifier(DistilledClassifier())
    assert sklearn.utils.get_tags(DistilledClassifier()).estimator_type == "classifier"


def test_params_are_kept_as_they_were_given(teacher):
    module, callbacks, loss = tiny(), [], KD()
    given = {
        "module": module,
        "teacher": teacher,
        "temperature": 3,
        "distillation": loss,
        "callbacks": callbacks,
        "class_weight": {0: 1},
        "module__hidden": (3,),
        "optimizer__weight_decay": 0.1,
        "device": "auto",
    }
    est = DistilledClassifier(**given)
    params = est.get_params(deep=False)
    assert all(params[name] is value for name, value in given.items())
    twin = clone(est)
    assert twin.teacher is teacher
    assert twin.module is not module
    assert twin.get_params(deep=False).keys() == params.keys()
    twin.set_params(temperature=9, module__hidden=(1,))
    assert est.temperature == 3
    assert est.get_params()["module__hidden"] == (3,)


def test_clone_is_not_fitted(teacher):
    est = quick(teacher=teacher).fit(X_train, y_train)
    twin = clone(est)
    assert twin.teacher is est.teacher is est.teacher_
    with pytest.raises(sklearn.exceptions.NotFittedError):
        twin.predict(X_test)
    assert_array_equal(
        twin.fit(X_train, y_train).predict_proba(X_test), est.predict_proba(X_test)
    )


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_clone_unfits_a_teacher_that_is_to_be_fitted(teacher, teacher_cv):
    twin = clone(quick(teacher=teacher, teacher_cv=teacher_cv))
    assert twin.teacher is not teacher
    assert not hasattr(twin.teacher, "coef_")
    assert hasattr(teacher, "coef_")


def test_module_instance_is_a_template():
    module = tiny()
    before = [p.detach().clone() for p in module.parameters()]
    est = DistilledClassifier(
        module, max_epochs=3, lr=0.1, random_state=0, device="cpu"
    )
    first = est.fit(X, y).predict_proba(X)
    assert est.module is module
    assert est.module_ is not module
    assert module.training
    for p, old in zip(module.parameters(), before, strict=True):
        assert torch.equal(p, old)
        assert p.grad is None
    # It starts from the template each time, and so does a clone.
    assert_array_equal(est.fit(X, y).predict_proba(X), first)
    assert_array_equal(clone(est).fit(X, y).predict_proba(X), first)


@pytest.mark.parametrize("name", ["temprature", "teacher_logits", "estimator__C"])
def test_unknown_parameter(name):
    if "__" not in name:  # skorch leaves these for the fit to judge
        with pytest.raises(ValueError, match=f"Invalid parameter '{name}'"):
            DistilledClassifier().set_params(**{name: 1})
    with pytest.raises(ValueError, match=name.split("__")[0]):
        GridSearchCV(quick(), {name: [1]}, cv=2, error_score="raise").fit(X, y)


def test_unknown_parameter_of_the_teacher():
    est = DistilledClassifier(teacher=LogisticRegression(), teacher_cv=None)
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        est.set_params(teacher__gamma=1)


@pytest.mark.parametrize(
    "labels",
    [
        NAMES[y],
        y * 3 + 4,
        y > 0,
        pd.Series(NAMES[y], index=np.arange(150)[::-1]),
        pd.Categorical(NAMES[y], categories=NAMES[::-1]),
        pd.Series(NAMES[y]).astype("category"),
        NAMES[y].tolist(),
        NAMES[y].astype(object),
    ],
    ids=[
        "str",
        "ints",
        "bool",
        "series",
        "categorical",
        "cat-series",
        "list",
        "object",
    ],
)
def test_labels_of_any_type(labels):
    teacher = GaussianNB().fit(X, labels)
    est = classifier(teacher=teacher).fit(X, labels)
    flat = np.asarray(labels)
    assert_array_equal(est.classes_, np.unique(flat))
    predicted = est.predict(X)
    assert predicted.dtype == est.classes_.dtype
    assert est.score(X, labels) == (predicted == flat).mean() > GOOD
    two_folds = cross_val_predict(clone(est), X, labels, cv=2)
    assert (two_folds == flat).mean() > GOOD


def test_frame_in_and_out(teacher):
    frame = pd.DataFrame(X, columns=list("abcd"))
    by_name = LogisticRegression(max_iter=1000).fit(frame, y)
    est = classifier(teacher=by_name).fit(frame, y)
    assert_array_equal(est.feature_names_in_, list("abcd"))
    assert est.n_features_in_ == 4
    assert est.score(frame, y) > GOOD
    with pytest.raises(ValueError, match="feature names"):
        est.predict(frame[list("dcba")])


def test_pickled_and_sent_away(teacher):
    est = classifier(teacher=teacher).fit(X_train, y_train)
    twin = pickle.loads(pickle.dumps(est))
    assert_array_equal(twin.predict_proba(X_test), est.predict_proba(X_test))
    assert isinstance(twin.teacher, LogisticRegression)
    est.trim_for_prediction()
    lean = pickle.loads(pickle.dumps(est))
    assert lean.teacher is None
    assert_array_equal(lean.predict_proba(X_test), twin.predict_proba(X_test))
    assert b"LogisticRegression" not in pickle.dumps(est)
    assert X_train.tobytes()[:64] not in pickle.dumps(est)
