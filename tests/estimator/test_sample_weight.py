"""sample_weight and class_weight in a fit."""

import numpy as np
import pytest
import torch
from estimator_helpers import (
    C,
    D,
    N,
    NoReduction,
    close,
    distil,
    full_batch,
    quiet_teachers,
    state,
)
from skorch.dataset import ValidSplit
from torch.utils.data import TensorDataset

from skkd.losses import DistillationLoss
from skkd.students import MLP

pytestmark = quiet_teachers


class BatchLoss(DistillationLoss):
    """A loss that is defined over a batch."""

    def __call__(self, student_logits, teacher_logits, y, temperature):
        return ((student_logits - teacher_logits) ** 2).mean()


class IgnoresReduction(NoReduction):
    reduction = "mean"


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
@pytest.mark.parametrize("student", [full_batch, distil], ids=["linear", "mlp"])
def test_a_sample_of_weight_zero_is_absent(X, y, table, alpha, student):
    weight = np.ones(N)
    weight[::3] = 0
    kept = weight > 0
    params = {"alpha": alpha, "batch_size": -1}
    one = student(**params).fit(X, y, teacher_logits=table, sample_weight=weight)
    other = student(**params).fit(X[kept], y[kept], teacher_logits=table[kept])
    assert close(state(one), state(other), rtol=1e-6, atol=1e-9)
    assert not close(
        state(one), state(student(**params).fit(X, y, teacher_logits=table))
    )


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_an_integer_weight_repeats_a_sample(X, y, table, alpha):
    weight = np.random.RandomState(0).randint(1, 4, N)
    rows = np.repeat(np.arange(N), weight)
    net = full_batch(alpha=alpha)
    one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
    other = state(net.fit(X[rows], y[rows], teacher_logits=table[rows]))
    assert close(one, other, rtol=1e-10)


@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_the_scale_of_sample_weight_does_not_matter(X, y, table, split):
    weight = np.random.RandomState(0).rand(N)
    net = full_batch(train_split=split)
    one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
    other = state(net.fit(X, y, teacher_logits=table, sample_weight=9 * weight))
    assert close(one, other, rtol=1e-12)
    same = state(net.fit(X, y, teacher_logits=table, sample_weight=np.full(N, 3)))
    assert close(same, state(net.fit(X, y, teacher_logits=table)), rtol=1e-12)


def test_weights_of_held_out_samples_do_not_count(X, y, table):
    split = ValidSplit(3)
    _, valid = split(TensorDataset(torch.zeros(N)), y)
    weight = np.ones(N)
    weight[valid.indices] = 50
    net = full_batch(train_split=split)
    one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
    assert close(one, state(net.fit(X, y, teacher_logits=table)), rtol=1e-12)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]])
def test_class_weight_multiplies_sample_weight(X, y, table, labels):
    names = np.array(labels)
    given = np.random.RandomState(0).rand(N)
    by_class = {labels[0]: 1.0, labels[1]: 5.0, labels[2]: 0.5}
    weight = given * [by_class[labels[c]] for c in y]
    one = full_batch(class_weight=by_class)
    one.fit(X, names[y], teacher_logits=table, sample_weight=given)
    other = full_batch()
    other.fit(X, names[y], teacher_logits=table, sample_weight=weight)
    assert close(state(one), state(other), rtol=1e-12)


def test_class_weight_balanced(X, y, table):
    weight = (N / C / np.bincount(y))[y]
    one = full_batch(class_weight="balanced").fit(X, y, teacher_logits=table)
    other = full_batch().fit(X, y, teacher_logits=table, sample_weight=weight)
    assert close(state(one), state(other), rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(N), "zero"),
        (-np.ones(N), "[Nn]egative"),
        (np.full(N, np.nan), "NaN"),
        (np.ones(N - 1), "sample_weight"),
    ],
)
def test_bad_sample_weight_raises_before_training(X, y, weight, message):
    net = distil()
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, sample_weight=weight)
    assert not net.initialized_


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"distillation": BatchLoss()}, "distillation=.*one loss for a batch"),
        ({"criterion": NoReduction}, "criterion=NoReduction.*one loss for a batch"),
        ({"criterion": IgnoresReduction}, "criterion=Ignores.*one loss for a"),
        ({"criterion__reduction": "sum"}, "criterion=CrossEntropyLoss.*one loss"),
        ({"criterion__weight": torch.ones(C)}, "class_weight="),
    ],
)
def test_losses_of_a_whole_batch_refuse_sample_weight(X, y, table, params, message):
    template = MLP(n_classes=C, input_shape=(D,))
    net = distil(module=template, **params)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, teacher_logits=table, sample_weight=np.ones(N))
    assert not hasattr(net, "module_")  # no step was made
    net.fit(X, y, teacher_logits=table)  # without weights they are fine


def test_a_weighted_fit_restores_the_reduction_of_the_criterion(X, y):
    net = distil().fit(X, y, sample_weight=np.ones(N))
    assert net.criterion_.reduction == "mean"


def test_score_takes_sample_weight(X, y):
    net = distil().fit(X, y)
    right = net.predict(X) == y
    assert net.score(X, y, sample_weight=right + 1e-9) == pytest.approx(1)
    labels = y.copy()
    labels[-20:] = -1
    net.set_params(unlabeled=-1)
    assert net.score(X, labels, sample_weight=right + 1e-9) == pytest.approx(1)
    with pytest.raises(ValueError, match="sample_weight"):
        net.score(X, labels, sample_weight=np.ones(3))
