"""Teachers that know the names of their columns get these, in their own order."""

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, as_frame
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier
from skkd._data.frames import is_frame, names_of
from skkd.report import compare
from skkd.teachers import as_teacher

X, Y = load_iris(return_X_y=True)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FRAME = pd.DataFrame(X, columns=NAMES)
REVERSED = FRAME[NAMES[::-1]]


class ByPlace(ClassifierMixin, BaseEstimator):
    """Takes columns by their place, as LightGBM does, and calls its names so."""

    def fit(self, X, y):
        self.inner_ = LogisticRegression(max_iter=500).fit(np.asarray(X), y)
        self.classes_ = self.inner_.classes_
        unnamed = [f"Column_{i}" for i in range(X.shape[1])]
        names = names_of(X) if is_frame(X) else unnamed
        self.feature_name_ = [name.replace(" ", "_") for name in names]
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(np.asarray(X))

    def predict(self, X):
        return self.inner_.predict(np.asarray(X))


class CatBoostLike(ByPlace):
    @property
    def feature_names_(self):
        return [name.replace("_", " ") for name in self.feature_name_]


def linear():
    return LogisticRegression(max_iter=500)


MODELS = {
    "sklearn": linear(),
    "by place": ByPlace(),
    "pipeline": make_pipeline(StandardScaler(), linear()),
    "pipeline by place": make_pipeline("passthrough", ByPlace()),
    "search": GridSearchCV(ByPlace(), {}, cv=2),
    "votes": VotingClassifier([("a", ByPlace()), ("b", linear())], voting="soft"),
    "student": DistilledClassifier(max_epochs=5, lr=0.02, random_state=0),
    "columns": make_pipeline(
        make_column_transformer(("passthrough", NAMES[1:])), linear()
    ),
}


@pytest.fixture(scope="module", params=[*MODELS])
def fitted(request):
    return MODELS[request.param].fit(FRAME, Y)


@pytest.mark.parametrize("kind", FRAMES)
def test_columns_in_another_order_are_put_in_order(fitted, kind):
    expected = as_teacher(fitted).logits(FRAME, [0, 1, 2])
    if kind == "pyarrow" and fitted is MODELS["columns"]:
        pytest.skip("a ColumnTransformer does not take these")
    for rows in (FRAME, REVERSED):
        got = as_teacher(fitted).logits(as_frame(kind, rows), [0, 1, 2])
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        FrozenEstimator,
        lambda model: [model, model],
        lambda model: as_teacher(model.predict_proba, output="proba"),
    ],
    ids=["frozen", "list", "bound method"],
)
def test_teachers_in_any_wrapping_know_their_names(wrap):
    teacher = as_teacher(wrap(ByPlace().fit(FRAME, Y)))
    expected, got = (teacher.logits(rows, [0, 1, 2]) for rows in (FRAME, REVERSED))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("params", [{}, {"teacher_cv": 3}, {"memory": False}])
def test_fits_on_any_frame_are_the_same(kind, params, tmp_path):
    teacher = ByPlace().fit(FRAME, Y)
    rows = as_frame(kind, REVERSED)
    net = DistilledClassifier(
        teacher=teacher, max_epochs=2, strict=True, random_state=0, **params
    )
    expected = net.fit(REVERSED, Y).predict_proba(REVERSED)
    np.testing.assert_array_equal(net.fit(rows, Y).predict_proba(rows), expected)
    if not params:
        assert net.cache_info_.misses == 0 or kind != "pandas"
        np.testing.assert_array_equal(
            net.fit(X, Y, teacher_X=rows).predict_proba(X),
            net.fit(X, Y, teacher_X=FRAME).predict_proba(X),
        )
        scores = cross_val_score(net, rows, Y, cv=2, error_score="raise")
        np.testing.assert_array_equal(
            scores, cross_val_score(net, REVERSED, Y, cv=2, error_score="raise")
        )


@pytest.mark.parametrize("kind", FRAMES)
def test_students_refuse_columns_in_another_order(kind):
    net = DistilledClassifier(max_epochs=1).fit(as_frame(kind, FRAME), Y)
    with pytest.raises(ValueError, match="feature names"):
        net.predict(as_frame(kind, REVERSED))


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("names", [NAMES[1:], [*NAMES[1:], "other"]])
@pytest.mark.parametrize("model", ["sklearn", "by place"])
def test_missing_and_renamed_columns_are_refused(kind, names, model):
    teacher = MODELS[model].fit(FRAME, Y)
    rows = as_frame(kind, FRAME.assign(other=0.0)[names])
    with pytest.raises(ValueError, match=r"lacks .'sepal.length'.*teacher_X="):
        DistilledClassifier(teacher=teacher).fit(rows, Y)


def test_columns_that_a_pipeline_drops_may_be_missing():
    teacher = MODELS["columns"].fit(FRAME, Y)
    got = as_teacher(teacher).logits(FRAME[NAMES[:0:-1]], [0, 1, 2])
    np.testing.assert_array_equal(got, as_teacher(teacher).logits(FRAME, [0, 1, 2]))


def test_columns_twice_are_refused():
    teacher = ByPlace().fit(FRAME, Y)
    twice = REVERSED.set_axis([*NAMES[::-1][:3], NAMES[1]], axis=1)
    with pytest.raises(ValueError, match=r"lacks|twice"):
        as_teacher(teacher).logits(twice, [0, 1, 2])


def test_the_remedy_for_columns_that_a_teacher_does_not_know():
    teacher = linear().fit(FRAME, Y)
    rows = FRAME.assign(other=0.0)
    net = DistilledClassifier(teacher=teacher, max_epochs=1)
    with pytest.raises(
        ValueError, match=r"without the columns \['other'\]: teacher_X="
    ):
        net.fit(rows, Y)
    net.fit(rows, Y, teacher_X=rows[teacher.feature_names_in_])


@pytest.mark.parametrize("model", [ByPlace, CatBoostLike])
def test_names_that_a_library_makes_up_are_no_names(model):
    teacher = as_teacher(model().fit(X, Y))
    expected = teacher.logits(X, [0, 1, 2])
    np.testing.assert_array_equal(teacher.logits(FRAME, [0, 1, 2]), expected)
    unnamed = pd.DataFrame(X)
    teacher = as_teacher(model().fit(FRAME, Y))
    np.testing.assert_array_equal(teacher.logits(unnamed, [0, 1, 2]), expected)


def test_compare_gives_models_their_columns_in_their_order():
    models = {"by place": ByPlace().fit(FRAME, Y), "sklearn": linear().fit(FRAME, Y)}
    got, expected = (
        compare(models, rows, Y, timing=False, n_examples=0).predictions
        for rows in (REVERSED, FRAME)
    )
    for name in models:
        np.testing.assert_array_equal(got[name].labels, expected[name].labels)
