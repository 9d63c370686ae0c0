"""What a teacher of another library is tried with: a model, its data, its reasons."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

# The marks of each module of tests, with warnings that the libraries' own code gives.
ZOO = [
    pytest.mark.zoo,
    # NumPy's, of how Keras on torch makes arrays.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Python's, of torchao's docstrings, where it is not compiled at installation.
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence"),
    # CatBoost's, of objectives that Numba could make faster.
    pytest.mark.filterwarnings("ignore:Failed to import numba:UserWarning"),
]
NAMES = np.array(["setosa", "versicolor", "virginica"])


@dataclass(frozen=True)
class Case:
    """A teacher of one library, and how it is made.

    `make` turns (X, y) into a fitted teacher. `change` changes it so that it predicts
    something else; None where only another fit does. `cannot` gives reasons, by the
    name of the test.
    """

    name: str
    make: Callable[[Any, np.ndarray], Any]
    X: np.ndarray
    y: np.ndarray
    change: Callable[[Any], Any] | None = None
    student: dict[str, Any] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)


def of_tables(name, make, *, kinds=("numbers", "strings"), **more):
    """Return cases with two and three classes, which are numbers or texts."""
    X, y = load_iris(return_X_y=True)
    X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
    cases = []
    for n_classes in (2, 3):
        for kind in kinds:
            rows = y >= 3 - n_classes  # the two that are not told apart at once
            labels = y[rows] if kind == "numbers" else NAMES[y[rows]]
            title = f"{name}-{n_classes}-{kind}"
            more = {"student": {"module__hidden": ()}, **more}
            cases.append(Case(title, make, X[rows], labels, **more))
    return cases


def of_images(name, make, **more):
    """Return a case of 24 images in three colours, with names as labels."""
    y = np.arange(24) % 3
    X = np.random.default_rng(0).random((24, 3, 32, 32)).astype(np.float32)
    X[np.arange(24), y] += 1
    return [Case(name, make, X / 2, NAMES[y], student={"module": Colours}, **more)]


class Colours(torch.nn.Module):
    """The smallest student of images: it sees the mean of each channel."""

    def __init__(self, n_classes):
        super().__init__()
        self.linear = torch.nn.Linear(3, n_classes)

    def forward(self, x):
        return self.linear(x.float().mean(dim=(2, 3)))


def trained(module, X, y, steps=30):
    """Train a network for a moment, so that it knows more than chance."""
    torch.manual_seed(0)
    inputs = torch.as_tensor(X, dtype=torch.float32)
    target = torch.as_tensor(np.unique(y, return_inverse=True)[1])
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    for _ in range(steps):
        out = module(inputs)
        out = getattr(out, "logits", out)
        out = out[0] if isinstance(out, tuple) else out
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(out, target).backward()
        optimizer.step()
    return module.eval()


def network(X, y):
    """Return a small trained network for tables."""
    torch.manual_seed(0)
    mean, std = X.mean(axis=0), X.std(axis=0)
    first = torch.nn.Linear(4, 16)
    module = torch.nn.Sequential(
        first, torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, len(set(y)))
    )
    with torch.no_grad():  # the standardisation of the inputs
        first.weight /= torch.as_tensor(std, dtype=torch.float32)
        first.bias -= first.weight @ torch.as_tensor(mean, dtype=torch.float32)
    return trained(module, X, y, steps=60)


def change_a_parameter(module):
    """Change one number of a network."""
    with torch.no_grad():
        next(reversed([*module.parameters()])).flatten()[0].add_(0.5)
