"""What is set on a fitted net is used, not merely shown."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from skorch.callbacks import Callback, EpochScoring

from skkd import DistilledClassifier

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")


def student(**params):
    return DistilledClassifier(**{"max_epochs": 2, "random_state": 0, **params})


def test_another_optimizer_trains_from_then_on():
    net = student().fit(X, Y)
    weights = [p.clone() for p in net.module_.parameters()]
    net.set_params(optimizer=torch.optim.SGD, optimizer__momentum=0.9)
    assert type(net.optimizer_) is torch.optim.SGD
    assert net.optimizer_.param_groups[0]["momentum"] == 0.9
    assert all(map(torch.equal, weights, net.module_.parameters()))  # not built anew
    net.partial_fit(X, Y)
    assert type(net.optimizer_) is torch.optim.SGD


def test_the_same_optimizer_keeps_its_state():
    net = student().fit(X, Y)
    before = net.optimizer_
    assert before.state
    net.set_params(optimizer=torch.optim.Adam)
    assert net.optimizer_ is before


def test_another_learning_rate_is_that_of_the_optimizer():
    net = student().fit(X, Y).set_params(lr=0.5)
    assert net.optimizer_.param_groups[0]["lr"] == 0.5


def test_settings_of_the_optimizer_are_those_of_later_fits():
    net = student().fit(X, Y).set_params(optimizer__weight_decay=0.5)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.5
    assert net.get_params()["optimizer__weight_decay"] == 0.5
    for again in (net, clone(net)):
        assert again.fit(X, Y).optimizer_.param_groups[0]["weight_decay"] == 0.5
    fresh = student(optimizer__weight_decay=0.5).fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), fresh.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [
        {"module__width": 3},
        {"module": torch.nn.Linear, "temperature": 4},
        {"optimizer": 3},
    ],
)
def test_what_cannot_be_built_changes_nothing(params):
    net = student().fit(X, Y)
    answers = net.predict_proba(X)
    before = {**vars(net), "_params_to_validate": {*net._params_to_validate}}
    with pytest.raises((TypeError, ValueError)):
        net.set_params(**params)
    assert vars(net) == before
    np.testing.assert_array_equal(net.predict_proba(X), answers)


class Counts(Callback):
    def __init__(self):
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1


def test_other_callbacks_are_called_from_then_on():
    old, new = Counts(), Counts()
    net = student(callbacks=[("counts", old)]).fit(X, Y)
    net.set_params(callbacks=[("counts", new)]).partial_fit(X, Y)
    assert (old.epochs, new.epochs) == (2, 2)


def test_callbacks_can_be_disabled_and_enabled_again():
    net = student().fit(X, Y)
    net.set_params(callbacks="disable").partial_fit(X, Y)
    assert net.callbacks_ == []
    assert "train_loss" not in net.history[-1]
    net.set_params(callbacks=None).partial_fit(X, Y)
    assert "train_loss" in net.history[-1]


def test_a_split_that_is_set_later_is_used():
    net = student().fit(X, Y)
    scoring = EpochScoring("accuracy", on_train=True, name="acc")
    net.set_params(callbacks=[scoring], batch_size=50).partial_fit(X, Y)
    assert len(net.history[-1]["batches"]) == 3


@pytest.mark.parametrize("name", ["optimizer", "callbacks"])
def test_nothing_is_made_before_a_net_is_built(name):
    value = {"optimizer": torch.optim.SGD, "callbacks": [Counts()]}[name]
    net = student().set_params(**{name: value})
    assert not net.initialized_
    assert np.isfinite(net.fit(X, Y).predict_proba(X)).all()
