"""`groups=`: copies of a sample stay on one side of every split of a fit."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier

IRIS, LABELS = load_iris(return_X_y=True)
_, DISTINCT = np.unique(IRIS, axis=0, return_index=True)  # two flowers are equal
IRIS, LABELS = IRIS[DISTINCT], LABELS[DISTINCT]
# Each flower three times.
GROUPS = np.tile(np.arange(len(IRIS)), 3)
X, Y = IRIS[GROUPS].astype("float32"), LABELS[GROUPS]
SEEN = []


@pytest.fixture(autouse=True)
def _notes(monkeypatch):
    """Let nearest neighbours note what they are fitted on, and asked about."""
    SEEN.clear()
    # Not in a subclass, whose decisions would be looked at once more.
    for name in ("fit", "predict_proba"):
        original = getattr(KNeighborsClassifier, name)

        def noting(self, X, *args, original=original):
            SEEN.append({row.tobytes() for row in X})
            return original(self, X, *args)

        monkeypatch.setattr(KNeighborsClassifier, name, noting)


def student(**params):
    defaults = {"teacher": KNeighborsClassifier(10), "max_epochs": 1, "random_state": 0}
    return DistilledClassifier(**{**defaults, **params})


def leaks():
    """Count the samples that a teacher was asked about and fitted on."""
    return sum(
        len(fit & asked) for fit, asked in zip(SEEN[::2], SEEN[1::2], strict=True)
    )


@pytest.mark.parametrize("cv", [3, GroupKFold(3)])
def test_copies_are_in_one_fold_of_the_teacher(cv):
    student(teacher_cv=cv).fit(X, Y, groups=GROUPS)
    assert len(SEEN) == 6
    assert leaks() == 0


def test_an_ensemble_that_is_not_fitted_has_no_length():
    net = student(teacher=RandomForestClassifier(5, random_state=0), teacher_cv=3)
    assert len(net.fit(X, Y, groups=GROUPS).teacher_) == 3


def test_without_groups_they_leak():
    student(teacher_cv=3).fit(X, Y)
    assert leaks() > 100


def test_a_splitter_by_groups_says_what_it_needs():
    with pytest.raises(ValueError, match=r"fit\(\.\.\., groups=groups\)"):
        student(teacher_cv=GroupKFold(3)).fit(X, Y)


def test_groups_that_nobody_splits_by_are_refused():
    teacher = LogisticRegression(max_iter=500).fit(X, Y)
    with pytest.raises(ValueError, match="nothing is split: leave it out"):
        student(teacher=teacher).fit(X, Y, groups=GROUPS)


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"groups has shape \(\d+,\), expected"):
        student(teacher_cv=3).fit(X, Y, groups=GROUPS[:-1])


def test_train_split_by_groups():
    held_out = []

    class Split(ValidSplit):
        def __call__(self, dataset, y=None, groups=None):
            train, valid = super().__call__(dataset, y, groups)
            held_out.append((GROUPS[train.indices], GROUPS[valid.indices]))
            return train, valid

    teacher = LogisticRegression(max_iter=500).fit(X, Y)
    net = student(teacher=teacher, train_split=Split(GroupKFold(3)))
    net.fit(X, Y, groups=GROUPS)
    ((train, valid),) = held_out
    assert not set(train) & set(valid)
    assert "valid_loss" in net.history[-1]


def test_a_cross_validation_slices_groups():
    net = student(teacher_cv=GroupKFold(2))
    cv = StratifiedKFold(2)
    scores = cross_val_score(net, X, Y, cv=cv, params={"groups": GROUPS})
    assert scores.shape == (2,)
    assert leaks() == 0


@pytest.mark.parametrize("kind", ["iterable", "predefined"])
def test_splits_name_rows_of_X_whether_labelled_or_not(kind):
    y = np.where(np.arange(len(Y)) % 5 == 0, -1, Y)
    fold = np.arange(len(Y)) % 3
    cv = PredefinedSplit(fold)
    if kind == "iterable":
        cv = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    student(teacher_cv=cv, unlabeled=-1).fit(X, y)
    for k, asked in enumerate(SEEN[1:6:2]):
        expected = X[(fold == k) & (y >= 0)]
        assert asked == {row.tobytes() for row in expected}
