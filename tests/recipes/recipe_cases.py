"""The data and the estimator that the tests of the recipes share."""

import numpy as np
from sklearn.datasets import load_iris

from skkd import DistilledClassifier

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


def net(**params):
    params = {
        "module__hidden": 8,
        "max_epochs": 3,
        "lr": 0.02,
        "batch_size": 50,
        "random_state": 0,
        "device": "cpu",
        **{"temperature": 4.0, "alpha": 0.5},
        **params,
    }
    return DistilledClassifier(**params)
