"""A teacher that is asked about rows on another scale than it was trained on."""

import warnings

import numpy as np
import pytest
import torch
from health_cases import codes_of
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import check_health

DIGITS, WINE = load_digits(return_X_y=True), load_wine(return_X_y=True)
BLAME = {"one-sided", "chance-level", "below-majority", "constant-output"}


def times(factor):
    return FunctionTransformer(lambda X: X * factor)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def found(teacher, X, y, change=None):
    """Fit on one half, and check on the other as the change makes it."""
    X, rows, y, labels = train_test_split(X, y, test_size=0.5, random_state=0)
    teacher.fit(X, y)
    rows = rows if change is None else change.fit_transform(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {*codes_of(check_health(teacher, rows, labels))}


@pytest.mark.parametrize(
    ("teacher", "change"),
    [
        (SVC(gamma=0.001), StandardScaler()),
        (SVC(gamma=0.001), MinMaxScaler()),
        (SVC(gamma=0.001, class_weight="balanced"), times(255)),
        (RandomForestClassifier(50, random_state=0), StandardScaler()),
        (HistGradientBoostingClassifier(max_iter=10), MinMaxScaler()),
        (GaussianNB(), RobustScaler()),
        (scaled(LogisticRegression()), StandardScaler()),  # standardised twice
        (scaled(SVC()), times(1 / 16)),
        (RidgeClassifier(), StandardScaler()),
    ],
)
def test_another_scale_is_found(teacher, change):
    assert found(teacher, *DIGITS, change) & BLAME
    assert not found(teacher, *DIGITS)


def test_networks_that_are_asked_in_other_units_are_found():
    X, y = DIGITS
    X = torch.tensor(X).float()
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(64), nn.Linear(64, 32), nn.ReLU())
    net.append(nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(80):
        loss = nn.functional.cross_entropy(net(X[:900]), torch.tensor(y[:900]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    assert check_health(net, X[900:], y[900:]) == []
    for rows in (X[900:] / 255, X[900:] / 16):
        with pytest.warns(match=r"^\[one-sided\]|^\[chance-level\]"):
            assert check_health(net, rows, y[900:])


def test_the_finding_names_class_share_and_remedy():
    X, y = DIGITS
    teacher = SVC(gamma=0.001).fit(X[:600], y[:600])
    X, y = X[600:900], y[600:900]
    student = DistilledClassifier(teacher=teacher, strict=True, random_state=0)
    pipe = make_pipeline(MinMaxScaler(), student)
    with pytest.raises(ValueError, match=r"decides for 7 in 100 % .* 10 % have that"):
        pipe.fit(X, y)
    pipe.fit(X, y, distilledclassifier__teacher_X=X)
    top = torch.tensor(X.max(axis=0))
    pipe.set_params(distilledclassifier__teacher_transform=lambda x: x * top)
    pipe.fit(X, y)
    student.set_params(teacher=scaled(SVC()).fit(X, y), teacher_transform=None)
    student.fit(X, y)


def of_shares(weights, n=1500, flip=0.0, **params):
    return make_classification(
        n,
        12,
        n_informative=6,
        n_classes=len(weights),
        n_clusters_per_class=1,
        weights=weights,
        flip_y=flip,
        random_state=0,
        **params,
    )


HONEST = {
    "majority": (LogisticRegression(C=1e-3), *of_shares([0.97, 0.03], class_sep=0.5)),
    "rare classes": (
        RandomForestClassifier(30, max_depth=2, random_state=0),
        *of_shares([0.7, 0.2, 0.1], class_sep=0.6),
    ),
    "balanced": (
        LogisticRegression(class_weight="balanced"),
        *of_shares([0.95, 0.05], class_sep=0.6),
    ),
    "wrong labels": (SVC(), *of_shares([0.5, 0.5], flip=0.5)),
    "40 % of 30 classes": (
        LogisticRegression(max_iter=500),
        *make_classification(
            1500, 20, n_informative=8, n_classes=30, n_clusters_per_class=1
        ),
    ),
    "few rows": (SVC(), *load_iris(return_X_y=True)),
    "other units": (RidgeClassifier(), *WINE),
    "svc of raw columns": (SVC(), *load_breast_cancer(return_X_y=True)),
    "forest of rare classes": (
        RandomForestClassifier(30, max_depth=1, random_state=0),
        *of_shares([0.85, 0.15], class_sep=1.0),
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_teachers_give_no_finding(name):
    assert found(*HONEST[name]) <= {"saturated"}


def test_unlike_noise_wrong_labels_in_the_rows_are_no_finding():
    X, y = DIGITS
    teacher = SVC(gamma=0.001).fit(X[:900], y[:900])
    wrong = np.random.RandomState(0).rand(897) < 0.5
    y = np.where(wrong, np.random.RandomState(1).permutation(y[900:]), y[900:])
    assert check_health(teacher, X[900:], y) == []
