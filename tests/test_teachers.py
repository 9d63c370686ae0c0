"""Teachers: right by value, aligned by label, never changed, never leaking."""

import copy
import pickle
import random
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
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
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch import NeuralNetRegressor as SkorchRegressor
from skorch.helper import SliceDataset, SliceDict
from torch import nn

from skkd import DistilledClassifier
from skkd.students import MLP
from skkd.teachers import as_teacher

# What teachers say is compared to the last digit; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)

X, y = load_iris(return_X_y=True)
X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
X32 = X.astype(np.float32)
two = y < 2
EPS32, EPS64 = np.finfo(np.float32).eps, np.finfo(np.float64).eps


@pytest.fixture(autouse=True)
def warn_every_time():
    """torch warns once a process, and later tests would pass by that."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


# --- Teachers, and what they should say ---------------------------------------------


def network(n_out=3, seed=0):
    """Return a module as people leave them: in train mode, parts of it frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, n_out)
        )
        module(torch.randn(64, 4))  # BatchNorm has seen something
    module[0].weight.requires_grad_(False)
    module[2].eval()
    return module


def by_hand(module, rows=X32):
    """Return the outputs of a copy in eval mode: (n, n_outputs)."""
    twin = copy.deepcopy(module).eval().float()
    with torch.no_grad():
        return twin(torch.as_tensor(np.asarray(rows, dtype=np.float32))).numpy()


def skorch_net(module, criterion=nn.CrossEntropyLoss, cls=NeuralNetClassifier):
    """Return a fitted skorch net around `module`."""
    net = cls(
        module, criterion=criterion, max_epochs=1, verbose=0, train_split=None, lr=0.01
    )
    with torch.random.fork_rng():
        if cls is NeuralNetBinaryClassifier:
            return net.fit(X32[two], y[two].astype(np.float32))
        return net.fit(X32, y)


class Saturated(nn.Module):
    """Probabilities of exactly 0 and 1, as a saturated softmax gives."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(4, 3)

    def forward(self, x):
        return torch.softmax(1e4 * self.unused(x), dim=1)


class Flat(nn.Module):
    """One logit a row, without an axis for it."""

    def __init__(self):
        super().__init__()
        self.body = network(1)

    def forward(self, x):
        return self.body(x).squeeze(1)


class Wrapped(nn.Module):
    """Gives its logits the way that `how` says."""

    def __init__(self, how):
        super().__init__()
        self.how, self.linear = how, nn.Linear(4, 3)

    def forward(self, x):
        return self.how(self.linear(x))


class Output:
    def __init__(self, logits):
        self.logits = logits


class Duck:
    """A classifier of another house, with nothing of scikit-learn's but a method."""

    classes_ = np.array([0, 1, 2])

    def predict_proba(self, X):
        return np.tile([0.2, 0.3, 0.5], (len(X), 1))


class OnlyLogProba(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_log_proba(self, X):
        return np.log(np.tile([0.2, 0.3, 0.5], (len(X), 1)))


class Raises(Duck):
    def predict_proba(self, X):
        raise AssertionError("the teacher was asked")


def linear_logits(rows):
    """Return logits by a function without a class of its own."""
    return np.asarray(rows)[:, :3] * [1.0, -2.0, 0.5]


def integer_votes(rows):
    return np.tile([5, 1, 0], (len(rows), 1))


def never_built(**kwargs):
    raise AssertionError("the student was built")


def fitted(estimator, rows=X, labels=y):
    return estimator.fit(rows, labels)


def log_clip(p, eps=EPS64):
    return np.log(np.clip(p, eps, None))


def student(teacher=None, **params):
    """Return the smallest student, quick to train and smaller than every teacher."""
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    if "module" not in params:
        params["module__hidden"] = ()
    return DistilledClassifier(teacher=teacher, **params)


def taught(teacher, X=X, y=y, *, fit_params=None, **params):
    """Return the teacher's logits as the loss sees them: (n, n_classes)."""
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.append(teacher_logits.numpy().copy())
        return student_logits.sum(dim=1)

    params = {"batch_size": -1, "iterator_train__shuffle": False, **params}
    student(teacher, distillation=spy, **params).fit(X, y, **(fit_params or {}))
    (logits,) = seen
    return logits


KINDS = {
    "module": lambda: (t := network(), by_hand(t)),
    "module-float64": lambda: (t := network().double(), by_hand(t)),
    "module-tuple": lambda: (
        t := Wrapped(lambda z: (z, "more")),
        by_hand(t.linear),
    ),
    "module-output": lambda: (t := Wrapped(Output), by_hand(t.linear)),
    "module-half": lambda: (
        t := Wrapped(lambda z: z.bfloat16()),
        torch.tensor(by_hand(t.linear)).bfloat16().float().numpy(),
    ),
    "skorch-logits": lambda: (t := skorch_net(network()), by_hand(t.module_)),
    "skorch-proba": lambda: (
        t := skorch_net(nn.Sequential(network(), nn.Softmax(1)), nn.NLLLoss),
        log_clip(by_hand(t.module_), EPS32),
    ),
    "skorch-zeros": lambda: (
        t := skorch_net(Saturated(), nn.NLLLoss),
        log_clip(by_hand(t.module_), EPS32),
    ),
    "skorch-plain-net": lambda: (
        t := NeuralNet(network(), nn.CrossEntropyLoss, verbose=0).initialize(),
        by_hand(t.module_),
    ),
    "forest": lambda: (
        t := fitted(RandomForestClassifier(5, random_state=0)),
        log_clip(t.predict_proba(X)),
    ),
    "hist-boosting": lambda: (
        t := fitted(HistGradientBoostingClassifier(max_iter=3)),
        log_clip(t.predict_proba(X)),
    ),
    "logistic": lambda: (
        t := fitted(LogisticRegression(max_iter=1000)),
        (z := X @ t.coef_.T + t.intercept_) - logsumexp(z, axis=1, keepdims=True),
    ),
    "naive-bayes": lambda: (t := fitted(GaussianNB()), log_clip(t.predict_proba(X))),
    "svc-ovr": lambda: (t := fitted(SVC()), t.decision_function(X)),
    "svc-calibrated": lambda: (
        t := fitted(CalibratedClassifierCV(SVC(), ensemble=False)),
        log_clip(t.predict_proba(X)),
    ),
    "svc-in-grid": lambda: (
        t := fitted(GridSearchCV(SVC(), {"C": [1]}, cv=2)),
        t.decision_function(X),
    ),
    "pipeline": lambda: (
        t := fitted(make_pipeline(StandardScaler(), GaussianNB())),
        log_clip(t.predict_proba(X)),
    ),
    "pipeline-of-net": lambda: (
        t := make_pipeline(
            FunctionTransformer(np.float32), FrozenEstimator(skorch_net(network()))
        ).fit(X, y),
        log_clip(t.predict_proba(X), EPS32),
    ),
    "only-log-proba": lambda: (
        fitted(OnlyLogProba()),
        np.tile(np.log([0.2, 0.3, 0.5]), (150, 1)),
    ),
    "duck": lambda: (Duck(), np.tile(np.log([0.2, 0.3, 0.5]), (150, 1))),
    "callable": lambda: (linear_logits, X[:, :3] * [1, -2, 0.5]),
    "callable-ints": lambda: (integer_votes, integer_votes(X)),
    "list": lambda: (
        t := [fitted(LogisticRegression(C=0.1, max_iter=1000)), fitted(GaussianNB())],
        np.log((t[0].predict_proba(X) + t[1].predict_proba(X)) / 2),
    ),
    "list-mixed": lambda: (
        t := [network(), fitted(GaussianNB())],
        np.log((softmax(by_hand(t[0])) + t[1].predict_proba(X)) / 2),
    ),
    "distilled": lambda: (t := student().fit(X, y), by_hand_float64(t.module_)),
}


def softmax(z):
    return np.exp(z - logsumexp(z, axis=1, keepdims=True))


def by_hand_float64(module):
    with torch.no_grad():
        return module(torch.as_tensor(X)).numpy()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_by_value(kind, frozen):
    teacher, expected = KINDS[kind]()
    if frozen:
        teacher = (
            [FrozenEstimator(t) for t in teacher]
            if isinstance(teacher, list)
            else FrozenEstimator(teacher)
        )
    got = taught(teacher)
    assert np.isfinite(got).all()
    assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_zero_probabilities_are_clipped_not_infinite():
    forest = fitted(RandomForestClassifier(5, random_state=0))
    assert (forest.predict_proba(X) == 0).any()
    assert taught(forest).min() == pytest.approx(np.log(EPS64))
    net = skorch_net(Saturated(), nn.NLLLoss)
    assert (by_hand(net.module_) == 0).any()
    assert taught(net).min() == pytest.approx(np.log(EPS32))


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.BCELoss])
@pytest.mark.parametrize("flat", [False, True])
def test_skorch_binary_classifier_has_one_output(criterion, flat):
    module = Flat() if flat else network(1)
    if criterion is nn.BCELoss:
        module = nn.Sequential(module, nn.Sigmoid())
    net = skorch_net(module, criterion, NeuralNetBinaryClassifier)
    z = taught(net, X[two], y[two])
    raw = by_hand(net.module_, X32[two]).ravel()
    p = expit(raw) if criterion is nn.BCEWithLogitsLoss else raw
    assert_allclose(softmax(z)[:, 1], p, rtol=1e-5, atol=1e-6)
    if criterion is nn.BCEWithLogitsLoss:
        assert_allclose(z, np.column_stack([np.zeros_like(raw), raw]), rtol=1e-5)


def test_binary_scores_are_the_second_logit():
    svc = fitted(SVC(), X[two], y[two])
    score = svc.decision_function(X[two])
    expected = np.column_stack([np.zeros(len(score)), score])
    assert_allclose(taught(svc, X[two], y[two]), expected, rtol=1e-6)


@pytest.mark.parametrize("wrap", ["bare", "pipeline", "grid", "frozen"])
def test_votes_between_pairs_are_refused(wrap):
    # Three classes have three pairs: the shape alone would not tell.
    svc = SVC(decision_function_shape="ovo")
    teacher = {
        "bare": lambda: fitted(svc),
        "pipeline": lambda: fitted(make_pipeline(StandardScaler(), svc)),
        "grid": lambda: fitted(GridSearchCV(svc, {"C": [1]}, cv=2)),
        "frozen": lambda: FrozenEstimator(fitted(svc)),
    }[wrap]()
    with pytest.raises(ValueError, match="votes between pairs"):
        student(teacher, module=never_built).fit(X, y)


def test_votes_between_two_classes_are_scores():
    svc = fitted(SVC(decision_function_shape="ovo"), X[two], y[two])
    assert_allclose(taught(svc, X[two], y[two])[:, 1], svc.decision_function(X[two]))


def test_svc_with_probabilities():
    # scikit-learn 1.9 deprecates them; where it does not warn, they are preferred.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        svc = fitted(SVC(probability=True, random_state=0))
    if caught:
        assert {w.category for w in caught} == {FutureWarning}
    assert_allclose(taught(svc), log_clip(svc.predict_proba(X)), rtol=1e-5)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("auto", lambda t: np.log(t.predict_proba(X))),
        ("proba", lambda t: np.log(t.predict_proba(X))),
        ("log_proba", lambda t: t.predict_log_proba(X)),
        ("logits", lambda t: t.decision_function(X)),
    ],
)
def test_output_chooses_what_a_classifier_is_asked(output, expected):
    teacher = fitted(LogisticRegression(max_iter=1000))
    got = taught(as_teacher(teacher, output=output))
    assert_allclose(got, expected(teacher), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("output", ["proba", "log_proba"])
@pytest.mark.parametrize("make", [lambda f: f, lambda f: Wrapped(f)])
def test_output_tells_what_a_function_or_module_returns(output, make):
    p = torch.tensor([[0.0, 0.25, 0.75]])
    value = p if output == "proba" else p.log()

    def constant(rows):
        return value.repeat(len(rows), 1)

    got = taught(as_teacher(make(constant), output=output))
    assert_allclose(got, np.tile(log_clip(p.numpy(), EPS32), (150, 1)), rtol=1e-6)


def test_output_that_a_classifier_does_not_have():
    teacher = as_teacher(fitted(GaussianNB()), output="logits")
    with pytest.raises(ValueError, match=r"output='logits'.*only predict_proba"):
        student(teacher, module=never_built).fit(X, y)


class Focal(nn.Module):
    """A criterion that skkd does not know."""

    def forward(self, z, target):
        return nn.functional.cross_entropy(z, target)


def test_unknown_criterion_needs_a_word():
    net = skorch_net(network(), Focal)
    with pytest.raises(ValueError, match=r"Focal.*output='logits'"):
        student(net, module=never_built).fit(X, y)
    got = taught(as_teacher(net, output="logits"))
    assert_allclose(got, by_hand(net.module_), rtol=1e-4, atol=1e-5)


def test_a_student_freed_of_its_teacher_can_teach_again():
    freed = student(fitted(GaussianNB())).fit(X, y)
    before = freed.predict_proba(X)
    freed.trim_for_prediction()
    with pytest.raises(ValueError, match=r"no criterion.*output='logits'"):
        student(freed, module=never_built).fit(X, y)
    got = taught(as_teacher(freed, output="logits"))
    assert_allclose(softmax(got), before, rtol=1e-4, atol=1e-6)


# --- Lists --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [1, 3], (0.0, 2.0), np.array([0.2, 0.8])])
@pytest.mark.parametrize("average", ["proba", "logits"])
def test_weighted_mean_of_teachers(weights, average):
    one, other = linear_logits, network()
    w = np.asarray([1, 1] if weights is None else weights, dtype=float)
    w = w / w.sum()
    z = [linear_logits(X), by_hand(other)]
    if average == "proba":
        expected = np.log(w[0] * softmax(z[0]) + w[1] * softmax(z[1]))
    else:
        expected = w[0] * z[0] + w[1] * z[1]
    got = taught(as_teacher([one, other], weights=weights, average=average))
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_members_of_a_list_may_have_options_of_their_own():
    wide = fitted(GaussianNB(), X, np.array(["c", "a", "b"])[y])
    narrow = as_teacher(network(), classes=["b", "c", "a"])
    got = taught([wide, narrow], X, np.array(["a", "b", "c"])[y])
    p = wide.predict_proba(X) + softmax(by_hand(narrow.model))[:, [2, 0, 1]]
    assert_allclose(got, np.log(p / 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "weights", [[1], [1, 1, 1], [-1, 2], [0, 0], [np.nan, 1], [np.inf, 1]]
)
def test_weights_that_weigh_nothing(weights):
    with pytest.raises(ValueError, match=r"weights=.*expected 2 numbers"):
        as_teacher([linear_logits, linear_logits], weights=weights)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_teacher([]), "empty list"),
        (lambda: as_teacher(linear_logits, weights=[1]), "expected a list of teachers"),
        (lambda: as_teacher(linear_logits, average="logits"), "expected a list"),
        (lambda: as_teacher(linear_logits, output="score"), "output='score'"),
        (lambda: as_teacher(linear_logits, extra_classes="no"), "extra_classes='no'"),
        (lambda: as_teacher([linear_logits], average="geo"), "average='geo'"),
        (lambda: as_teacher(linear_logits, classes=[0, 1, 1]), "names a class twice"),
        (
            lambda: as_teacher(as_teacher(linear_logits), classes=np.arange(3)),
            "Teacher already",
        ),
        (lambda: as_teacher(as_teacher(Duck()), output="proba"), "Teacher already"),
    ],
)
def test_options_that_make_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_as_teacher_of_a_teacher_is_itself():
    teacher = as_teacher(linear_logits)
    assert as_teacher(teacher) is teacher
    assert as_teacher(FrozenEstimator(teacher)) is teacher
    assert clone(teacher) is teacher


# --- X in all its forms -------------------------------------------------------------


def frame():
    return pd.DataFrame(X, columns=["a", "b", "c", "d"])


def by_columns():
    return make_pipeline(
        make_column_transformer(("passthrough", ["d", "b"])),
        LogisticRegression(max_iter=1000),
    )


def test_pipeline_that_starts_from_columns_by_name():
    teacher = by_columns().fit(frame(), y)
    expected = np.log(teacher.predict_proba(frame()))
    assert_allclose(taught(teacher, frame()), expected, rtol=1e-5)
    # In a fold, and out of fold, these still have their names.
    assert np.isfinite(cross_val_score(student(teacher), frame(), y, cv=3)).all()
    assert np.isfinite(taught(by_columns(), frame(), teacher_cv=3)).all()


def test_pipeline_that_starts_from_columns_that_the_student_does_not_see():
    teacher = by_columns().fit(frame(), y)
    expected = np.log(teacher.predict_proba(frame()))
    got = taught(teacher, X[:, :2], fit_params={"teacher_X": frame()})
    assert_allclose(got, expected, rtol=1e-5)
    scores = cross_val_score(
        student(teacher), X[:, :2], y, cv=3, params={"teacher_X": frame()}
    )
    assert np.isfinite(scores).all()


def rows_of_paths(paths):
    return X[[int(str(path).removesuffix(".png")) for path in paths]]


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_teacher_from_image_paths_beside_the_images(container):
    paths = [f"{i}.png" for i in range(len(X))]
    teacher = make_pipeline(FunctionTransformer(rows_of_paths), GaussianNB())
    teacher.fit(paths, y)
    images = np.random.default_rng(0).integers(0, 256, (150, 1, 4, 4), dtype=np.uint8)
    beside = {"teacher_X": container(paths)}
    params = {"module": MLP, "module__hidden": (), "fit_params": beside}
    expected = log_clip(teacher.predict_proba(paths))
    assert_allclose(taught(teacher, images, **params), expected, rtol=1e-5)
    # Out of fold, the paths are sliced too.
    assert np.isfinite(taught(teacher, images, **params, teacher_cv=3)).all()


def test_teacher_X_of_another_length():
    with pytest.raises(ValueError, match="teacher_X has 3 rows, expected 150"):
        student(linear_logits).fit(X, y, teacher_X=X[:3])


@pytest.mark.filterwarnings("ignore:X has feature names")  # the forest says so
@pytest.mark.parametrize("kind", ["skorch-logits", "module", "forest", "list-mixed"])
@pytest.mark.parametrize(
    "form", ["frame", "list", "dataset", "slices", "read-only", "reversed", "fortran"]
)
def test_every_form_of_rows(kind, form):
    teacher, expected = KINDS[kind]()
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    read_only = X.copy()
    read_only.flags.writeable = False  # as joblib maps large arrays
    rows, labels = {
        "frame": lambda: (frame(), y),
        "list": lambda: (X.tolist(), y.tolist()),
        "dataset": lambda: (dataset, None),
        "slices": lambda: (SliceDataset(dataset), y),
        "read-only": lambda: (read_only, y),
        "reversed": lambda: (X[::-1].copy()[::-1], y),
        "fortran": lambda: (np.asfortranarray(X), y),
    }[form]()
    assert_allclose(taught(teacher, rows, labels), expected, rtol=1e-4, atol=1e-4)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b):
        return self.linear(torch.cat([a, b], dim=1))


def two_input_net(rows):
    net = NeuralNetClassifier(
        TwoInputs, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    )
    with torch.random.fork_rng():
        return net.set_params(train_split=None).fit(rows, y)


@pytest.mark.parametrize("mapping", [dict, SliceDict])
@pytest.mark.parametrize("skorch", [False, True])
def test_mapping_as_X(mapping, skorch):
    rows = mapping(a=X32[:, :2], b=X32[:, 2:])
    teacher = two_input_net(SliceDict(**rows)) if skorch else TwoInputs()
    module = teacher.module_ if skorch else teacher
    got = taught(teacher, rows, module=TwoInputs)
    assert_allclose(got, by_hand(module.linear), rtol=1e-4, atol=1e-5)
    if skorch:
        again = taught(teacher, rows, module=TwoInputs, teacher_cv=3)
        assert np.isfinite(again).all()


class ByColumn(nn.Module):
    """Takes a DataFrame as skorch hands it over, a column at a time."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b, c, d):
        return self.linear(torch.cat([a, b, c, d], dim=1).float())


def test_skorch_net_that_takes_the_columns_of_a_frame():
    net = NeuralNetClassifier(ByColumn, criterion=nn.CrossEntropyLoss, verbose=0)
    net.initialize()
    assert_allclose(
        taught(net, frame()), by_hand(net.module_.linear), rtol=1e-4, atol=1e-5
    )


def test_torch_dataset_with_clones_of_the_teacher():
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    got = taught(GaussianNB(), dataset, None, teacher_cv=None)
    assert_allclose(got, log_clip(fitted(GaussianNB()).predict_proba(X)), rtol=1e-4)
    assert np.isfinite(taught(GaussianNB(), dataset, None, teacher_cv=3)).all()


def test_teacher_in_parts_does_not_depend_on_the_cut():
    teacher = network()
    rows = np.tile(X, (5, 1))  # more than a forward pass takes
    got = taught(teacher, rows, np.tile(y, 5))
    assert_allclose(got, by_hand(teacher, rows), rtol=1e-4, atol=1e-5)


# --- Classes ------------------------------------------------------------------------

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


def test_classes_of_the_student_in_its_own_order():
    teacher = fitted(GaussianNB(), X, NAMES[y])
    order = NAMES[[1, 2, 0]]
    got = taught(teacher, X, NAMES[y], classes=order)
    expected = log_clip(teacher.predict_proba(X))[:, [1, 2, 0]]
    assert_allclose(got, expected, rtol=1e-5)


def test_names_for_the_columns_of_a_teacher_that_learnt_numbers():
    teacher = fitted(GaussianNB())
    with pytest.raises(ValueError, match=r"does not know the classes.*classes=\[..."):
        student(teacher, module=never_built).fit(X, NAMES[y])
    got = taught(as_teacher(teacher, classes=NAMES), X, NAMES[y])
    assert_allclose(got, log_clip(teacher.predict_proba(X)), rtol=1e-5)


def test_superset_of_classes_is_an_error():
    with pytest.raises(ValueError, match=r"have: \[2\].*extra_classes='drop'"):
        student(fitted(GaussianNB()), module=never_built).fit(X[two], y[two])


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
    p = np.maximum(teacher.predict_proba(rows), EPS64)[:, [0, 2]]
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
    message = rf"outputs of shape \(150, {n_out}\).*expected \(150, 3\)"
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


# --- A teacher is bit for bit the same ----------------------------------------------


def state_of(teacher):
    """Return all that could change, in a form that compares by content."""
    if isinstance(teacher, list):
        return [state_of(member) for member in teacher]
    if isinstance(teacher, NeuralNet):
        parts = [state_of(teacher.module_), state_of(teacher.criterion_)]
        return [*parts, len(teacher.history), str(teacher.optimizer_.state_dict())]
    if not isinstance(teacher, nn.Module):
        return pickle.dumps(teacher)
    return {
        "tensors": {k: v.numpy().tobytes() for k, v in teacher.state_dict().items()},
        "modes": {name: m.training for name, m in teacher.named_modules()},
        "grads": {n: (p.requires_grad, p.grad) for n, p in teacher.named_parameters()},
    }


def rng_state():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()


def search(n_jobs):
    def run(est):
        grid = GridSearchCV(est, {"temperature": [1, 2]}, cv=2, n_jobs=n_jobs)
        grid.fit(X, y)
        if n_jobs == 1:
            assert grid.best_estimator_.teacher is est.teacher
            assert grid.best_estimator_.teacher_ is est.teacher

    return run


def fit_clone(est):
    twin = clone(clone(est))
    assert twin.teacher is est.teacher
    assert twin.fit(X, y).teacher_ is est.teacher


def in_pipeline(est):
    pipe = clone(make_pipeline(StandardScaler(), est)).fit(X, y)
    assert pipe[-1].teacher is est.teacher
    pipe.predict(X)


def change_params(est):
    est.set_params(temperature=2, alpha=0.9, module__hidden=()).fit(X, y)
    est.set_params(teacher=est.teacher, distillation="mse").fit(X, y)
    twin = clone(est)
    twin.set_params(**est.get_params(deep=False)).fit(X, y)
    assert twin.teacher is est.teacher


def shallow_copy(est):
    twin = copy.copy(est.fit(X, y))
    assert twin.teacher is est.teacher
    assert_array_equal(twin.predict_proba(X), est.predict_proba(X))
    twin.fit(X, y)


def round_trip(copied):
    def run(est):
        twin = copied(est.fit(X, y))
        given, got = (as_teacher(e.teacher).logits(X, [0, 1, 2]) for e in (est, twin))
        assert_array_equal(got, given)
        assert_array_equal(twin.predict_proba(X), est.predict_proba(X))
        twin.fit(X, y)  # and it can teach again
        assert_array_equal(twin.predict_proba(X), est.predict_proba(X))

    return run


def through_augment(est):
    est.set_params(augment=torch.clone).fit(X32, y)


def freed(est):
    teacher = est.teacher
    est.fit(X, y).trim_for_prediction()
    est.predict(X)
    est.teacher = teacher  # for the comparison


USES = {
    "fit": lambda est: est.fit(X, y),
    "fit-and-predict": lambda est: est.fit(X, y).predict(X),
    "partial-fit": lambda est: est.partial_fit(X, y).partial_fit(X, y),
    "clone": fit_clone,
    "grid-1": search(1),
    "grid-2": search(2),
    "cross-val": lambda est: cross_val_score(est, X, y, cv=2),
    "pipeline": in_pipeline,
    "set-params": change_params,
    "copy": shallow_copy,
    "deepcopy": round_trip(copy.deepcopy),
    "pickle": round_trip(lambda est: pickle.loads(pickle.dumps(est))),
    "augment": through_augment,
    "trim": freed,
    "repr": lambda est: (repr(est), est._repr_html_()),
}
UNCHANGED = {
    "module": network,
    "skorch": lambda: skorch_net(network()),
    "forest": lambda: fitted(RandomForestClassifier(3, random_state=0)),
    "list": lambda: [network(), skorch_net(network()), fitted(GaussianNB())],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", UNCHANGED)
def test_teacher_is_the_same_bit_for_bit(kind, use):
    teacher = UNCHANGED[kind]()
    est = student(teacher)
    before, rng = state_of(teacher), rng_state()
    USES[use](est)
    assert rng_state() == rng
    assert state_of(teacher) == before
    assert est.get_params()["teacher"] is teacher
    assert est.teacher is teacher


class ModeKeeper(nn.Module):
    """Counts in a buffer how often it was asked, and in which mode."""

    def __init__(self):
        super().__init__()
        self.body = network()
        self.asked_in_train_mode = 0

    def train(self, mode=True):
        raise AssertionError("somebody moved the teacher to another mode")

    def forward(self, x):
        self.asked_in_train_mode += any(m.training for m in self.modules())
        assert not torch.is_grad_enabled()
        return self.body(x)


def test_teacher_is_asked_in_eval_mode_without_calling_train():
    teacher = ModeKeeper()
    taught(teacher)
    assert teacher.asked_in_train_mode == 0
    assert teacher.training
    assert not teacher.body[2].training


def test_mode_is_given_back_after_an_error():
    teacher = nn.Sequential(network(), nn.Linear(7, 3))
    before = state_of(teacher)
    with pytest.raises(ValueError, match="does not take X"):
        student(teacher).fit(X, y)
    assert state_of(teacher) == before


class TwoParts(NeuralNetClassifier):
    """A net with a second module, which skorch moves between modes too."""

    def initialize_module(self):
        super().initialize_module()
        self.extra_ = nn.Dropout(0.5)
        return self


def test_every_part_of_a_skorch_net_gets_its_mode_back():
    net = TwoParts(network(), criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    net.module_.eval()
    assert net.extra_.training
    taught(net)
    assert net.extra_.training
    assert not any(m.training for m in net.module_.modules())


def test_a_random_teacher_leaves_the_students_stream_alone():
    def noisy(rows):
        np.random.rand(3), random.random(), torch.rand(2)
        return linear_logits(rows)

    quiet = student(linear_logits, max_epochs=3).fit(X, y)
    noise = student(noisy, max_epochs=3).fit(X, y)
    assert_array_equal(quiet.predict_proba(X), noise.predict_proba(X))


# --- Clones of a teacher, and what they may see -------------------------------------

INDEX = np.column_stack([np.arange(90), np.tile([0, 1, 2], 30)]).astype(float)
LABELS = INDEX[:, 1].astype(int)


class Recorder(ClassifierMixin, BaseEstimator):
    """Writes down the rows that it saw, and those it was asked about."""

    log = []

    def __init__(self, C=1.0):
        self.C = C

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.saw_ = frozenset(X[:, 0].astype(int))
        return self

    def predict_proba(self, X):
        rows = X[:, 0].astype(int)
        Recorder.log.append((self.saw_, frozenset(rows), self.C))
        # A probability that tells the row, and what the teacher saw.
        p = (rows + 1) / (2 + rows.max()) / 2
        return np.column_stack([p, np.full(len(p), 0.25), 0.75 - p])


@pytest.fixture
def log():
    Recorder.log.clear()
    return Recorder.log


def folds():
    return list(StratifiedKFold(3).split(INDEX, LABELS))


def test_out_of_fold_teachers_see_neither_their_rows_nor_the_test_fold(log):
    est = student(Recorder(), teacher_cv=3)
    cross_val_score(est, INDEX, LABELS, cv=folds(), error_score="raise")
    assert len(log) == 9
    for i, (train, test) in enumerate(folds()):
        of_fold = log[3 * i : 3 * i + 3]
        for saw, asked, _ in of_fold:
            assert not saw & asked
            assert not (saw | asked) & set(test)
            assert saw | asked == set(train)
        # Each row is asked about exactly once.
        assert sorted(r for _, asked, _ in of_fold for r in asked) == sorted(train)


def test_one_clone_sees_the_training_rows_and_no_test_fold(log):
    est = student(Recorder(), teacher_cv=None)
    cross_val_score(est, INDEX, LABELS, cv=folds(), error_score="raise")
    assert [(saw, asked) for saw, asked, _ in log] == [
        (set(train), set(train)) for train, _ in folds()
    ]


@pytest.mark.parametrize(
    ("teacher_cv", "splits"),
    [
        (3, folds()),
        (StratifiedKFold(3), folds()),
        (folds(), folds()),
        (LeaveOneOut(), list(LeaveOneOut().split(INDEX))),
    ],
    ids=["int", "splitter", "iterable", "one-out"],
)
def test_each_row_gets_the_target_of_its_own_clone(teacher_cv, splits):
    got = taught(GaussianNB(), INDEX, LABELS, teacher_cv=teacher_cv)
    expected = np.empty((90, 3))
    for train, test in splits:
        one = GaussianNB().fit(INDEX[train], LABELS[train])
        expected[test] = log_clip(one.predict_proba(INDEX[test]))
    assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_unlabelled_rows_are_taught_by_all_and_fitted_by_none(log):
    labels = LABELS.copy()
    labels[::4] = -1
    hidden = set(range(0, 90, 4))
    est = student(Recorder(), teacher_cv=3, unlabeled=-1).fit(INDEX, labels)
    assert len(est.teacher_) == 3
    for saw, asked, _ in log:
        assert not saw & asked
        assert not saw & hidden
    assert [asked for _, asked, _ in log[3:]] == [hidden] * 3
    log.clear()
    student(Recorder(), teacher_cv=None, unlabeled=-1).fit(INDEX, labels)
    assert [(saw, asked) for saw, asked, _ in log] == [
        (set(range(90)) - hidden, set(range(90)))
    ]


@pytest.mark.parametrize(
    "teacher_cv",
    [
        ShuffleSplit(3, random_state=0),
        ShuffleSplit(1, random_state=0),
        folds()[:2],
        [*folds(), folds()[0]],
        [(np.arange(90), test) for _, test in folds()],  # trains on what it holds out
    ],
    ids=["shuffle", "one", "gap", "twice", "leak"],
)
def test_splits_that_are_no_partition(teacher_cv, log):
    with pytest.raises(ValueError, match="hold out each labelled row exactly once"):
        student(Recorder(), teacher_cv=teacher_cv).fit(INDEX, LABELS)
    assert not log


@pytest.mark.parametrize("teacher_cv", [None, 3])
@pytest.mark.parametrize(
    "make",
    [network, lambda: linear_logits, lambda: as_teacher(GaussianNB()), lambda: "a"],
)
def test_what_cannot_be_fitted_anew(make, teacher_cv):
    for teacher in (make(), [GaussianNB(), make()]):
        est = student(teacher, teacher_cv=teacher_cv, module=never_built)
        with pytest.raises(TypeError, match=r"cannot be cloned and fitted.*prefit"):
            est.fit(X, y)


def test_frozen_teacher_with_splits_would_leak():
    teacher = FrozenEstimator(fitted(GaussianNB()))
    with pytest.raises(TypeError, match="FrozenEstimator is never fitted anew"):
        student(teacher, teacher_cv=3, module=never_built).fit(X, y)
    # Without splits nothing is promised, and scikit-learn's own idiom works.
    assert student(teacher, teacher_cv=None).fit(X, y).teacher_ is teacher


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_fitted_clones_leave_the_parameter_unfitted(teacher_cv):
    teacher = [
        LogisticRegression(max_iter=500),
        NeuralNetClassifier(network, verbose=0),
    ]
    teacher[1].set_params(criterion=nn.CrossEntropyLoss, train_split=None, max_epochs=1)
    est = student(teacher, teacher_cv=teacher_cv).fit(X32, y)
    assert not hasattr(teacher[0], "classes_")
    assert not teacher[1].initialized_
    assert est.get_params()["teacher"] is teacher
    fitted_ones = [est.teacher_] if teacher_cv is None else est.teacher_
    assert len(fitted_ones) == (teacher_cv or 1)
    assert all(len(one[0].classes_) == 3 for one in fitted_ones)


class Weighted(GaussianNB):
    """Remembers the weights that its clones were fitted with."""

    weights = []

    def fit(self, X, y, sample_weight=None):
        Weighted.weights.append((X[:, 0].astype(int), sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_sample_weight_reaches_the_teacher(teacher_cv):
    Weighted.weights.clear()
    weight = np.linspace(0.5, 2, 90)
    est = student(Weighted(), teacher_cv=teacher_cv)
    est.fit(INDEX, LABELS, sample_weight=weight)
    assert len(Weighted.weights) == (teacher_cv or 1)
    for rows, given in Weighted.weights:
        assert_array_equal(given, weight[rows])
    Weighted.weights.clear()
    est.fit(INDEX, LABELS)
    assert all(given is None for _, given in Weighted.weights)


def test_sample_weight_that_a_teacher_cannot_take():
    est = student(KNeighborsClassifier(), teacher_cv=None)
    with pytest.warns(UserWarning, match=r"KNeighborsClassifier.fit takes no sample_w"):
        est.fit(X, y, sample_weight=np.ones(150))


def test_parameters_of_the_teacher_can_be_searched(log):
    grid = GridSearchCV(
        student(Recorder(), teacher_cv=None),
        {"teacher__C": [0.1, 10.0]},
        cv=2,
        refit=False,
        error_score="raise",
    ).fit(INDEX, LABELS)
    assert [C for _, _, C in log] == [0.1, 0.1, 10.0, 10.0]
    assert grid.estimator.teacher.C == 1.0
    assert grid.estimator.get_params()["teacher__C"] == 1.0


def test_parameters_of_a_prefit_teacher_cannot_be_set():
    teacher = fitted(LogisticRegression(max_iter=1000))
    est = student(teacher)
    assert not [name for name in est.get_params() if name.startswith("teacher__")]
    with pytest.raises(ValueError, match=r"teacher__C: with teacher_cv='prefit'"):
        est.set_params(teacher__C=3)
    assert teacher.C == 1.0
    est.set_params(teacher=LogisticRegression(), teacher_cv=None, teacher__C=3)
    assert est.teacher.C == 3


@pytest.mark.parametrize("teacher", [None, [GaussianNB()], linear_logits])
def test_parameters_of_a_teacher_that_has_none(teacher):
    with pytest.raises(ValueError, match=r"teacher__C.*has no parameters to set"):
        student(teacher, teacher_cv=None).set_params(teacher__C=3)


@pytest.mark.parametrize("teacher_cv", ["prefit", None, 3])
def test_alpha_zero_runs_no_teacher(teacher_cv, log):
    teacher = Raises() if teacher_cv == "prefit" else Recorder()
    est = student(teacher, teacher_cv=teacher_cv, alpha=0, max_epochs=3)
    est.fit(INDEX, LABELS)
    assert not log
    plain = student(max_epochs=3).fit(INDEX, LABELS)
    assert_array_equal(est.predict_proba(INDEX), plain.predict_proba(INDEX))
    if teacher_cv == "prefit":
        with pytest.raises(AssertionError, match="the teacher was asked"):
            est.set_params(alpha=0.5).fit(INDEX, LABELS)


def test_teacher_is_asked_once_and_not_in_prediction(log):
    est = student(Recorder().fit(INDEX, LABELS), max_epochs=3).fit(INDEX, LABELS)
    est.predict(INDEX), est.score(INDEX, LABELS)
    assert len(log) == 1


@pytest.mark.parametrize("teacher_cv", [1, 1.5, True, "loo"])
def test_bad_teacher_cv(teacher_cv):
    with pytest.raises(ValueError, match=r"teacher_cv=|n_splits|cv"):
        student(GaussianNB(), teacher_cv=teacher_cv).fit(X, y)


def test_same_clones_twice_with_random_state():
    teacher = RandomForestClassifier(3)  # random_state=None
    a, b = (taught(teacher, teacher_cv=3) for _ in range(2))
    assert_array_equal(a, b)
    assert (a != taught(teacher, teacher_cv=3, random_state=1)).any()


class _Noisy(torch.utils.data.Dataset):
    """Four rows, each another view whenever it is read."""

    targets = (0, 1, 0, 1)

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.rand(3), self.targets[i]


def test_rows_that_change_when_read_are_refused():
    student = torch.nn.Linear(3, 2)
    teacher = torch.nn.Linear(3, 2)
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="another each time it is read"):
        DistilledClassifier(student, teacher=teacher, random_state=0).fit(_Noisy())
    assert torch.equal(torch.get_rng_state(), state)
    # Without a teacher nobody is taught of a view that is not there.
    DistilledClassifier(student, max_epochs=1, random_state=0).fit(_Noisy())
