"""Small fitted students, and files of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from torch import nn

from skkd import DistilledClassifier, load_student, save_student

pytest.importorskip("safetensors")

X, Y = load_iris(return_X_y=True)
DIGITS = load_digits()
IMAGES = (DIGITS.images[:200, None] * 15).astype(np.uint8)
NAMES = np.array([f"digit {n}" for n in DIGITS.target[:200]])


class Tied(nn.Module):
    """Two layers with the same weights."""

    activation = staticmethod(torch.relu)

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.one = nn.Linear(*input_shape, 4)
        self.two = nn.Linear(4, 4)
        self.two.weight = self.one.weight
        self.head = nn.Linear(4, n_classes)

    def forward(self, x):
        return self.head(self.two(self.activation(self.one(x))))


class Smooth(Tied):
    """Of the same shapes, and with another activation."""

    activation = staticmethod(nn.functional.gelu)


def fitted(module=None, X=X, y=Y, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(module, **params).fit(X, y)


def round_trip(student, path, X=X, **params):
    """Save and load a student, which has to predict the same, bit for bit."""
    save_student(student, path)
    loaded = load_student(path, **params)
    before, after = student.predict_proba(X), loaded.predict_proba(X)
    assert before.dtype == after.dtype
    np.testing.assert_array_equal(before, after)
    assert student.predict(X).dtype == loaded.predict(X).dtype
    np.testing.assert_array_equal(student.predict(X), loaded.predict(X))
    return loaded
