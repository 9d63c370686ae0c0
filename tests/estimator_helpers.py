"""Estimators, students, teachers and losses that tests of the estimator share."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

from skkd import DistilledClassifier

# Most teachers in here say the same of all rows: what counts is what becomes of it.
quiet_teachers = pytest.mark.filterwarnings(
    r"ignore:\[(constant-output|random-head|one-sided)\]:skkd.TeacherWarning"
)


N, D, C = 60, 4, 3


def distil(**params):
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(**params)


def full_batch(**params):
    """One step of plain gradient descent on all rows, in float64."""
    params = {"batch_size": -1, "max_epochs": 1, "lr": 1.0, **params}
    return distil(module=Linear64, optimizer=torch.optim.SGD, **params)


def state(net):
    return [value.clone() for value in net.module_.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def close(one, other, **kwargs):
    return all(torch.allclose(a, b, **kwargs) for a, b in zip(one, other, strict=True))


class Linear64(nn.Module):
    """Logistic regression in float64 that starts at zero."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(*input_shape, n_classes, dtype=torch.float64)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x):
        return self.linear(x)


class Echo(nn.Module):
    """Its logits are the first columns of its input: a batch shows its rows."""

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = n_classes
        self.factor = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return x[:, : self.n_classes] * self.factor


class EchoProbabilities(Echo):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


class Seeing(nn.Module):
    """Notes the dtype and the values of what it is given."""

    def __init__(self, n_classes, log):
        super().__init__()
        self.log = log
        self.head = nn.Linear(1, n_classes)

    def forward(self, x):
        self.log.append(x)
        return self.head(x.float().flatten(1).mean(dim=1, keepdim=True))


class Forbidden(ClassifierMixin, BaseEstimator):
    """A teacher that must not be asked."""

    def __init__(self):
        self.classes_ = np.arange(C)

    def fit(self, X, y):
        raise AssertionError("fitted")

    def predict_proba(self, X):
        raise AssertionError("asked")


class NoReduction(nn.Module):
    """A criterion of somebody's own, which always gives the mean."""

    def forward(self, logits, y):
        return nn.functional.cross_entropy(logits, y)


class Noise(nn.Module):
    """An augmentation; a module, as those of torchvision are."""

    def forward(self, x):
        return x + torch.randn_like(x)
