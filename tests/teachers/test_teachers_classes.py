"""Columns are aligned by label; what cannot be a teacher is refused."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch import NeuralNetRegressor as SkorchRegressor
from teacher_cases import (
    EPS64,
    X32,
    Wrapped,
    X,
    by_hand,
    fitted,
    log_clip,
    network,
    never_built,
    skorch_net,
    student,
    taught,
    two,
    y,
)
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

# What teachers say is compared to the last digit; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|one-sided|permuted-classes)\]:skkd.TeacherWarning"
)


NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.mark.parametrize(
    "labels",
    [NAMES[y], y + 7, -y, y.astype(float), NAMES.astype(object)[y], y.astype(np.uint8)],
    ids=["str", "offset", "negative", "float", "object", "uint8"],
)
def test_columns_go_by_label(labels):
    order = [2, 0, 1]
    classes = np.unique(labels)
    module = network()
    teacher = as_teacher(module, classes=[classes[i] for i in order])
    expected = np.empty((150, 3))
    expected[:, order] = by_hand(module)
    assert_allclose(taught(teacher, X, labels), expected, rtol=1e-4, atol=1e-4)


def test_bool_labels_and_a_teacher_the_other_way_round():
    teacher = as_teacher(network(2), classes=[True, False])
    expected = by_hand(teacher.model)[:, ::-1]
    assert_allclose(taught(teacher, X, y > 0), expected, rtol=1e-4, atol=1e-5)


def test_columns_are_in_the_order_of_the_students_classes():
    teacher = fitted(GaussianNB(), X, NAMES[y])
    proba, order = log_clip(teacher.predict_proba(X)), [1, 2, 0]
    got = as_teacher(teacher).logits(X, NAMES[order])
    assert_allclose(got, proba[:, order], rtol=1e-5)
    # A student sorts its classes, however they are declared.
    got = taught(teacher, X, NAMES[y], classes=NAMES[order])
    assert_allclose(got, proba, rtol=1e-5)


def test_names_for_the_columns_of_a_teacher_that_learnt_numbers():
    teacher = fitted(GaussianNB())
    with pytest.raises(ValueError, match=r"does not know the classes.*classes=\[..."):
        student(teacher, module=never_built).fit(X, NAMES[y])
    got = taught(as_teacher(teacher, classes=NAMES), X, NAMES[y])
    assert_allclose(got, log_clip(teacher.predict_proba(X)), rtol=1e-5)


def test_superset_of_classes_is_an_error_if_it_is_said_to_be():
    teacher = as_teacher(fitted(GaussianNB()), extra_classes="error")
    with pytest.raises(ValueError, match=r"have: \[2\].*extra_classes='drop'"):
        student(teacher, module=never_built).fit(X[two], y[two])


@pytest.mark.parametrize(
    "make",
    [
        lambda: fitted(GaussianNB()),
        lambda: fitted(RandomForestClassifier(5, random_state=0)),
        lambda: skorch_net(nn.Sequential(network(), nn.Softmax(1)), nn.NLLLoss),
        lambda: FrozenEstimator(fitted(GaussianNB())),
    ],
)
def test_superset_dropped_and_renormalised(make):
    teacher = make()
    rows = X32[~two | (y == 0)]
    labels = y[~two | (y == 0)]  # without class 1
    p = teacher.predict_proba(rows)[:, [0, 2]]
    p = np.maximum(p / p.sum(axis=1, keepdims=True), EPS64)
    got = taught(as_teacher(teacher, extra_classes="drop"), rows, labels)
    assert_allclose(np.exp(got).sum(axis=1), 1, rtol=1e-5)
    assert_allclose(
        got[:, 0] - got[:, 1], np.log(p[:, 0] / p[:, 1]), rtol=1e-4, atol=1e-4
    )


def test_superset_of_logits_dropped():
    teacher = as_teacher(network(), classes=[0, 1, 2], extra_classes="drop")
    got = taught(teacher, X[two], y[two])
    assert_allclose(got, by_hand(teacher.model, X[two])[:, :2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("extra_classes", ["error", "drop"])
def test_subset_of_classes_is_an_error(extra_classes):
    narrow = fitted(GaussianNB(), X[two], y[two])
    teacher = as_teacher(narrow, extra_classes=extra_classes)
    with pytest.raises(ValueError, match=r"does not know the classes \[2\] of y"):
        student(teacher, module=never_built).fit(X, y)


def test_one_member_of_a_list_lacks_a_class():
    members = [fitted(GaussianNB()), fitted(GaussianNB(), X[two], y[two])]
    with pytest.raises(ValueError, match="does not know the classes"):
        student(members, module=never_built).fit(X, y)


@pytest.mark.parametrize("n_out", [1, 2, 4])
@pytest.mark.parametrize("make", [network, lambda n: lambda rows: np.zeros((150, n))])
def test_outputs_of_the_wrong_width(make, n_out):
    message = rf"outputs of shape \(1\d\d, {n_out}\).*expected \(1\d\d, 3\)"
    with pytest.raises(ValueError, match=message):
        student(make(n_out)).fit(X, y)


@pytest.mark.parametrize("shape", [(1, 3), (149, 3), (150,), (150, 3, 1), ()])
def test_outputs_of_the_wrong_shape(shape):
    for teacher in (lambda rows: np.zeros(shape), [lambda rows: np.zeros(shape)]):
        with pytest.raises(ValueError, match=re.escape(f"outputs of shape {shape}")):
            student(teacher).fit(X, y)


def test_outputs_that_are_no_numbers():
    with pytest.raises(ValueError, match="floating point"):
        student(lambda rows: NAMES[np.tile([0, 1, 2], (len(rows), 1))]).fit(X, y)


def test_module_that_returns_a_dict():
    teacher = Wrapped(lambda z: {"out": z})
    with pytest.raises(ValueError, match=r"returns a dict, expected a tensor"):
        student(teacher).fit(X, y)


@pytest.mark.parametrize(
    ("output", "bad"),
    [("logits", np.nan), ("logits", np.inf), ("logits", -np.inf), ("proba", np.nan)],
)
def test_outputs_that_are_not_finite(output, bad):
    def teacher(rows):
        z = np.full((len(rows), 3), 0.5)
        z[[7, 9], 1] = bad
        return z

    with pytest.raises(ValueError, match=r"not finite in 2 of 150 rows.*row 7"):
        student(as_teacher(teacher, output=output)).fit(X, y)


def test_teacher_with_several_outputs():
    ragged = np.column_stack([y, y > 0])
    forest = RandomForestClassifier(2).fit(X, ragged)
    square = MultiOutputClassifier(GaussianNB()).fit(X, np.column_stack([y, y]))
    for teacher in (forest, square):
        with pytest.raises(ValueError, match="has several outputs"):
            student(teacher, module=never_built).fit(X, y)


# --- Not fitted, or no teacher at all -----------------------------------------------

UNFITTED = {
    "sklearn": lambda: LogisticRegression(),
    "pipeline": lambda: make_pipeline(StandardScaler(), GaussianNB()),
    "grid": lambda: GridSearchCV(GaussianNB(), {}),
    "skorch": lambda: NeuralNetClassifier(network()),
    "distilled": lambda: student(),
    "frozen": lambda: FrozenEstimator(LogisticRegression()),
    "list": lambda: [fitted(GaussianNB()), LogisticRegression()],
    "as-teacher": lambda: as_teacher(LogisticRegression()),
}


@pytest.mark.parametrize("kind", UNFITTED)
@pytest.mark.parametrize("alpha", [0.5, 0])
def test_unfitted_teacher(kind, alpha):
    teacher = UNFITTED[kind]()
    with pytest.raises(NotFittedError, match=r"teacher_cv=None.*FrozenEstimator"):
        student(teacher, module=never_built, alpha=alpha).fit(X, y)


def test_fitted_teacher_as_a_value_of_a_grid():
    teacher = fitted(GaussianNB())
    for plain in (teacher, [teacher, teacher], skorch_net(network())):
        grid = GridSearchCV(student(), {"teacher": [plain]}, cv=2, error_score="raise")
        with pytest.raises(NotFittedError, match=r"as_teacher\(teacher\).*Frozen"):
            grid.fit(X, y)
    values = [as_teacher(teacher), FrozenEstimator(teacher), None]
    grid = GridSearchCV(student(), {"teacher": values}, cv=2, error_score="raise")
    grid.fit(X, y)
    assert [p["teacher"] for p in grid.cv_results_["params"]] == values
    assert any(grid.best_params_["teacher"] is value for value in values)


@pytest.mark.parametrize(
    "teacher",
    [
        LogisticRegression,
        DistilledClassifier,
        LinearRegression().fit(X, y),
        make_pipeline(StandardScaler(), LinearRegression()).fit(X, y),
        SkorchRegressor(nn.Linear(4, 3)),
        KMeans(3, n_init=1).fit(X),
        GaussianMixture(3).fit(X),
        IsolationForest(n_estimators=2).fit(X),
        VotingClassifier([("a", GaussianNB())]).fit(X, y),
        "random_forest",
        {"a": GaussianNB()},
        np.zeros((150, 3)),
        5,
        [GaussianNB().fit(X, y), "forest"],
    ],
    ids=lambda t: type(t).__name__,
)
def test_no_teacher_at_all(teacher):
    with pytest.raises(TypeError, match=r"^teacher is "):
        student(teacher, module=never_built).fit(X, y)


def test_a_class_is_told_from_its_instance():
    with pytest.raises(TypeError, match="class LogisticRegression: expected a fitted"):
        student(LogisticRegression, module=never_built).fit(X, y)


def test_teacher_that_does_not_take_these_rows():
    with pytest.raises(ValueError, match=r"does not take X.*teacher_X"):
        student(nn.Linear(5, 3)).fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianNB"):
        student(fitted(GaussianNB())).fit(X[:, :2], y)
