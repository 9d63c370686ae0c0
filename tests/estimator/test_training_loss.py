"""What is minimised: the loss of the labels and that of the teacher."""

import pickle
import random
from collections import OrderedDict

import numpy as np
import oracles
import pytest
import torch
from estimator_helpers import (
    C,
    Echo,
    EchoProbabilities,
    Forbidden,
    N,
    Noise,
    distil,
    equal,
    full_batch,
    quiet_teachers,
    state,
)
from helpers import stable_repr
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skkd.losses import DistillationLoss

pytestmark = quiet_teachers


def cross_entropy(logits, y):
    return -log_softmax(np.asarray(logits, np.float64), axis=1)[np.arange(len(y)), y]


class EchoTuple(Echo):
    def forward(self, x):
        logits = super().forward(x)
        return logits, torch.zeros(len(x), 7)


class Output(OrderedDict):
    @property
    def logits(self):
        return self["logits"]


class EchoOutput(Echo):
    """As the networks of transformers, which return an object."""

    def forward(self, x):
        return Output(logits=super().forward(x))


class Uniform(ClassifierMixin, BaseEstimator):
    """Says the same of every row, and draws from the global generators meanwhile."""

    def __init__(self, draws=0):
        self.draws = draws

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        np.random.rand(self.draws), torch.rand(self.draws)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Factor(DistillationLoss):
    """A loss with a parameter."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, student_logits, teacher_logits, y, temperature):
        gap = student_logits - teacher_logits
        return self.factor * (gap**2).sum(dim=1)


class LossModule(nn.Module):
    """A distillation loss written as torch users do."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, student_logits, teacher_logits, y, temperature):
        return self.scale * ((student_logits - teacher_logits) ** 2).sum(dim=1)


def frozen(module=Echo, **params):
    """Never changes, so that the losses of an epoch can be computed outside."""
    params = {"optimizer": torch.optim.SGD, "lr": 0.0, **params}
    return distil(module=module, max_epochs=1, **params)


def test_the_distillation_loss_sees_logits_classes_and_temperature_of_its_samples(
    X, y, table
):
    batches = []

    def spy(student, teacher, labels, temperature):
        batches.append((student.detach().numpy(), teacher, labels, temperature))
        return student.sum(dim=1)

    labels = np.array(["a", "b", "c"])[y]
    net = frozen(distillation=spy, temperature=3.5, batch_size=7)
    net.fit(X, labels, teacher_logits=table)
    seen = []
    for student, teacher, y_encoded, temperature in batches:
        rows = [int(np.flatnonzero((X[:, :C] == s).all(axis=1))[0]) for s in student]
        np.testing.assert_array_equal(teacher.numpy(), table[rows])
        np.testing.assert_array_equal(y_encoded.numpy(), y[rows])
        assert y_encoded.dtype == torch.int64
        assert temperature == 3.5
        seen += rows
    assert seen != list(range(N))  # shuffled
    assert sorted(seen) == list(range(N))


@pytest.mark.parametrize("module", [Echo, EchoTuple, EchoOutput])
@pytest.mark.parametrize("alpha", [0, 0.3, 0.5, 1])
@pytest.mark.parametrize("batch_size", [-1, 20])
def test_the_training_loss_is_the_formula(X, y, table, alpha, module, batch_size):
    net = frozen(module, alpha=alpha, temperature=2.5, batch_size=batch_size)
    net.fit(X, y, teacher_logits=table)
    hard = cross_entropy(X[:, :C], y).mean()
    soft = oracles.kd(X[:, :C], table, 2.5).mean()
    expected = (1 - alpha) * hard + alpha * soft
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1)


def test_the_training_loss_is_the_formula_if_the_module_gives_probabilities(
    X, y, table
):
    params = {"criterion": nn.NLLLoss, "alpha": 0.3, "temperature": 4.0}
    net = frozen(EchoProbabilities, **params)
    net.fit(X, y, teacher_logits=table)
    hard = cross_entropy(X[:, :C], y).mean()
    soft = oracles.kd(X[:, :C], table, 4.0).mean()
    expected = 0.7 * hard + 0.3 * soft
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        net.predict_proba(X), np.exp(log_softmax(X[:, :C], axis=1))
    )


def test_both_terms_of_the_loss_carry_gradient(X, y, table):
    def step(alpha):
        net = full_batch(alpha=alpha).fit(X, y, teacher_logits=table)
        return net.module_.linear.weight.detach()

    hard, soft, mixed = step(0), step(1), step(0.25)
    assert hard.abs().max() > 0.01
    assert soft.abs().max() > 0.01
    assert (hard - soft).abs().max() > 0.01
    torch.testing.assert_close(mixed, 0.75 * hard + 0.25 * soft)


def test_alpha_1_uses_no_label(X, y, table):
    shuffled = np.random.RandomState(3).permutation(y)
    one = distil(alpha=1).fit(X, y, teacher_logits=table)
    other = distil(alpha=1).fit(X, shuffled, teacher_logits=table)
    assert equal(state(one), state(other))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"augment": Noise()},
        {"module__dropout": 0.5},
        {"teacher_cv": None},
        {"train_split": ValidSplit(3)},
        {"memory": "unused"},
    ],
    ids=stable_repr,
)
def test_alpha_0_is_the_plain_student(X, y, params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taught = distil(alpha=0, teacher=Forbidden(), **params)
    plain = distil(teacher=None, **params)
    taught.partial_fit(X, y).partial_fit(X, y)
    plain.partial_fit(X, y).partial_fit(X, y)
    assert equal(state(taught), state(plain))
    assert list(tmp_path.iterdir()) == []


def test_random_numbers_that_a_teacher_draws_do_not_change_the_student(X, y):
    """Shuffling and dropout are the same whatever a teacher draws."""

    def drawing(rows):
        torch.rand(3), np.random.rand(3), random.random()
        return np.zeros((len(rows), C), np.float32)

    def zeros(rows):
        return np.zeros((len(rows), C), np.float32)

    params = {"module__dropout": 0.5, "alpha": 0.5}
    one = distil(teacher=drawing, **params).fit(X, y)
    other = distil(teacher=zeros, **params).fit(X, y)
    assert equal(state(one), state(other))


@pytest.mark.parametrize("cv", [None, 3])
def test_random_numbers_that_the_fit_of_a_teacher_draws_do_not_change_the_student(
    X, y, cv
):
    params = {"module__dropout": 0.5, "teacher_cv": cv}
    one = distil(teacher=Uniform(draws=0), **params).fit(X, y)
    other = distil(teacher=Uniform(draws=3), **params).fit(X, y)
    assert equal(state(one), state(other))


def test_the_validation_loss_is_the_plain_criterion_and_asks_no_teacher(X, y):
    asked = []

    def teacher(rows):
        asked.append(len(rows))
        return np.ones((len(rows), C))

    net = distil(
        teacher=teacher, augment=Noise(), train_split=ValidSplit(3), max_epochs=1
    ).fit(X, y)
    train, held_out = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
    looked_at, *asked = asked  # before training
    assert looked_at == N
    assert sum(asked) == len(train)
    p = net.predict_proba(X[held_out.indices])
    expected = -np.log(p[np.arange(len(p)), y[held_out.indices]]).mean()
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_validation_loss_is_the_plain_criterion_with_logits_and_weights(
    X, y, table
):
    net = distil(alpha=0.9, train_split=ValidSplit(3), max_epochs=1)
    net.fit(X, y, teacher_logits=table, sample_weight=np.arange(N) + 1.0)
    _, held_out = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
    rows = held_out.indices
    expected = -np.log(net.predict_proba(X[rows])[np.arange(len(rows)), y[rows]])
    assert net.history[-1, "valid_loss"] == pytest.approx(expected.mean(), rel=1e-5)


def test_a_torch_module_can_be_the_distillation(X, y, forest):
    net = distil(teacher=forest, distillation=LossModule()).fit(X, y)
    assert all("scale" not in name for name in net.module_.state_dict())
    again = pickle.loads(pickle.dumps(net)).set_params(distillation="kd")
    assert again.fit(X, y).history[-1, "train_loss"] > 0


def test_distillation_can_be_set_after_construction(X, y, forest):
    net = clone(distil(teacher=forest)).set_params(distillation="mse").fit(X, y)
    assert not equal(state(net), state(distil(teacher=forest).fit(X, y)))


def test_parameters_of_the_distillation_loss_reach_it(X, y, table):
    def loss(**params):
        net = frozen(alpha=1, distillation=Factor, **params)
        return net, lambda: net.fit(X, y, teacher_logits=table).history[-1]

    _, plain = loss()
    net, doubled = loss(distillation__factor=2.0)
    expected = plain()["train_loss"]
    assert doubled()["train_loss"] == pytest.approx(2 * expected)
    net.set_params(distillation__factor=3.0)
    assert doubled()["train_loss"] == pytest.approx(3 * expected)
    assert clone(net).distillation__factor == 3.0
    net.set_params(distillation__fcator=3.0)
    with pytest.raises(ValueError, match="fcator"):
        doubled()
    with pytest.raises(ValueError, match="distillation__x"):
        distil(distillation_x=3).fit(X, y)


def test_a_distillation_loss_of_another_shape_is_refused(X, y, forest):
    net = distil(teacher=forest, distillation=lambda s, t, y, T: (s - t) ** 2)
    with pytest.raises(ValueError, match=r"shape \(60, 3\), expected \(60,\)"):
        net.fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": "4"},
        {"temperature": True},
        {"alpha": -0.1},
        {"alpha": 1.1},
        {"alpha": float("nan")},
        {"alpha": None},
        {"teacher_cv": "fit"},
    ],
    ids=stable_repr,
)
def test_invalid_temperature_alpha_and_teacher_cv_raise_before_training(X, y, params):
    net = distil(teacher=Forbidden(), **params)
    with pytest.raises(ValueError, match=f"{next(iter(params))}=.*expected"):
        net.fit(X, y)
    assert not net.initialized_
