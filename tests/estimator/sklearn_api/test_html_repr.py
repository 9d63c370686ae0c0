"""An estimator shown in a line, and as a diagram."""

import numpy as np
import pytest
from iris_helpers import X, X_train, never_built, quick, tiny, y, y_train
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import as_teacher


def skorch_net():
    return NeuralNetClassifier(tiny(), criterion=nn.CrossEntropyLoss).initialize()


SHOWN = {
    "module": (tiny, "Linear(15 parameters)"),
    "skorch": (skorch_net, "NeuralNetClassifier(Linear(15 parameters))"),
    "frozen": (
        lambda: FrozenEstimator(tiny()),
        "FrozenEstimator(Linear(15 parameters))",
    ),
    "frozen-net": (lambda: FrozenEstimator(skorch_net()), "NeuralNetClassifier(Linear"),
    "as-teacher": (lambda: as_teacher(tiny()), "as_teacher(Linear(15 parameters))"),
    "as-net": (lambda: as_teacher(skorch_net()), "as_teacher(NeuralNetClassifier("),
    "list": (lambda: [tiny(), GaussianNB()], "[Linear(15 parameters), GaussianNB()]"),
    "student": (lambda: quick().fit(X, y), "DistilledClassifier(MLP(15 parameters))"),
    "pipeline": (lambda: make_pipeline(StandardScaler(), skorch_net()), "Pipeline"),
    "frozen-step": (
        lambda: make_pipeline(StandardScaler(), FrozenEstimator(skorch_net())),
        "Pipeline",
    ),
    "function": (lambda: never_built, "never_built"),
    "forest": (lambda: RandomForestClassifier(7), "RandomForestClassifier(n_estim"),
    "none": (lambda: None, "None"),
}


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("module", [None, "instance"])
def test_estimators_are_shown_without_layers_of_teacher_and_student(kind, module):
    make, expected = SHOWN[kind]
    module = None if module is None else nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    est = DistilledClassifier(module, teacher=make(), temperature=3.5, alpha=0.25)
    line = repr(est)
    assert f"teacher={expected}" in line or expected in line
    assert "temperature=3.5, alpha=0.25" in line
    assert "module=" in line
    html = est._repr_html_()
    for word in ("teacher", "student", "temperature", "3.5", "alpha", "0.25"):
        assert word in html
    for text in (line, str(est), html):
        assert "Linear(in" not in text  # a table shows only the beginning
    assert len(line) < 300


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(DistilledClassifier()) == (
        "DistilledClassifier(module=None, teacher=None, "
        f"temperature={DistilledClassifier().temperature!r}, "
        f"alpha={DistilledClassifier().alpha!r})"
    )
    line = repr(quick(classes=np.arange(3), optimizer__betas=(0.5, 0.9), unlabeled=-1))
    assert "classes=array([0, 1, 2])" in line
    assert "optimizer__betas=(0.5, 0.9)" in line
    assert "module__hidden=()" in line
    assert "unlabeled=-1" in line
    assert "train_split" not in line


def test_fitted_students_are_shown_without_their_layers(teacher):
    est = quick(teacher=teacher).fit(X_train, y_train)
    assert "MLP(15 parameters)" in est._repr_html_()
    search = GridSearchCV(est, {"temperature": [1]}, cv=2).fit(X_train, y_train)
    assert "in_features" not in search._repr_html_()
