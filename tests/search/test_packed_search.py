"""PackedSearchCV takes GridSearchCV's place."""

import pickle

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier, TeacherWarning
from skkd.search import PackedSearchCV

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
TEACHER = LogisticRegression(max_iter=1000).fit(X[::2], NAMES[::2])
STUDENT = DistilledClassifier(
    teacher=TEACHER,
    module__hidden=8,
    max_epochs=4,
    lr=0.02,
    random_state=0,
    device="cpu",
)
GRID = {"temperature": [1, 4], "alpha": [0, 0.5]}
IN_A_PIPELINE = {f"distilledclassifier__{name}": GRID[name] for name in GRID}
TIMES = {f"{n}_{kind}_time" for n in ("mean", "std") for kind in ("fit", "score")}


def check_equals_grid_search(estimator, grid, X=X, y=NAMES, params=None, **settings):
    params = params or {}
    packed = PackedSearchCV(estimator, grid, **settings).fit(X, y, **params)
    other = GridSearchCV(estimator, grid, **settings).fit(X, y, **params)
    assert list(packed.cv_results_) == list(other.cv_results_)
    for name in set(packed.cv_results_) - TIMES - {"params"}:
        mine, theirs = packed.cv_results_[name], other.cv_results_[name]
        if name.startswith("param_"):
            assert_array_equal(mine, theirs)
            assert_array_equal(mine.mask, theirs.mask)
        else:
            assert_allclose(mine, theirs, atol=1e-6, err_msg=name)
    assert packed.cv_results_["params"] == other.cv_results_["params"]
    refitted = {"best_estimator_", "refit_time_", "cv_results_", "scorer_"}
    for name in {k for k in vars(other) if k.endswith("_")} - refitted:
        mine, theirs = getattr(packed, name), getattr(other, name)
        if name == "best_score_":
            assert mine == pytest.approx(theirs, abs=1e-6)
        else:
            assert mine == theirs, name
    if settings.get("refit", True):
        assert_array_equal(packed.predict_proba(X), other.predict_proba(X))
        assert type(packed.best_estimator_) is type(estimator)
    return packed


def test_results_are_those_of_grid_search():
    search = check_equals_grid_search(STUDENT, GRID, cv=3, return_train_score=True)
    assert str(search.packing_) == "12 of 12 fits trained together, in 1 group"
    assert is_classifier(search)
    assert search.score(X, NAMES) == search.best_estimator_.score(X, NAMES)
    assert_array_equal(search.classes_, TEACHER.classes_)
    assert (search.cv_results_["mean_fit_time"] > 0).all()
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict(X), search.predict(X))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_all_are_trained_in_this_process_whatever_joblib_is_told(backend):
    with parallel_config(backend, n_jobs=2):
        found = PackedSearchCV(STUDENT, GRID, cv=3).fit(X, NAMES)
    alone = PackedSearchCV(STUDENT, GRID, cv=3).fit(X, NAMES)
    assert found.packing_ == alone.packing_
    for name in ("mean_test_score", "split2_test_score"):
        assert_array_equal(found.cv_results_[name], alone.cv_results_[name])


def test_several_metrics_and_refits():
    scoring = {"accuracy": "accuracy", "loss": "neg_log_loss"}
    check_equals_grid_search(STUDENT, GRID, scoring=scoring, refit="loss", cv=3)
    check_equals_grid_search(STUDENT, GRID, scoring=scoring, refit=False, cv=3)

    def second(results):
        assert set(results["params"][0]) == set(GRID)
        return 1

    search = check_equals_grid_search(STUDENT, GRID, refit=second, cv=3)
    assert search.best_index_ == 1


def test_a_scorer_sees_a_fitted_classifier():
    def n_classes(estimator, X, y):
        assert is_classifier(estimator)
        return len(estimator.classes_) + estimator.module_.training

    check_equals_grid_search(STUDENT, GRID, scoring=n_classes, cv=2)
    check_equals_grid_search(STUDENT, GRID, scoring=make_scorer(accuracy_score), cv=2)


def test_random_splitters_groups_and_lists_of_grids():
    cv = KFold(3, shuffle=True, random_state=0)
    grids = [{"alpha": [0]}, {"alpha": [0.5], "temperature": [2, 4]}]
    check_equals_grid_search(STUDENT, grids, cv=cv)
    groups = {"groups": np.arange(len(y)) % 5}
    check_equals_grid_search(STUDENT, GRID, cv=GroupKFold(3), params=groups)
    check_equals_grid_search(STUDENT, GRID, cv=[*cv.split(X)])
    # Drawn once, for all candidates.
    unseeded = StratifiedKFold(3, shuffle=True)
    same = PackedSearchCV(STUDENT, {"alpha": [0.5, 0.5]}, cv=unseeded).fit(X, NAMES)
    assert len({*same.cv_results_["split0_test_score"]}) == 1


def test_weights_and_logits_are_split_with_the_samples():
    student = clone(STUDENT).set_params(teacher=None)
    params = {
        "teacher_logits": TEACHER.predict_log_proba(X),
        "sample_weight": np.random.default_rng(0).random(len(X)),
    }
    check_equals_grid_search(student, GRID, params=params, cv=3)


def test_metadata_routing():
    weight = np.random.default_rng(0).random(len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        student = clone(STUDENT).set_fit_request(sample_weight=True)
        student.set_score_request(sample_weight=False)
        params = {"sample_weight": weight}
        check_equals_grid_search(student, GRID, params=params, cv=3)
        # With a Pipeline's own score GridSearchCV passes weights that nobody wants.
        pipeline = make_pipeline(FunctionTransformer(), student)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=False)
        settings = {"params": params, "scoring": scorer}
        check_equals_grid_search(pipeline, IN_A_PIPELINE, cv=3, **settings)


class Counting(FunctionTransformer):
    fits = []

    def fit(self, X, y=None):
        self.fits.append(len(X))
        return super().fit(X, y)


def test_steps_before_the_student_are_fitted_once_a_fold():
    Counting.fits.clear()
    pipeline = make_pipeline(Counting(), clone(STUDENT).set_params(teacher=None))
    search = PackedSearchCV(pipeline, IN_A_PIPELINE, cv=3).fit(X, NAMES)
    assert Counting.fits == [100, 100, 100, 150]
    assert search.packing_.n_packed == 12
    raw = make_pipeline(StandardScaler(), clone(STUDENT).set_params(teacher=None))
    grid = {**IN_A_PIPELINE, "standardscaler__with_mean": [True, False]}
    check_equals_grid_search(raw, grid, cv=3)


def test_teachers_are_fitted_once_a_fold():
    class Once(LogisticRegression):
        fits = []

        def fit(self, X, y, sample_weight=None):
            self.fits.append(len(X))
            return super().fit(X, y, sample_weight)

    student = clone(STUDENT).set_params(teacher=Once(max_iter=1000), teacher_cv=2)
    PackedSearchCV(student, GRID, cv=3, refit=False).fit(X, NAMES)
    assert Once.fits == [50] * 6
    check_equals_grid_search(student, GRID, cv=3)


def test_teachers_in_the_grid_each_teach_their_own_students():
    bad = LogisticRegression(max_iter=1000).fit(X[::2], np.roll(NAMES[::2], 5))
    grid = {"teacher": [FrozenEstimator(t) for t in (TEACHER, bad)], "alpha": [1.0]}
    search = check_equals_grid_search(STUDENT, grid, scoring="neg_log_loss", cv=3)
    good, worse = search.cv_results_["mean_test_score"]
    assert good > worse


def test_what_cannot_be_stacked_is_fitted_as_by_grid_search():
    grid = {"train_split": [None, ValidSplit(3)], "alpha": [0.5]}
    search = check_equals_grid_search(STUDENT, grid, cv=3)
    expected = "3 of 6 fits trained together, in 1 group; 3 by themselves"
    assert str(search.packing_) == f"{expected} (train_split)"


@pytest.mark.parametrize("error_score", ["raise", np.nan])
def test_what_fails_fails_as_in_grid_search(error_score):
    grid = {"alpha": [0.5, 2.0]}
    search = PackedSearchCV(STUDENT, grid, cv=3, error_score=error_score)
    if error_score == "raise":
        with pytest.raises(ValueError, match=r"alpha=2\.0: expected a number in"):
            search.fit(X, NAMES)
        return
    failed = pytest.warns(sklearn.exceptions.FitFailedWarning, match="3 fits failed")
    with failed, pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, NAMES)
    assert search.best_params_ == {"alpha": 0.5}


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="temprature"):
        PackedSearchCV(STUDENT, {"temprature": [1]}, cv=3).fit(X, NAMES)
    with pytest.raises(ValueError, match="return_train_score"):
        PackedSearchCV(STUDENT, GRID, return_train_score="yes").fit(X, NAMES)


def test_a_teacher_that_saw_the_rows_is_found():
    X, y = load_digits(return_X_y=True)
    X, y = X[:400], y[:400]
    student = DistilledClassifier(max_epochs=4, alpha=0.5, random_state=0)
    saw = clone(student).set_params(teacher=SVC(C=100).fit(X, y))
    grid = {"alpha": [0.5], "temperature": [1, 2]}
    with pytest.warns(TeacherWarning, match="saw-test-rows.*probably fitted on them"):
        search = PackedSearchCV(saw, grid, cv=3).fit(X, y)
    assert "saw-test-rows" in search.caveat_
    pipeline = make_pipeline(FunctionTransformer(), saw)
    with pytest.warns(TeacherWarning, match="saw-test-rows"):
        PackedSearchCV(pipeline, {}, cv=3).fit(X, y)
    vouched = PackedSearchCV(saw, grid, cv=3, teacher_saw="other rows").fit(X, y)
    assert vouched.caveat_ is None
    honest = clone(student).set_params(teacher=SVC(gamma=0.001), teacher_cv=2)
    assert PackedSearchCV(honest, grid, cv=3).fit(X, y).caveat_ is None


def test_a_teacher_that_nobody_vouched_for_is_said():
    search = PackedSearchCV(STUDENT, {"alpha": [0.5]}, cv=3).fit(X, NAMES)
    assert search.caveat_.startswith("Holds only if the teacher was not fitted on")
    plain = PackedSearchCV(STUDENT, {"alpha": [0.0]}, cv=3).fit(X, NAMES)
    assert plain.caveat_ is None
    with pytest.raises(ValueError, match="teacher_saw='mine': expected None"):
        PackedSearchCV(STUDENT, GRID, teacher_saw="mine").fit(X, NAMES)
