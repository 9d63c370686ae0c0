"""Adam takes its faster steps on CPUs, where they are the same but for last digits."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skkd import DistilledClassifier
from skkd.students import MLP, SmallCNN

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
y = np.arange(90) % 3


class Tables(nn.Module):
    """A parameter that is no contiguous tensor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 12)[:, ::2])

    def forward(self, x):
        return x @ self.weight.T


def fitted(rows=X, **params):
    params = {"module": MLP, "max_epochs": 3, "random_state": 0, **params}
    return DistilledClassifier(device="cpu", **params).fit(rows, y[: len(rows)])


def is_fused(net):
    return {bool(group["fused"]) for group in net.optimizer_.param_groups}


def weights(net):
    return [w.detach().numpy() for w in net.module_.parameters()]


def assert_same(one, other, rtol):
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer__weight_decay": 0.1, "optimizer__amsgrad": True},
        {"optimizer__param_groups": [("*bias", {"lr": 0.1})]},
        {"lr": 0.05, "optimizer__betas": (0.5, 0.9)},
    ],
)
def test_the_same_but_for_last_digits(optimizer, settings):
    settings = {"optimizer": optimizer, **settings}
    fast = fitted(**settings)
    plain = fitted(**settings, optimizer__fused=False)
    assert (is_fused(fast), is_fused(plain)) == ({True}, {False})
    assert_same(fast, plain, rtol=1e-3)
    assert "optimizer__fused" not in fast.get_params()
    assert clone(plain).get_params()["optimizer__fused"] is False


def test_double_precision():
    module = nn.Linear(6, 3).double()
    fast, plain = fitted(module=module), fitted(module=module, optimizer__fused=False)
    assert is_fused(fast) == {True}
    assert_same(fast, plain, rtol=1e-10)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer__foreach": True},
        {"optimizer__foreach": False},
        {"optimizer__fused": None},
        {"optimizer__capturable": False},
        {"optimizer__differentiable": False},
        {"optimizer__param_groups": [("*bias", {"fused": False})]},
        {"optimizer__lr": torch.tensor(1e-3)},
        {"optimizer": torch.optim.NAdam},
        {"optimizer": torch.optim.RMSprop},
        {"optimizer": type("Adam", (torch.optim.Adam,), {})},
        {"module": SmallCNN, "rows": IMAGES},  # its weights change their layout
        {"module": Tables},
        {"module": nn.Linear(6, 3).bfloat16(), "lr": 0.1},
    ],
)
def test_whoever_chooses_gets_it_and_other_weights_take_plain_steps(params):
    groups = fitted(**params).optimizer_.param_groups
    assert not any(group.get("fused") for group in groups)


def test_parameters_that_are_not_contiguous_learn_as_with_plain_steps():
    assert_same(fitted(module=Tables), fitted(module=Tables, optimizer__fused=False), 0)


def test_partial_fit_goes_on():
    fast, plain = fitted(), fitted(optimizer__fused=False)
    for net in (fast, plain):
        net.set_params(lr=0.01).partial_fit(X, y)
    assert is_fused(fast) == {True}
    assert fast.optimizer_.param_groups[0]["lr"] == 0.01
    assert_same(fast, plain, rtol=1e-3)
