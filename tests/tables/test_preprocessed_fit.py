"""A student with preprocessing of its own, in fits, searches, reports, as teacher."""

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from table_cases import TEACHER, N, X, Y, student, unfitted_teacher

from skkd import DistilledClassifier
from skkd._packed.fits import Fold, PackedFits
from skkd.recipes import MutualLearning
from skkd.report import gain
from skkd.search import PackedSearchCV
from skkd.tables import TablePreprocessor
from skkd.teachers import as_teacher


@pytest.fixture(scope="module")
def fitted():
    return student().fit(X, Y)


def test_a_table_is_taken_as_it_is(fitted):
    assert fitted.score(X, Y) > 0.9
    assert fitted.n_features_in_ == 6
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    numbers = TablePreprocessor().fit_transform(X)
    assert fitted.input_shape_ == numbers.shape[1:]
    np.testing.assert_array_equal(fitted.preprocessor_.transform(X), numbers)


def test_auto_is_what_none_takes_for_such_a_table(fitted):
    auto = student(preprocessor="auto").fit(X, Y)
    np.testing.assert_array_equal(auto.predict_proba(X), fitted.predict_proba(X))


def test_a_complete_table_of_numbers_goes_to_the_student_as_it_is():
    numbers = pd.DataFrame(np.eye(4), columns=[*"abcd"]).assign(flag=True)
    fitted = DistilledClassifier(max_epochs=1, random_state=0).fit(numbers, [0, 1] * 2)
    assert fitted.preprocessor_ is None
    assert fitted.input_shape_ == (5,)


def test_pickle_and_clone(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert clone(fitted).preprocessor_ is None


def test_a_transformer_is_cloned_and_fitted_on_the_training_rows_alone():
    scaler = make_column_transformer((StandardScaler(), ["age"]))
    given = make_pipeline(scaler, SimpleImputer())
    split = ValidSplit(0.5, stratified=True, random_state=3)
    net = student(preprocessor=given, train_split=split, max_epochs=1).fit(X, Y)
    assert not hasattr(given[-1], "statistics_")
    rows = split(Dataset(np.arange(N), np.zeros(N)), Y)[0].indices
    mean = net.preprocessor_[0].named_transformers_["standardscaler"].mean_
    assert mean[0] == pytest.approx(X["age"].iloc[rows].mean())
    assert "valid_loss" in net.history[-1]


def test_the_split_is_drawn_once():
    split = ValidSplit(0.5, stratified=True)  # from the global generator
    nets = [student(train_split=split, max_epochs=2).fit(X, Y) for _ in range(2)]
    assert len({net.history[-1, "valid_loss"] for net in nets}) == 1
    sizes = nets[0].history[0, "batches", :, "train_batch_size"]
    assert sum(sizes) == N / 2


def test_what_learns_from_labels_is_fitted_by_fit_transform():
    seen = []

    class Spy(TargetEncoder):
        def fit_transform(self, X, y):
            seen.append(y)
            return super().fit_transform(X, y)

    encoder = make_column_transformer((Spy(), ["city"]))
    student(preprocessor=encoder, max_epochs=1).fit(X, Y)
    missing = np.where(np.arange(N) % 2, Y, "?")
    net = student(preprocessor=encoder, max_epochs=1, unlabeled="?").fit(X, missing)
    assert [len(y) for y in seen] == [N, N // 2]
    assert net.input_shape_ == (1,)


def test_unlabelled_rows_take_part():
    labels = np.where(np.arange(N) < 120, Y, "?")
    net = student(unlabeled="?", train_split=ValidSplit(4, stratified=True))
    net.fit(X, labels)
    assert net.score(X, Y) > 0.8
    everything = net.preprocessor_.encoders_[0].center
    assert everything != np.nanmedian(X["age"][:120])


@pytest.mark.parametrize("caching", [True, False])
def test_callbacks_score_validation_data_of_their_own(caching):
    score = EpochScoring("accuracy", lower_is_better=False, use_caching=caching)
    held_out = predefined_split(Dataset(X[:60], Y[:60]))
    net = student(train_split=held_out, callbacks=[score]).fit(X[60:], Y[60:])
    assert net.history[-1, "accuracy"] == net.score(X[:60], Y[:60])


def test_callbacks_see_the_table():
    seen = {}

    class Look(EpochScoring):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            seen["X"] = X
            super().on_train_begin(net, X, y, **kwargs)

    student(callbacks=[Look("accuracy", on_train=True)], max_epochs=1).fit(X, Y)
    assert seen["X"] is X


def test_partial_fit_keeps_the_preprocessor():
    net = student().partial_fit(X[:120], Y[:120])
    before = net.preprocessor_
    net.partial_fit(X[120:], Y[120:])
    assert net.preprocessor_ is before
    assert net.score(X, Y) > 0.8


def test_the_teachers_logits_are_cached_by_the_rows_of_the_table():
    teacher = unfitted_teacher().fit(X, Y)
    first = student(teacher=teacher, max_epochs=1).fit(X, Y)
    other = student(teacher=teacher, max_epochs=1, preprocessor=TablePreprocessor(1.0))
    assert first.cache_info_.misses + first.cache_info_.hits == N
    assert other.fit(X, Y).cache_info_.hits == N


def test_teacher_logits_and_weights_and_out_of_fold():
    logits = as_teacher(TEACHER).logits(X, ["no", "yes"])
    weight = np.linspace(0, 1, N)
    given = student(teacher=None).fit(X, Y, teacher_logits=logits, sample_weight=weight)
    own = student().fit(X, Y, sample_weight=weight, teacher_X=X.copy())
    np.testing.assert_allclose(given.predict_proba(X), own.predict_proba(X), atol=1e-6)
    folds = student(teacher=unfitted_teacher(), teacher_cv=3).fit(X, Y)
    assert len(folds.teacher_) == 3


def test_a_search_sets_the_preprocessors_parameters():
    grid = {"preprocessor__clip": [1.0, 3.0], "alpha": [0, 0.5]}
    net = student(preprocessor=TablePreprocessor(), max_epochs=3)
    plain = GridSearchCV(net, grid, cv=2).fit(X, Y)
    packed = PackedSearchCV(net, grid, cv=2, teacher_saw="other rows").fit(X, Y)
    assert packed.packing_.n_packed == 8
    key = "mean_test_score"
    np.testing.assert_allclose(packed.cv_results_[key], plain.cv_results_[key])
    assert packed.best_estimator_.preprocessor_.clip in (1.0, 3.0)


class Counted(TablePreprocessor):
    """Counts its fits."""

    fits: ClassVar[list] = []

    def fit(self, X, y=None):
        self.fits.append(self)
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("grid", "n_fits"),
    [
        ({"preprocessor__clip": [1.0, 3.0], "alpha": [0, 0.5, 1]}, 2),
        ({"alpha": [0, 0.5], "random_state": [0, 1]}, 2),
        ({"preprocessor": [Counted(), Counted(), Counted(2.0)]}, 2),
        ({"unlabeled": [None, "?"]}, 2),
        ({"lr": [0.1, 0.01], "temperature": [1, 4]}, 1),
    ],
)
def test_equal_preprocessors_of_a_fold_are_fitted_once(grid, n_fits):
    Counted.fits.clear()
    net = student(preprocessor=Counted(), max_epochs=3)
    candidates = [*ParameterGrid(grid)]
    fold = Fold(X, Y, {})
    fits = PackedFits(net, candidates, [fold], None)
    assert len(Counted.fits) == n_fits
    assert fits.packing.n_packed == len(candidates)
    for (c, _), packed in fits.fitted.items():
        single = clone(net).set_params(**candidates[c]).fit(X, Y)
        np.testing.assert_allclose(
            packed.predict_proba(X), single.predict_proba(X), atol=1e-5
        )
        assert packed.preprocessor_.get_params() == single.preprocessor_.get_params()
        assert packed.next_seed_ == single.next_seed_


def test_random_and_frozen_preprocessors_of_a_fold():
    numbers = make_column_transformer((SimpleImputer(), ["age", "visits"]))
    some = QuantileTransformer(n_quantiles=9, subsample=50)  # draws rows
    frozen = [FrozenEstimator(StandardScaler().fit([[m, 0.0]] * 2)) for m in (0, 40)]
    choices = [*frozen, some]
    net = student(preprocessor=make_pipeline(numbers, some), max_epochs=2)
    grid = {
        "preprocessor": [make_pipeline(numbers, choice) for choice in choices],
        "random_state": [0, 1],
    }
    candidates = [*ParameterGrid(grid)]
    fits = PackedFits(net, candidates, [Fold(X, Y, {})], None)
    for (c, _), packed in fits.fitted.items():
        single = clone(net).set_params(**clone(candidates[c], safe=False)).fit(X, Y)
        np.testing.assert_allclose(
            packed.predict_proba(X), single.predict_proba(X), atol=1e-5
        )


def test_gain_and_mutual_learning():
    report = gain(student(max_epochs=2), X, Y, cv=2, seeds=1, teacher_saw="other rows")
    assert np.isfinite(report.gain)
    cohort = MutualLearning(student(teacher=None)).fit(X, Y)
    assert all(s.score(X, Y) > 0.8 for s in cohort.students_)


def test_a_student_with_a_preprocessor_teaches(fitted):
    logits = as_teacher(fitted).logits(X[X.columns[::-1]], ["no", "yes"])
    np.testing.assert_array_equal(
        logits.argmax(axis=1), fitted.predict_proba(X).argmax(axis=1)
    )
    assert student(teacher=fitted, max_epochs=2).fit(X, Y).preprocessor_ is not None


def test_a_prediction_on_another_scale_is_told(fitted):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 5)))
    wide = wide.rename(columns=str).assign(city="a")
    net = student(teacher=None, max_epochs=1).fit(wide, [0, 1] * 45)
    net.predict(wide)
    with pytest.warns(UserWarning, match="on another scale"):
        net.predict(wide.assign(**{str(i): wide[str(i)] * 100 for i in range(5)}))


BAD = {
    "no transformer": (dict(preprocessor="no"), TypeError, "expected None, 'auto'"),
    "a class": (dict(preprocessor=StandardScaler), TypeError, "expected None"),
    "gaps are left": (
        dict(preprocessor=make_column_transformer((StandardScaler(), ["age"]))),
        ValueError,
        "gaps in column 'standardscaler__age'",
    ),
    "rows are left out": (
        dict(preprocessor=FunctionTransformer(lambda X: np.zeros((3, 2)))),
        ValueError,
        "has 3 rows, expected 240",
    ),
    "views": (dict(augment=lambda x: x), ValueError, "teacher_view='clean'"),
    "own training data": (
        dict(train_split=lambda d, y: (Dataset(np.eye(2), np.arange(2)), None)),
        ValueError,
        "gave training data of its own",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    params, kind, words = BAD[name]
    net = student(**params)
    with pytest.raises(kind, match=words):
        net.fit(X, Y)
    assert not hasattr(net, "n_features_in_")


def test_the_remedies_work():
    gaps = make_column_transformer((StandardScaler(), ["age"]))
    student(preprocessor=make_pipeline(gaps, SimpleImputer()), max_epochs=1).fit(X, Y)
    student(augment=lambda x: x, teacher_view="clean", max_epochs=1).fit(X, Y)
    array = np.array([[1.0, np.nan], [2.0, 3.0]] * 10)
    with pytest.raises(
        ValueError, match=r"(?s)column 1 has missing.*preprocessor='auto'"
    ):
        DistilledClassifier(max_epochs=1).fit(array, [0, 1] * 10)
    DistilledClassifier(max_epochs=1, preprocessor="auto").fit(array, [0, 1] * 10)


@pytest.mark.parametrize("change", ["new", "gone", "renamed"])
def test_other_columns_are_named(fitted, change):
    other = {
        "new": X.assign(extra=1),
        "gone": X.drop(columns="age"),
        "renamed": X.rename(columns={"age": "Age"}),
    }[change]
    name = {"new": "extra", "gone": "age", "renamed": "Age"}[change]
    with pytest.raises(ValueError, match=f"- {name}"):
        fitted.predict(other)
