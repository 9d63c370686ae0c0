"""Clones of a teacher, and which samples they may see."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from skorch import NeuralNetClassifier
from teacher_cases import (
    X32,
    Raises,
    X,
    fitted,
    linear_logits,
    log_clip,
    network,
    never_built,
    student,
    taught,
    y,
)
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

# What teachers say is compared to the last digit; none has to be right.
pytestmark = [
    pytest.mark.filterwarnings(
        r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|one-sided|permuted-classes)\]:skkd.TeacherWarning"
    ),
    # A column of X numbers the rows, and a fold has numbers of its own.
    pytest.mark.filterwarnings("ignore:.*outside of the:skkd.DistillationWarning"),
]


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
