"""UpdateBatchNorm: statistics of the trained network, and of nothing else."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import EarlyStopping
from torch import nn

from skkd import DistilledClassifier
from skkd.augment import RandomHorizontalFlip
from skkd.callbacks import UpdateBatchNorm
from skkd.students import SmallCNN

N = 48
RNG = np.random.RandomState(0)
IMAGES = RNG.randint(0, 256, (N, 3, 8, 8)).astype(np.uint8)
LABELS = np.arange(N) % 2


def distil(**params):
    params = {"module": SmallCNN, "module__width": 4, "max_epochs": 3} | params
    params = {"callbacks": [UpdateBatchNorm()], "batch_size": 12, "lr": 0.05} | params
    return DistilledClassifier(random_state=0, **params)


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def first_statistics(net, images):
    """Mean and variance of what the first layer of normalisation sees, by batches."""
    module = net.module_
    images = images[np.random.default_rng(0).permutation(len(images))]
    with torch.no_grad():
        seen = module.body[0][0](module.standardize(torch.as_tensor(images)))
    batches = seen.split(12)
    mean = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    return mean, torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0)


def test_statistics_are_those_of_the_trained_network():
    net = distil().fit(IMAGES, LABELS)
    first = norms(net.module_)[0]
    mean, var = first_statistics(net, IMAGES)
    torch.testing.assert_close(first.running_mean, mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(first.running_var, var, rtol=1e-3, atol=1e-4)
    lagging = norms(distil(callbacks=[]).partial_fit(IMAGES, LABELS).module_)[0]
    assert (lagging.running_var / var - 1).abs().max() > 0.05


def test_updated_statistics_leave_the_weights_as_they_are():
    settled = distil().fit(IMAGES, LABELS)
    plain = distil(callbacks=[]).fit(IMAGES, LABELS)
    pairs = zip(settled.module_.parameters(), plain.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert [layer.momentum for layer in norms(settled.module_)] == [0.1] * 6
    assert len(settled.history) == 3


def test_rows_are_augmented_as_in_training():
    net = distil(augment=RandomHorizontalFlip(p=1.0)).fit(IMAGES, LABELS)
    mean, _ = first_statistics(net, IMAGES[..., ::-1].copy())
    plain, _ = first_statistics(net, IMAGES)
    found = norms(net.module_)[0].running_mean
    torch.testing.assert_close(found, mean, rtol=1e-3, atol=1e-4)
    assert (plain - mean).abs().max() > 1e-4


class Frozen(SmallCNN):
    """Its first stage stays in eval mode."""

    def train(self, mode=True):
        super().train(mode)
        self.body[0].eval()
        return self


def test_frozen_layers_stay_as_they_are():
    net = distil(module=Frozen).fit(IMAGES, LABELS)
    frozen, *_, last = norms(net.module_)
    assert torch.equal(frozen.running_mean, torch.zeros(4))
    assert last.running_mean.abs().max() > 0


def test_a_last_batch_of_one_row_and_networks_without_normalisation():
    distil(batch_size=16).fit(IMAGES[:33], LABELS[:33])
    distil(batch_size=-1).fit(IMAGES, LABELS)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    images = IMAGES.astype(np.float32) / 255
    DistilledClassifier(linear, callbacks=[UpdateBatchNorm()]).fit(images, LABELS)


@pytest.mark.parametrize("train_split", [None, 3])
def test_the_training_samples_are_released(train_split):
    from skorch.dataset import ValidSplit

    split = None if train_split is None else ValidSplit(train_split)
    net = distil(train_split=split).fit(IMAGES, LABELS)
    assert net.callbacks[0].dataset_ is None
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict(IMAGES), net.predict(IMAGES))
    clone(net).fit(IMAGES, LABELS)
    net.partial_fit(IMAGES, LABELS)


class Scaled(nn.Module):
    """Normalises; its forward pass has two inputs and a parameter of the fit."""

    def __init__(self, n_classes):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, n_classes)

    def forward(self, a, b=0.0, scale=1.0):
        return self.head(self.norm((a + b) * scale))


TABLE = RNG.normal(size=(N, 4)).astype(np.float32)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_of_fit_reach_the_forward_passes(method):
    params = {"module": Scaled, "batch_size": -1, "random_state": 0, "device": "cpu"}
    net = DistilledClassifier(callbacks=[UpdateBatchNorm()], max_epochs=2, **params)
    getattr(net, method)(TABLE, LABELS, scale=3.0)
    norm = net.module_.norm
    expected = torch.as_tensor(3 * TABLE)
    torch.testing.assert_close(norm.running_mean, expected.mean(0))
    torch.testing.assert_close(norm.running_var, expected.var(0))
    # Of this fit alone.
    net.partial_fit(TABLE, LABELS)
    torch.testing.assert_close(norm.running_mean, torch.as_tensor(TABLE).mean(0))


def test_several_inputs_reach_the_forward_passes():
    net = DistilledClassifier(
        Scaled, callbacks=[UpdateBatchNorm()], batch_size=-1, max_epochs=2, device="cpu"
    )
    net.fit({"a": TABLE, "b": TABLE + 1}, LABELS, scale=2.0)
    expected = torch.as_tensor(2 * (2 * TABLE + 1))
    torch.testing.assert_close(net.module_.norm.running_mean, expected.mean(0))


@pytest.mark.filterwarnings("default")  # of torch's compiler, of all kinds
def test_the_statistics_of_a_compiled_student():
    params = {"compile": True, "compile__backend": "eager"}
    net = distil(**params).fit(IMAGES, LABELS)
    plain = distil().fit(IMAGES, LABELS)
    for one, other in zip(norms(net.module_), norms(plain.module_), strict=True):
        torch.testing.assert_close(one.running_mean, other.running_mean)
        torch.testing.assert_close(one.running_var, other.running_var)
        assert one.momentum == 0.1


def test_a_callback_that_would_overwrite_the_statistics_comes_before():
    best = [("stop", EarlyStopping("train_loss", load_best=True, patience=9))]
    late = distil(callbacks=[UpdateBatchNorm(), *best])
    with pytest.raises(ValueError, match=r"'stop' has load_best=True.*Put UpdateBatch"):
        late.fit(IMAGES, LABELS)
    assert len(late.history) == 0
    net = distil(callbacks=[*best, UpdateBatchNorm()], lr=0.5, max_epochs=8)
    net.fit(IMAGES, LABELS)
    mean, _ = first_statistics(net, IMAGES)
    found = norms(net.module_)[0].running_mean
    torch.testing.assert_close(found, mean, rtol=1e-3, atol=1e-4)


DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)
DIGITS = (DIGITS * 15).astype(np.uint8).reshape(-1, 1, 8, 8)


def few_steps(**params):
    params = {"module__width": 8, "max_epochs": 3, "lr": 0.01} | params
    return DistilledClassifier(SmallCNN, random_state=0, **params)


def test_statistics_that_lag_are_corrected_by_default():
    order = np.argsort(DIGIT_LABELS[:400], kind="stable")  # a class at a time
    X, y = DIGITS[order], DIGIT_LABELS[order]
    lagging = few_steps().partial_fit(X, y)  # left as it is
    corrected = few_steps().fit(X, y)
    pairs = zip(
        lagging.module_.parameters(), corrected.module_.parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    rest = DIGITS[1000:], DIGIT_LABELS[1000:]
    assert corrected.score(*rest) > lagging.score(*rest) + 0.03
    settled = few_steps(callbacks=[UpdateBatchNorm()]).fit(X, y)
    for one, other in zip(
        norms(corrected.module_), norms(settled.module_), strict=True
    ):
        torch.testing.assert_close(one.running_var, other.running_var)


def test_statistics_that_do_not_lag_are_left_alone():
    X, y = DIGITS[:256], DIGIT_LABELS[:256]
    params = {"max_epochs": 12, "lr": 0.001, "batch_size": 16, "module__width": 4}
    one, other = few_steps(**params).fit(X, y), few_steps(**params).partial_fit(X, y)
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))
    state = torch.get_rng_state()
    few_steps(max_epochs=1).fit(X, y)
    assert torch.equal(state, torch.get_rng_state())


def test_a_loss_that_hardly_fell_is_corrected_by_what_is_right():
    """Early in training the losses of both modes are alike, and decisions are not."""
    X, y = DIGITS[:200], DIGIT_LABELS[:200]
    params = {"max_epochs": 1, "lr": 0.003, "module__width": 4}
    lagging, corrected = few_steps(**params).partial_fit(X, y), few_steps(**params)
    rest = DIGITS[1000:], DIGIT_LABELS[1000:]
    assert corrected.fit(X, y).score(*rest) > lagging.score(*rest) + 0.1


def test_the_correction_reads_a_bounded_number_of_samples(monkeypatch):
    from skkd._fit import batch_norm

    monkeypatch.setattr(batch_norm, "_N_SAMPLES", 128)
    net = few_steps(batch_size=64).fit(DIGITS[:400], DIGIT_LABELS[:400])
    assert norms(net.module_)[0].num_batches_tracked == 2
