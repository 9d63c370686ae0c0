"""Iterators, samplers, optimizers and criteria of users."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch_helpers import (
    D,
    N,
    OneInput,
    Recorder,
    batch_sizes,
    distil,
    equal,
    quiet_teachers,
)
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    SequentialSampler,
    WeightedRandomSampler,
    default_collate,
)

from skkd import DistilledClassifier

pytestmark = quiet_teachers


class FocalLoss(nn.Module):
    def forward(self, logits, y):
        p = logits.softmax(dim=1)[torch.arange(len(y)), y]
        return -((1 - p) ** 2 * p.log()).mean()


class Doubled(SkorchDataset):
    """A dataset= of the user's, with a parameter."""

    def __init__(self, X, y=None, length=None, factor=2):
        super().__init__(X, y, length)
        self.factor = factor

    def transform(self, X, y):
        X, y = super().transform(X, y)
        return X * self.factor, y


# --- Iterators ---


def test_batch_size_and_drop_last(net, X, y):
    assert batch_sizes(net.set_params(batch_size=25).fit(X, y)) == [25, 25, 10]
    assert batch_sizes(net.set_params(batch_size=-1).fit(X, y)) == [N]
    net.set_params(batch_size=25, iterator_train__drop_last=True)
    assert batch_sizes(net.fit(X, y)) == [25, 25]
    net.set_params(iterator_train__batch_size=-1)
    assert batch_sizes(net.fit(X, y)) == [N]


def test_workers_of_the_iterator_change_nothing(net, X, y):
    expected = clone(net).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork and threads
        net.set_params(iterator_train__num_workers=1, max_epochs=3).fit(X, y)
    assert equal(net, expected)


def test_a_collate_fn_of_ones_own_is_used(net, X, y):
    calls = []

    def collate(items):
        calls.append(len(items))
        return default_collate(items)

    expected = clone(net).fit(X, y)
    net.set_params(iterator_train__collate_fn=collate).fit(X, y)
    assert calls == [N] * 3
    assert equal(net, expected)


def test_a_sampler_is_used(net, X, y):
    sampler = WeightedRandomSampler(np.ones(N), 30)
    net.set_params(iterator_train__sampler=sampler, batch_size=20).fit(X, y)
    assert batch_sizes(net) == [20, 10]


def test_a_batch_sampler_is_used(net, X, y):
    recorder = Recorder()
    sampler = BatchSampler(SequentialSampler(range(N)), 25, drop_last=False)
    net.set_params(iterator_train__batch_sampler=sampler, callbacks=[recorder])
    net.fit(X, y)
    assert batch_sizes(net) == [25, 25, 10]
    np.testing.assert_array_equal(recorder.batches[1][0].numpy(), X[25:50])


def test_shuffle_false_keeps_the_order(net, X, y):
    recorder = Recorder()
    net.set_params(iterator_train__shuffle=False, callbacks=[recorder]).fit(X, y)
    np.testing.assert_array_equal(recorder.batches[0][0].numpy(), X)


def test_an_iterator_of_ones_own(net, X, y):
    class Loader(DataLoader):
        pass

    net.set_params(iterator_train=Loader, iterator_valid=Loader, batch_size=25)
    assert batch_sizes(net.fit(X, y)) == [25, 25, 10]
    assert net.predict(X).shape == (N,)


@pytest.mark.parametrize("training", [False, True])
def test_forward_keeps_the_order(net, X, y, training):
    net.set_params(batch_size=7).fit(X, y)
    out = net.forward(X, training=training)
    with torch.no_grad():
        expected = net.module_.eval()(torch.tensor(X))
    torch.testing.assert_close(out, expected)


def test_a_dataset_class_of_ones_own(X, y):
    doubled = distil(module=OneInput, dataset=Doubled, dataset__factor=3).fit(X, y)
    ((batch,), _) = doubled.module_.seen[-1]
    rows = {tuple(np.round(row * 3, 4)) for row in X}
    assert {tuple(np.round(row, 4)) for row in batch.numpy()} == rows


# --- Optimizers, criteria, subclasses ---


def test_lbfgs_trains_a_student(net, X, y):
    net.set_params(
        optimizer=torch.optim.LBFGS, lr=0.3, batch_size=-1, max_epochs=5
    ).fit(X, y)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert (net.predict(X) == y).mean() > 0.9


def test_a_criterion_of_ones_own(net, X, y):
    net.set_params(criterion=FocalLoss, max_epochs=30).fit(X, y)
    p = net.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert p.min() >= 0
    assert net.score(X, y) > 0.8


def test_a_criterion_instance(net, X, y):
    twin = clone(net).set_params(criterion=nn.CrossEntropyLoss())
    assert equal(twin.fit(X, y), net.fit(X, y))


@pytest.mark.parametrize("weight", [None, np.full(N, 2.0)])
def test_label_smoothing_of_the_criterion(X, y, y_encoded, weight):
    net = distil(
        module=nn.Linear(D, 2), lr=0.0, criterion__label_smoothing=0.2, max_epochs=1
    ).fit(X, y, sample_weight=weight)
    log_p = np.log(net.predict_proba(X))
    target = np.full((N, 2), 0.1)
    target[np.arange(N), y_encoded] += 0.8
    expected = -(target * log_p).sum(axis=1).mean()
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_nonlinearity_of_ones_own(net, X, y):
    net.set_params(predict_nonlinearity=None).fit(X, y)
    logits = net.predict_proba(X)
    assert not np.allclose(logits.sum(axis=1), 1)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_a_compiled_criterion_is_recognised(monkeypatch, X, y, teacher, criterion):
    """A wrapped criterion is told by what it wraps."""

    class Compiled(nn.Module):
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

        def forward(self, *args, **kwargs):
            return self._orig_mod(*args, **kwargs)

    monkeypatch.setattr(torch, "compile", lambda module, **kw: Compiled(module))
    student = nn.Sequential(nn.Linear(D, 2), nn.Softmax(dim=1))
    student = student if criterion is nn.NLLLoss else student[0]
    params = {"module": student, "criterion": criterion, "teacher": teacher}
    weight = np.arange(N) + 1.0
    plain = distil(**params).fit(X, y, sample_weight=weight)
    wrapped = distil(compile=True, **params).fit(X, y, sample_weight=weight)
    assert isinstance(wrapped.module_, Compiled)
    assert isinstance(wrapped.criterion_, Compiled)
    np.testing.assert_array_equal(
        wrapped.history[:, "train_loss"], plain.history[:, "train_loss"]
    )
    np.testing.assert_array_equal(wrapped.predict_proba(X), plain.predict_proba(X))


def test_compile_is_off_by_default(net, X, y, monkeypatch):
    monkeypatch.delattr(torch, "compile")
    net.fit(X, y)


def test_a_subclass_with_a_parameter_of_its_own(teacher, X, y):
    class Half(DistilledClassifier):
        def __init__(self, *args, factor=0.5, **kwargs):
            super().__init__(*args, **kwargs)
            self.factor = factor

        def get_loss(self, *args, **kwargs):
            return self.factor * super().get_loss(*args, **kwargs)

    params = {"teacher": teacher, "max_epochs": 1, "batch_size": -1}
    params |= {"random_state": 0, "device": "cpu"}
    half = clone(Half(factor=0.25, **params)).fit(X, y)
    whole = DistilledClassifier(**params).fit(X, y)
    assert half.teacher is teacher
    assert half.get_params()["factor"] == 0.25
    expected = 0.25 * whole.history[0, "train_loss"]
    assert half.history[0, "train_loss"] == pytest.approx(expected)


def test_unknown_parameters_are_named(X, y):
    with pytest.raises(ValueError, match="temprature"):
        distil(temprature=3).fit(X, y)
    with pytest.raises(ValueError, match="iterator_train__x"):
        distil(iterator_trainx=3).fit(X, y)


@pytest.mark.parametrize(
    "grid",
    [
        {"distillation": ["kd", "mse"]},
        {"alpha": [0, 1]},
        {"module__hidden": [(2,), (3,)]},
        {"optimizer": [torch.optim.SGD]},
        {"optimizer__weight_decay": [0.1]},
        {"criterion__label_smoothing": [0.1]},
        {"iterator_train__drop_last": [True], "batch_size": [16]},
        {"callbacks": [None]},
        {"dataset": [SkorchDataset]},
        {"train_split": [None, ValidSplit(3)]},
    ],
    ids=lambda grid: next(iter(grid)),
)
def test_every_parameter_can_be_searched(net, X, y, grid):
    net.set_params(max_epochs=1, batch_size=8)
    GridSearchCV(net, grid, cv=2, error_score="raise").fit(X, y)


def test_the_state_holds_no_network_and_no_tensor(net, X, y):
    """skops writes it, and knows neither."""
    state = net.fit(X, y).__getstate__()
    kinds = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)
    assert not [name for name, value in state.items() if isinstance(value, kinds)]
    twin = type(net).__new__(type(net))
    twin.__setstate__(state)
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
