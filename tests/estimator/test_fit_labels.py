"""Labels of y of every kind, declared classes, and samples without a label."""

import numpy as np
import pandas as pd
import pytest
import torch
from estimator_helpers import (
    C,
    Forbidden,
    N,
    close,
    distil,
    equal,
    full_batch,
    quiet_teachers,
    state,
)
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch.utils.data import TensorDataset

pytestmark = quiet_teachers


LABELS = [
    np.array([5, 7, 9]),
    np.array([-1, 0, 1]),
    np.array([1.0, 2.0, 5.0]),
    np.array(["no", "yes", "maybe"]),
    np.array(["no", "yes", "maybe"], dtype=object),
    np.array([2**40, 3, 4]),
    np.array([1, 2, 3], dtype=np.uint8),
]

# --- Labels ---


@pytest.mark.parametrize("names", LABELS, ids=lambda names: repr(names.dtype))
def test_labels_are_predicted_in_their_own_type(X, y, names):
    labels = names[y]
    teacher = LogisticRegression().fit(X, labels)
    net = distil(teacher=teacher, max_epochs=40, lr=0.01).fit(X, labels)
    predicted = net.predict(X)
    assert predicted.dtype == labels.dtype
    np.testing.assert_array_equal(net.classes_, np.unique(labels))
    assert net.score(X, labels) == (predicted == labels).mean() > 0.9
    best = net.predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(net.classes_[best], predicted)


def test_bool_labels_are_predicted_as_bools(X):
    labels = X[:, 0] > 0
    net = distil(max_epochs=30, lr=0.01).fit(X, labels)
    assert net.predict(X).dtype == bool
    assert net.score(X, labels) > 0.9


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        pd.Series,
        pd.Categorical,
        lambda y: pd.Series(y, dtype="category"),
        lambda y: pd.Series(y, index=range(100, 100 + len(y))),
    ],
    ids=["list", "Series", "Categorical", "Series of categories", "other index"],
)
def test_labels_may_come_in_any_container(X, y, wrap):
    labels = np.array(["b", "c", "a"])[y]
    net = distil(max_epochs=30, lr=0.01).fit(X, wrap(labels.tolist()))
    assert net.classes_.tolist() == ["a", "b", "c"]
    assert (net.predict(X) == labels).mean() > 0.9


def test_labels_may_be_a_tensor(X, y):
    net = distil().fit(torch.tensor(X), torch.tensor(y) + 3)
    assert net.classes_.tolist() == [3, 4, 5]


def test_declared_classes_are_sorted(X, y):
    labels = np.array(["b", "c", "a"])[y]
    teacher = LogisticRegression().fit(X, labels)
    declared = ["c", "a", "b"]
    net = distil(teacher=teacher, classes=declared, alpha=1, max_epochs=60, lr=0.01)
    net.fit(X, labels)
    assert net.classes_.tolist() == ["a", "b", "c"]
    taught = teacher.predict_proba(X)
    assert np.abs(net.predict_proba(X) - taught).max() < 0.15
    assert (net.predict(X) == teacher.predict(X)).mean() > 0.9


def test_declared_classes_may_have_no_row(X, y):
    net = distil(classes=[0, 1, 2, 3]).fit(X, y)
    assert net.predict_proba(X).shape == (N, 4)


def test_one_class_is_refused_unless_others_are_declared(X):
    with pytest.raises(ValueError, match="y has one class only, 'only'"):
        distil().fit(X, np.full(N, "only"))
    net = distil(classes=["other", "only"]).fit(X, np.full(N, "only"))
    assert net.predict_proba(X).shape == (N, 2)


def test_a_column_of_labels_warns(X, y):
    with pytest.warns(DataConversionWarning, match="column-vector"):
        net = distil().fit(X, y[:, None])
    assert equal(state(net), state(distil().fit(X, y)))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, ValueError, "requires y"),
        (np.linspace(0, 1, N), ValueError, "continuous"),
        (np.eye(3)[np.arange(N) % 3], ValueError, "1d array"),
        (np.full(N, np.nan), ValueError, "NaN"),
        ([*"ab" * 29, None, None], ValueError, "2 rows of y have no label"),
        (np.array([*"ab" * 29, 1, 2], object), TypeError, "several types, int, str"),
        (np.array([1, "b"] * 30, dtype=object), TypeError, "several types"),
        (np.zeros(N - 1), ValueError, "inconsistent"),
    ],
)
def test_labels_that_are_no_classes_are_refused(X, labels, error, message):
    with pytest.raises(error, match=message):
        distil().fit(X, labels)


@pytest.mark.parametrize("classes", [[], [[0, 1]], [0, 0, 1]])
def test_bad_declared_classes_are_refused(X, y, classes):
    with pytest.raises(ValueError, match="classes="):
        distil(classes=classes).fit(X, y)


def test_declared_classes_must_agree_with_those_of_partial_fit(X, y):
    with pytest.raises(ValueError, match="differs"):
        distil(classes=[0, 1, 2]).partial_fit(X, y, classes=[0, 1, 2, 3])


def missing_object(values):
    values = np.array(values, dtype=object)
    values[-20:] = np.nan
    return values


# --- Samples without a label ---


# The last twenty rows have no label.
KNOWN = slice(0, N - 20)


def mark(y, marker=-1):
    y = np.array(y, dtype=object if isinstance(marker, str) else None)
    y[-20:] = marker
    return y


@pytest.mark.parametrize(
    ("make", "marker"),
    [
        (lambda s, y: np.r_[y[:-20], [-1] * 20], -1),
        (lambda s, y: np.r_[y[:-20], [99] * 20], 99),
        (lambda s, y: np.r_[y[:-20] * 1.0, [np.nan] * 20], np.nan),
        (lambda s, y: [*s[:-20], *["?"] * 20], "?"),
        (lambda s, y: [*s[:-20], *[-1] * 20], -1),
        (lambda s, y: [*s[:-20], *[float("nan")] * 20], np.nan),
        (lambda s, y: [*s[:-20], *[None] * 20], np.nan),
        (lambda s, y: missing_object(s), np.nan),
        (lambda s, y: pd.Series([*s[:-20], *[None] * 20]), np.nan),
        (lambda s, y: pd.Series([*s[:-20], *[None] * 20], dtype="category"), pd.NA),
        (lambda s, y: pd.Series([*y[:-20], *[None] * 20], dtype="Int64"), pd.NA),
        (lambda s, y: pd.Series([*y[:-20], *[None] * 20], dtype="Int64"), np.nan),
    ],
)
def test_unlabeled_may_be_any_marker(X, y, make, marker):
    strings = np.array(["a", "b", "c"])[y].tolist()
    labels = make(strings, y)
    net = distil(unlabeled=marker).fit(X, labels, teacher_logits=np.zeros((N, C)))
    assert len(net.classes_) == C
    expected = net.score(X[KNOWN], list(labels)[:-20])
    assert net.score(X, labels) == expected
    assert clone(net).unlabeled is marker


def test_an_unlabeled_marker_that_became_a_string_is_noticed(X):
    labels = np.array(["a", "b"] * 29 + [-1, -1])  # NumPy makes strings of all
    net = distil(unlabeled=-1)
    with pytest.raises(ValueError, match="dtype=object"):
        net.fit(X, labels, teacher_logits=np.zeros((N, 3)))


def test_the_term_of_the_labels_ignores_unlabelled_samples(X, y, table):
    """With alpha=0, rows without label change nothing, whatever they hold."""
    labels = mark(y)
    noise = X.copy()
    noise[-20:] = 100
    one, other = (
        full_batch(alpha=0, teacher=Forbidden(), unlabeled=-1).fit(x, labels)
        for x in (X, noise)
    )
    known = full_batch(teacher=None).fit(X[KNOWN], y[KNOWN])
    assert equal(state(one), state(other))
    assert close(state(one), state(known), rtol=1e-12)


def test_the_term_of_the_teacher_uses_unlabelled_samples(X, y, table):
    labels, changed = mark(y), table.copy()
    changed[-1] += [9, -9, 0]
    net = full_batch(alpha=0.5, unlabeled=-1)
    one = state(net.fit(X, labels, teacher_logits=table))
    other = state(net.fit(X, labels, teacher_logits=changed))
    assert not close(one, other)


def test_each_term_is_the_mean_of_its_samples_if_some_are_unlabelled(X, y, table):
    labels = mark(y)

    def step(alpha):
        net = full_batch(alpha=alpha, unlabeled=-1)
        return state(net.fit(X, labels, teacher_logits=table))

    hard = state(full_batch().fit(X[KNOWN], y[KNOWN]))
    soft = state(full_batch(alpha=1).fit(X, y, teacher_logits=table))
    expected = [0.3 * h + 0.7 * s for h, s in zip(hard, soft, strict=True)]
    assert close(step(0.7), expected, rtol=1e-10)


def test_each_term_is_the_mean_of_its_samples_if_some_are_held_out(X, y, table):
    """What is held out leaves the balance of the two terms as it is."""
    labels, split = mark(y), ValidSplit(4, stratified=False)
    net = full_batch(alpha=0.5, unlabeled=-1, train_split=split)
    both = state(net.fit(X, labels, teacher_logits=table))
    kept = np.r_[10 : N - 20]  # the first fourth of the labelled rows is held out
    rows = np.r_[kept, N - 20 : N]
    hard = state(full_batch().fit(X[kept], y[kept]))
    net.set_params(alpha=1, train_split=None, unlabeled=None)
    soft = state(net.fit(X[rows], y[rows], teacher_logits=table[rows]))
    expected = [(h + s) / 2 for h, s in zip(hard, soft, strict=True)]
    assert close(both, expected, rtol=1e-10)


def test_unlabelled_samples_take_no_part_in_class_weights(X, y, table):
    labels = mark(y)
    counts = np.bincount(y[KNOWN])
    weight = np.ones(N)
    weight[KNOWN] = ((N - 20) / C / counts)[y[KNOWN]]
    one = full_batch(unlabeled=-1, class_weight="balanced")
    other = full_batch(unlabeled=-1)
    one.fit(X, labels, teacher_logits=table)
    other.fit(X, labels, teacher_logits=table, sample_weight=weight)
    assert close(state(one), state(other), rtol=1e-12)


def test_unlabelled_samples_are_not_held_out(X, y, table):
    net = distil(unlabeled=-1, train_split=ValidSplit(4, stratified=True))
    net.fit(X, mark(y), teacher_logits=table)
    batches = net.history[-1]["batches"]
    assert sum(b.get("train_batch_size", 0) for b in batches) == N - 10
    assert sum(b.get("valid_batch_size", 0) for b in batches) == 10
    assert 0 < net.history[-1, "valid_loss"] < 5


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_unlabelled_samples_are_not_scored(X, y, table, use_caching, on_train):
    labels = mark(y)
    scoring = EpochScoring(
        "accuracy", on_train=on_train, use_caching=use_caching, name="acc"
    )
    net = distil(
        unlabeled=-1, callbacks=[scoring], lr=1e-9, train_split=ValidSplit(4)
    ).fit(X, labels, teacher_logits=table)
    train, valid = ValidSplit(4)(TensorDataset(torch.zeros(N - 20)), labels[KNOWN])
    rows = (train if on_train else valid).indices
    expected = net.score(X[rows], y[rows])
    assert net.history[-1, "acc"] == pytest.approx(expected)


def test_unlabelled_samples_need_a_teacher(X, y):
    with pytest.raises(ValueError, match=r"20 rows .* only a teacher"):
        distil(unlabeled=-1).fit(X, mark(y))


def test_unlabeled_none_means_that_minus_one_is_a_class(X):
    labels = np.where(X[:, 0] > 0, 1, -1)
    assert distil().fit(X, labels).classes_.tolist() == [-1, 1]


def test_all_samples_may_be_unlabelled(X, y, table):
    net = distil(unlabeled=-1, classes=[0, 1, 2], alpha=1, class_weight="balanced")
    net.fit(X, np.full(N, -1), teacher_logits=table, sample_weight=np.arange(N) * 1.0)
    assert set(net.predict(X)) <= {0, 1, 2}
    with pytest.raises(ValueError, match="nothing to score"):
        net.score(X, np.full(N, -1))


def test_classes_must_be_declared_if_all_samples_are_unlabelled(X):
    net = distil(unlabeled=-1)
    with pytest.raises(ValueError, match=r"pass classes="):
        net.fit(X, np.full(N, -1), teacher_logits=np.zeros((N, 2)))
