"""The epoch loop: history, callbacks, modes, losses."""

import pickle

import numpy as np
import pytest
import torch
from compute_helpers import C, Convolutions, N, Steady, distil, losses
from estimator_helpers import equal, state
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from torch import nn

from skkd import DistilledClassifier
from skkd._estimator.compute import fetch_losses
from skkd._estimator.skorch_classifier import SkorchClassifier


class Watching(Callback):
    """Notes what a progress bar would show."""

    def __init__(self):
        self.shown, self.losses, self.gradients = [], [], 0

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.shown.append([])

    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        key = "train_loss" if training else "valid_loss"
        self.shown[-1].append((key, net.history[-1, "batches", -1, key]))
        self.losses.append(loss.item())

    def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
        assert all(p.grad is not None for _, p in named_parameters)
        self.gradients += 1


def rows_of(history):
    return [
        {k: v for k, v in row.items() if k != "dur"}
        | {"batches": [dict(b) for b in row["batches"]]}
        for row in history
    ]


@pytest.mark.parametrize("train_split", [None, ValidSplit(3)])
def test_the_history_is_that_of_skorch(X, y, table, train_split, monkeypatch):
    def fit():
        net = distil(module=Convolutions, train_split=train_split, batch_size=10)
        return net.fit(X, y, teacher_logits=table)

    ours = fit()
    for name in ("run_single_epoch", "_set_training"):
        monkeypatch.setattr(SkorchClassifier, name, getattr(NeuralNetClassifier, name))
    theirs = fit()
    assert rows_of(ours.history) == rows_of(theirs.history)
    assert equal(state(ours), state(theirs))
    assert {type(v) for row in losses(ours) for v in row} == {float}


def test_callbacks_see_the_loss_of_the_batch(X, y):
    watching = Watching()
    net = distil(train_split=ValidSplit(3), callbacks=[watching]).fit(X, y)
    shown = [value for batch in watching.shown for _, value in batch]
    assert shown == pytest.approx(watching.losses)
    assert len(shown) == sum(len(row["batches"]) for row in net.history)
    assert [k for b in watching.shown for k, _ in b].count("valid_loss") == 2
    assert watching.gradients == 2 * 2


def test_callbacks_may_read_only_the_beginning_of_a_batch(X, y):
    begun = []

    class Beginning(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            begun.append(batch)

    names = np.array(["a", "b", "c"])[y]
    distil(callbacks=[Beginning()], max_epochs=1).fit(X, names)
    assert sorted(np.concatenate([b[1] for b in begun])) == sorted(names)
    assert all(isinstance(b[0], torch.Tensor) for b in begun)


def test_a_hook_put_on_an_instance_is_called(X, y):
    calls = []
    callback = Callback()
    net = distil(callbacks=[callback], max_epochs=1)
    net.initialize = lambda: net  # not to lose what is put there
    del net.initialize
    callback.on_batch_end = lambda *args, **kwargs: calls.append("callback")
    net.on_batch_end = lambda *args, **kwargs: calls.append("net")
    net.fit(X, y)
    assert calls == ["net", "callback"] * 3


def test_a_hook_of_a_subclass_is_called(X, y):
    seen = []

    class Mine(DistilledClassifier):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            seen.append(batch[1])
            super().on_batch_end(net, batch=batch, training=training, **kwargs)

    Mine(max_epochs=1, device="cpu", random_state=0).fit(X, np.array(list("abc"))[y])
    assert sorted(np.concatenate(seen)) == sorted(np.array(list("abc"))[y])


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("unlabelled", [0, 20])
# Its teacher is random, and the same everywhere.
@pytest.mark.filterwarnings(r"ignore:\[(chance-level|one-sided)\]:skkd.TeacherWarning")
def test_epoch_scores_are_those_of_the_labelled_samples(X, y, use_caching, unlabelled):
    names = np.array(["no", "yes", "why"])[y].astype(object)
    names[:unlabelled] = "?"
    scoring = [
        EpochScoring("accuracy", name=name, on_train=name == "ours", **kwargs)
        for name, kwargs in (("ours", {}), ("held", {}))
        for kwargs in [{"use_caching": use_caching}]
    ]
    net = distil(
        teacher=Steady(),
        unlabeled="?",
        callbacks=scoring,
        train_split=ValidSplit(3),
        max_epochs=1,
        lr=0.0,
        module=nn.Sequential(nn.Flatten(), nn.Linear(72, C)),
    ).fit(X, names)
    held = net.history[-1, "held"]
    assert held == net.history[-1, "valid_acc"]
    known = names != "?"
    train, valid = ValidSplit(3)(Dataset(X[known], y[known]), y[known])
    predicted = net.predict(X[known])
    right = predicted == names[known]
    assert net.history[-1, "ours"] == pytest.approx(right[train.indices].mean())
    assert held == pytest.approx(right[valid.indices].mean())


def test_a_layer_in_another_mode_is_set_right(X, y):
    modes = []

    class Meddling(Callback):
        def on_batch_end(self, net, training=None, **kwargs):
            net.module_.norm.eval() if training else net.module_.norm.train()

    class Noting(Convolutions):
        def forward(self, x, scale=1.0):
            modes.append((self.training, self.norm.training))
            return super().forward(x)

    net = distil(module=Noting, callbacks=[Meddling()], train_split=ValidSplit(3))
    net.partial_fit(X, y)  # at the end of `fit` statistics may be computed anew
    assert {*modes} == {(True, True), (False, False)}
    net.module_.train()
    modes.clear()
    net.predict(X)
    assert {*modes} == {(False, False)}
    net.forward(X, training=True)
    assert modes[-1] == (True, True)


def test_the_mode_of_the_criterion_is_set(X, y):
    modes = []

    class Moody(nn.CrossEntropyLoss):
        def forward(self, logits, y):
            modes.append(self.training)
            return super().forward(logits, y)

    distil(criterion=Moody, train_split=ValidSplit(3), max_epochs=1).fit(X, y)
    assert modes[0] is True
    assert modes[-1] is False


def test_a_train_method_of_the_student_is_called(X, y):
    """As freezes the statistics of a batch normalisation, in many networks."""

    class Frozen(Convolutions):
        def train(self, mode=True):
            super().train(mode)
            self.norm.eval()
            return self

    net = distil(module=Frozen).fit(X, y)
    assert net.module_.norm.num_batches_tracked == 0


def test_losses_of_an_epoch_are_fetched_together():
    batches = [
        {"train_loss": torch.tensor(1.5), "train_batch_size": 3},
        {"train_loss": 2.5},
        {"train_loss": torch.tensor(0.25, dtype=torch.float64)},
        {"train_batch_size": 1},  # where the epoch was interrupted
    ]
    fetch_losses(batches, "train_loss")
    assert batches == [
        {"train_loss": 1.5, "train_batch_size": 3},
        {"train_loss": 2.5},
        {"train_loss": 0.25},
        {"train_batch_size": 1},
    ]
    assert {type(b["train_loss"]) for b in batches[:3]} == {float}
    fetch_losses([], "train_loss")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_epoch_keeps_its_losses(X, y, error):
    class Interrupting(Callback):
        def on_batch_begin(self, net, training=None, **kwargs):
            if len(net.history[-1]["batches"]) == 3:
                raise error

    net = distil().fit(X, y).set_params(callbacks=[Interrupting()])
    with pytest.raises(error):
        net.partial_fit(X, y)
    values = [b.get("train_loss") for b in net.history[-1]["batches"]]
    assert [type(v) for v in values] == [float, float, type(None)]
    assert "train_batch_count" not in net.history[-1]
    assert pickle.loads(pickle.dumps(net.history)) == net.history
    assert net.predict(X).shape == (N,)


def test_a_deferred_loss_is_a_number_when_the_epoch_ends(X, y, monkeypatch):
    """As on a device that is not to be waited for."""

    class Elsewhere:
        """A loss that says it lies on another device."""

        def __init__(self, loss):
            self.loss = loss

        def detach(self):
            elsewhere = self.loss.detach().as_subclass(Far)
            return elsewhere

    class Far(torch.Tensor):
        @property
        def device(self):
            return torch.device("cuda")

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            with torch._C.DisableTorchFunctionSubclass():
                return function(*args, **(kwargs or {}))

    during = []

    class Peeking(Callback):
        def on_batch_begin(self, net, **kwargs):
            earlier = net.history[-1]["batches"][:-1]
            during.extend(batch["train_loss"] for batch in earlier)

    class Showing(Peeking):
        """Reads each loss when it is there, as a progress bar does."""

        def on_batch_end(self, net, **kwargs):
            during.append(net.history[-1]["batches"][-1]["train_loss"])

    plain = distil(batch_size=10).fit(X, y)
    step = DistilledClassifier.train_step

    def far_step(self, batch, **kwargs):
        taken = step(self, batch, **kwargs)
        return {**taken, "loss": Elsewhere(taken["loss"])}

    monkeypatch.setattr(DistilledClassifier, "train_step", far_step)
    net = distil(batch_size=10, callbacks=[Peeking()]).fit(X, y)
    assert {type(value) for value in during} == {torch.Tensor}
    assert losses(net) == losses(plain)
    assert {type(v) for row in losses(net) for v in row} == {float}
    assert net.history[-1, "train_loss"] == plain.history[-1, "train_loss"]
    during.clear()
    distil(batch_size=10, callbacks=[Showing()]).fit(X, y)
    assert {type(value) for value in during} == {float}
