"""Sick and healthy teachers of digits."""

import copy

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)[:600]
y = y[:600]
CLASSES = np.arange(10)


def codes_of(findings):
    return [finding.code for finding in findings]


class Small(nn.Module):
    """Smaller than any teacher in here."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.n_inputs = min(8, *input_shape)
        self.linear = nn.Linear(self.n_inputs, n_classes)

    def forward(self, x):
        return self.linear(x.flatten(1)[:, -self.n_inputs :])


def student(teacher=None, **params):
    # Warm enough that what is left of other classes counts.
    params = {"temperature": 4, "max_epochs": 1, "random_state": 0, **params}
    params = {"device": "cpu", **params}
    return DistilledClassifier(Small, teacher=teacher, **params)


def state(module):
    return [value.clone() for value in module.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class Net(nn.Module):
    def __init__(self, n_inputs=64, n_outputs=10, dropout=0.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_inputs, 32), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(32, n_outputs)

    def forward(self, x):
        return self.head(self.body(x))


def net(module=Net, **params):
    return NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        verbose=0,
        train_split=None,
        **{"max_epochs": 20, **params},
    )


def fresh_net():
    torch.manual_seed(0)
    return Net()


def linear(teacher, columns=slice(None), function=None):
    """The teacher as a function, its columns mixed up or its logits changed."""
    weight, bias = teacher.coef_.T, teacher.intercept_

    def say(X):
        logits = (np.asarray(X, np.float64) @ weight + bias)[:, columns]
        return logits if function is None else function(logits)

    return say


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SWAPPED = [0, 1, 5, 3, 4, 2, 6, 7, 8, 9]
SHUFFLED = [3, 1, 4, 5, 9, 2, 6, 8, 7, 0]


def noise(X):
    """Logits that depend on the row, and have nothing to do with its class."""
    mixed = np.asarray(X, np.float64) @ np.random.RandomState(1).randn(X.shape[1], 10)
    return np.sin(1e5 * mixed)


def dead(X):
    return np.tile(np.arange(10.0), (len(X), 1))


def unlearnt(teacher):
    return fresh_net().eval()


def forgetful(trained):
    """A trained body under a head as it was drawn."""
    module = copy.deepcopy(trained.module_)
    torch.manual_seed(1)
    module.head = nn.Linear(32, 10)
    return module.eval()


def dropping(trained):
    module = Net(dropout=0.5)
    module.load_state_dict(trained.module_.state_dict())
    return module.train()


def new_head(trained):
    """As transformers draws it."""
    module = forgetful(trained)
    nn.init.normal_(module.head.weight, std=0.02)
    nn.init.zeros_(module.head.bias)
    return module


SICK = {
    "noise": ("chance-level", lambda lr, net: noise),
    "list of noise": ("chance-level", lambda lr, net: [noise, noise]),
    "scikit-learn on other labels": (
        "chance-level",
        lambda lr, net: LogisticRegression(max_iter=500).fit(
            X, np.random.RandomState(0).permutation(y)
        ),
    ),
    "module": ("random-head", lambda lr, net: fresh_net().eval()),
    "new head": ("random-head", lambda lr, net: forgetful(net)),
    "transformers' head": ("random-head", lambda lr, net: new_head(net)),
    "skorch net": ("random-head", lambda lr, net_: net(max_epochs=0).fit(X, y)),
    "two columns": ("permuted-classes", lambda lr, net: linear(lr, SWAPPED)),
    "all columns": ("permuted-classes", lambda lr, net: linear(lr, SHUFFLED)),
    "names": ("permuted-classes", lambda lr, net: as_teacher(lr, classes=SHUFFLED)),
    "softmax": (
        "probabilities-as-logits",
        lambda lr, net: linear(lr, function=softmax),
    ),
    "sigmoids": (
        "not-probabilities",
        lambda lr, net: as_teacher(linear(lr, function=sigmoid), output="proba"),
    ),
    "train mode": ("train-mode", lambda lr, net: dropping(net)),
    "one of a list": ("train-mode", lambda lr, net: [dropping(net), lr]),
    "dead": ("constant-output", lambda lr, net: dead),
    "tree": ("saturated", lambda lr, net: DecisionTreeClassifier().fit(X, y)),
    "1-NN": ("saturated", lambda lr, net: KNeighborsClassifier(1).fit(X, y)),
    "sure": ("saturated", lambda lr, net: linear(lr, function=lambda z: 50 * z)),
}
