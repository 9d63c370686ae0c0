"""DistilledClassifier: augmentation, failures, copies, defaults."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from estimator_helpers import (
    C,
    D,
    EchoProbabilities,
    N,
    Noise,
    NoReduction,
    Seeing,
    distil,
    equal,
    quiet_teachers,
    state,
)
from helpers import stable_repr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistillationWarning, DistilledClassifier
from skkd._estimator import skorch_classifier
from skkd._utils import modules as _modules
from skkd.teachers import as_teacher

pytestmark = quiet_teachers

# --- Sizes of student and teacher ---


def test_a_student_larger_than_its_teacher_warns(X, y):
    with pytest.warns(DistillationWarning, match="larger than its teacher") as seen:
        distil(teacher=nn.Linear(D, C)).fit(X, y)
    assert seen[0].filename == __file__


def test_a_teacher_without_parameters_has_no_size(X, y, forest):
    distil(teacher=forest).fit(X, y)
    distil(teacher=lambda rows: np.zeros((len(rows), C))).fit(X, y)


# --- Augmentation ---


def test_student_and_teacher_see_the_same_augmented_samples(X, y):
    views, asked = [], []

    def augment(x):
        views.append(x + torch.randn_like(x))
        return views[-1]

    def teacher(rows):
        asked.append(rows.copy())
        return np.zeros((len(rows), C))

    net = distil(
        module=Seeing,
        module__log=[],
        teacher=teacher,
        augment=augment,
        batch_size=25,
    ).fit(X, y)
    given = [x for x in net.module_.log if len(x) > 2]  # without the first check
    looked_at, *asked = asked
    np.testing.assert_array_equal(looked_at, X.astype(np.float32))
    views = views[2:]  # without the first check
    assert len(given) == len(asked) == len(views) == 6
    for view, student_saw, teacher_saw in zip(views, given, asked, strict=True):
        assert torch.equal(view, student_saw)
        np.testing.assert_array_equal(view.numpy(), teacher_saw)


def test_prediction_and_validation_augment_nothing(X, y):
    views = []

    def augment(x):
        views.append(len(x))
        return x

    net = distil(augment=augment, train_split=ValidSplit(3), max_epochs=1)
    net.fit(X, y).predict(X)
    assert sum(views[2:]) == 40  # without the check of the augmentation


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ({}, {"teacher_logits": np.zeros((N, C))}),
        ({}, {"teacher_X": np.zeros((N, 1))}),
        ({"teacher_cv": 3}, {}),
    ],
)
def test_soft_targets_of_plain_samples_are_refused_with_augment(
    X, y, params, arguments
):
    net = distil(teacher=LogisticRegression(), augment=Noise(), **params)
    with pytest.raises(ValueError, match="augment="):
        net.fit(X, y, **arguments)


def test_a_teacher_fitted_on_the_way_sees_augmented_samples(X, y):
    net = distil(teacher=LogisticRegression(), teacher_cv=None, augment=Noise())
    net.fit(X, y)
    assert net.teacher_.score(X, y) > 0.8


def test_augment_that_is_not_callable_is_refused(X, y):
    with pytest.raises(TypeError, match="expected a callable"):
        distil(augment="flip").fit(X, y)


def test_augment_with_weights_and_unlabelled_samples(X, y, forest):
    labels = np.where(np.arange(N) < 20, -1, y)
    net = distil(teacher=forest, augment=Noise(), unlabeled=-1)
    net.fit(X, labels, sample_weight=np.arange(N) + 1.0)
    assert net.history[-1, "train_loss"] > 0


# --- Failures ---


def test_an_unfitted_teacher_is_refused(X, y):
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        distil(teacher=LogisticRegression()).fit(X, y)


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        ({"temperature": -1}, None),
        ({"augment": 3}, None),
        ({}, np.zeros(3)),
    ],
    ids=stable_repr,
)
def test_a_failed_fit_leaves_the_teacher_alone(X, y, change, labels):
    net = distil(teacher=LogisticRegression(), teacher_cv=None).fit(X, y)
    taught_by = net.teacher_
    coefficients = taught_by.coef_.copy()
    net.set_params(**change)
    with pytest.raises((ValueError, TypeError)):
        net.fit(X, y if labels is None else labels)
    assert net.teacher_ is taught_by
    np.testing.assert_array_equal(taught_by.coef_, coefficients)
    assert net.teacher.__dict__.keys() == LogisticRegression().__dict__.keys()


def test_an_interrupted_fit_keeps_what_was_learnt(X, y):
    calls = []

    def interrupt(x):
        calls.append(len(x))
        if len(calls) == 5:  # two before training
            raise KeyboardInterrupt
        return x

    torch.manual_seed(3)
    net = distil(augment=interrupt, batch_size=20, max_epochs=50, on_interrupt="keep")
    with pytest.warns(DistillationWarning, match="interrupted in epoch 1"):
        net.fit(X, y)
    assert torch.initial_seed() == 3
    assert len(calls) == 5
    assert net.predict(X).shape == (N,)


def test_predict_before_fit_raises(X):
    with pytest.raises(NotFittedError):
        distil().predict(X)


def test_teacher_logits_of_another_shape_are_refused(X, y):
    net = distil()
    for wrong in (np.zeros((N, 2)), np.zeros((N - 1, C)), np.zeros(N)):
        with pytest.raises(ValueError, match="teacher_logits has shape"):
            net.fit(X, y, teacher_logits=wrong)


def test_teacher_logits_that_are_not_finite_are_refused(X, y):
    with pytest.raises(ValueError, match=r"60 of 60 rows.*clip"):
        distil().fit(X, y, teacher_logits=np.full((N, C), -np.inf))


# --- Copies ---


@pytest.mark.parametrize(
    "copied",
    [
        lambda net: pickle.loads(pickle.dumps(net)),
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "deepcopy", "copy"],
)
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, NoReduction])
def test_copies_predict_the_same(X, y, forest, copied, criterion):
    net = distil(teacher=forest, criterion=criterion).fit(X, y)
    twin = copied(net)
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
    assert twin.classes_.tolist() == net.classes_.tolist()
    net.partial_fit(X, y)
    assert equal(state(twin.partial_fit(X, y)), state(net)) or copied is copy.copy


def test_clones_share_the_teacher_and_nothing_else(X, y, forest):
    net = distil(teacher=forest).fit(X, y)
    twin = clone(net)
    assert twin.teacher is forest
    assert not hasattr(twin, "module_")
    assert not hasattr(twin, "teacher_")


@pytest.mark.parametrize(
    ("module", "criterion"),
    [(None, nn.CrossEntropyLoss), (EchoProbabilities, nn.NLLLoss)],
)
def test_a_trimmed_student_has_no_teacher(X, y, module, criterion):
    teacher = as_teacher(lambda rows: np.zeros((len(rows), C)))  # not picklable
    net = distil(
        module=module, teacher=teacher, criterion=criterion, augment=torch.clone
    ).fit(X, np.array(["a", "b", "c"])[y])
    expected, labels = net.predict_proba(X), net.predict(X)
    net.trim_for_prediction()
    stored = pickle.dumps(net)
    twin = pickle.loads(stored)
    assert twin.teacher is None
    assert twin.teacher_ is None
    assert len(stored) < 20_000
    np.testing.assert_array_equal(twin.predict_proba(X), expected)
    np.testing.assert_array_equal(twin.predict(X), labels)
    repr(twin)


# --- Defaults ---


def test_the_defaults_are_silent_and_use_every_row(X, y, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = DistilledClassifier(max_epochs=1, batch_size=7).fit(X, y)
    assert capsys.readouterr().out == ""
    batches = net.history[-1]["batches"]
    assert sum(batch["train_batch_size"] for batch in batches) == N


@pytest.mark.parametrize("accelerator", [None, "mps", "cuda"])
def test_auto_takes_the_accelerator(monkeypatch, accelerator):
    found = None if accelerator is None else torch.device(accelerator)
    uncached = _modules.resolve_device.__wrapped__
    monkeypatch.setattr(skorch_classifier, "resolve_device", uncached)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    # As in torch 2.6, where it has no argument.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: found)
    assert DistilledClassifier().device == (accelerator or "cpu")
    assert DistilledClassifier().get_params()["device"] == "auto"
