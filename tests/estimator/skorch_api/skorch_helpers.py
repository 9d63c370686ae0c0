"""Modules, data sets and callbacks as users of skorch write them."""

import estimator_helpers
import pytest
import torch
from skorch.callbacks import (
    Callback,
)
from torch import nn

# Teachers in here merely have to say something.
quiet_teachers = pytest.mark.filterwarnings(
    r"ignore:\[(constant-output|chance-level)\]:skkd.TeacherWarning"
)


N, D = 60, 4


def distil(**params):
    return estimator_helpers.distil(**{"max_epochs": 3, "lr": 0.01, **params})


def equal(one, other):
    """Tell whether two nets have the very same student."""
    pairs = zip(
        one.module_.state_dict().values(),
        other.module_.state_dict().values(),
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


def batch_sizes(net, kind="train"):
    key = f"{kind}_batch_size"
    return [b[key] for b in net.history[-1]["batches"] if key in b]


class Recorder(Callback):
    """Notes what callbacks are given."""

    def __init__(self):
        self.data, self.batches = [], []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.data.append((X, y))

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.batches.append((*batch, training))


class OneInput(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.seen = []
        self.linear = nn.Linear(*input_shape, n_classes)

    def forward(self, *args, **kwargs):
        self.seen.append((args, kwargs))
        return self.linear(args[0])
