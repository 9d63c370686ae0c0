"""A small student for the tests of gain()."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from skkd import DistilledClassifier

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
CV = StratifiedKFold(2, shuffle=True, random_state=0)
TEACHER = LogisticRegression(max_iter=500)


def student(**params):
    params = {"teacher": TEACHER, "teacher_cv": None} | params
    return DistilledClassifier(module__hidden=4, max_epochs=3, lr=0.1, **params)


def outcome(result):
    return [(fit[:3], fit.y_pred.tolist()) for fit in result.predictions]
