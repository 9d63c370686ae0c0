"""Iris, and students that learn it in a fraction of a second."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    train_test_split,
)
from torch import nn

from skkd import DistilledClassifier

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
GOOD = 0.85  # chance is 1/3
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, test_size=50, random_state=0
)


def classifier(**params):
    """Return a student that learns iris in a fraction of a second."""
    params = {
        "module__hidden": 16,
        "max_epochs": 30,
        "lr": 0.02,
        "batch_size": 32,
        "random_state": 0,
        "device": "cpu",
        **params,
    }
    return DistilledClassifier(**params)


def quick(**params):
    return classifier(**{"max_epochs": 1, "module__hidden": (), **params})


def never_built(**kwargs):
    raise AssertionError("the student was built")


def tiny():
    return nn.Linear(4, 3)
