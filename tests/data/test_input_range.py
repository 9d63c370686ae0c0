"""A prediction on another scale than the fit is told, what is merely rare is not."""

import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

from skkd import DistilledClassifier
from skkd._data.input_range import input_range, off_scale
from skkd.exceptions import DistillationWarning
from skkd.memory._fingerprint import fingerprint

LOADERS = [load_digits, load_iris, load_wine, load_breast_cancer]
SCALERS = [StandardScaler, MinMaxScaler]
DIGITS = load_digits().images[:, None]
RNG = np.random.RandomState(0)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("scaler", SCALERS)
def test_columns_that_are_scaled_at_one_time_only(load, scaler):
    X, y = load(return_X_y=True)
    A, B = X[::2], X[1::2]
    scaled = scaler().fit(A)
    raw, other = input_range(A), input_range(scaled.transform(A))
    assert off_scale(scaled.transform(B), raw)
    assert off_scale(B, other)
    for part in (B, *(B[y[1::2] == c] for c in np.unique(y)), *B[:50, None]):
        assert not off_scale(part, raw)
        assert not off_scale(scaled.transform(part), other)


UNIT = (DIGITS / 16).astype(np.float32)
BYTES = (UNIT * 255).round()


def test_images_on_another_scale():
    for a, b in ((UNIT, BYTES), (BYTES, UNIT), (UNIT, (UNIT - 0.5) / 0.1)):
        seen = input_range(a[:100])
        assert off_scale(b[100:], seen) and off_scale(b[100:101], seen)
        assert not off_scale(a[100:], seen) and not off_scale(a[100:101], seen)
        assert not off_scale(np.zeros_like(a[:1]), seen)
        assert not off_scale(np.full_like(a[:1], a.max()), seen)


def normal(n, d=6):
    return RNG.normal(size=(n, d))


def with_outliers(X):
    X = X.copy()
    X[0] *= 1e6
    X[1:, 0] += 1e6
    return X


@pytest.mark.parametrize(
    ("fitted", "asked"),
    [
        (normal(100), with_outliers(normal(100, 20)[:, :6])),
        (np.eye(40)[RNG.randint(0, 20, 99)], np.eye(40)[RNG.randint(0, 40, 99)]),
        (RNG.poisson(0.1, (99, 50)), RNG.poisson(0.3, (99, 50))),
        (np.exp(2 * normal(400)), np.exp(2 * normal(400))),
        (RNG.standard_cauchy((400, 6)), RNG.standard_cauchy((400, 6))),
        (np.ones((99, 5)), normal(99, 5)),
        (normal(5), 9 * normal(5)),
        (RNG.randint(0, 9, (99, 4)), np.zeros((9, 4))),
        (
            np.c_[normal(99, 1), np.arange(99.0)],
            np.c_[normal(99, 1), 99 + np.arange(99)],
        ),
        (np.exp(2 * normal(400)), np.exp(2 * normal(400) - 2)),
    ],
    ids=[
        *("outliers", "onehot", "counts", "lognormal", "cauchy", "constant", "few"),
        *("0", "dates", "money"),
    ],
)
def test_what_is_rare_is_silent(fitted, asked):
    seen = input_range(fitted)
    if seen is not None:
        for part in (asked, *asked[2:, None]):
            assert not off_scale(part, seen)


def student(**params):
    return DistilledClassifier(max_epochs=1, random_state=0, **params)


X, labels = load_iris(return_X_y=True)
Z = StandardScaler().fit_transform(X)


def test_a_prediction_tells_of_it_and_a_copy_too():
    net = student().fit(Z, labels)
    net.predict(Z)
    for one in (net, pickle.loads(pickle.dumps(net))):
        with pytest.warns(
            DistillationWarning, match=r"values of X lie outside.*Pipelin"
        ):
            one.predict(X)


def test_further_fits_widen_the_range():
    """One class at a time is no mistake, neither in fitting nor afterwards."""
    net = student()
    for c in range(3):
        net.partial_fit(X[labels == c], labels[labels == c], classes=[0, 1, 2])
    net.predict(X)
    for c in range(3):
        net.predict(X[labels == c])
    net.fit(Z, labels).predict(Z)
    with pytest.warns(DistillationWarning, match="another scale"):
        net.predict(X)
    net.set_params(warm_start=True).fit(X, labels).predict(X)


def test_the_range_is_not_a_part_of_a_teacher():
    net = student().fit(X, labels)
    before = fingerprint(net)
    net.input_range_ = {}
    assert fingerprint(net) == before


NORMALISED = (UNIT - 0.45) / 0.225


def test_normalised_images_and_those_that_are_not():
    for fitted, asked in (
        (NORMALISED, UNIT),
        (2 * UNIT - 1, UNIT),
        (NORMALISED, 2 * UNIT - 1),
    ):
        seen = input_range(fitted[:100])
        assert off_scale(asked[100:], seen) and off_scale(asked[100:101], seen)
        assert not any(off_scale(one, seen) for one in fitted[:, None])


def test_columns_that_shrink():
    """Centred, so that both lie in the range of the fit."""
    raw, shares = 100 * normal(400), 100 * RNG.random_sample((400, 4))
    for fitted, asked in ((raw, raw / 100), (shares, shares / 100)):
        seen = input_range(fitted[:200])
        assert off_scale(asked[200:], seen)
        assert not off_scale(fitted[200:], seen)
        assert not off_scale(np.repeat(fitted[:1], 30, axis=0), seen)


def images():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


N_IMAGES, TARGET = 200, load_digits().target


def held(kind, images):
    """Return images as X and y of a fit, and as X of a prediction."""
    y = TARGET[: len(images)]
    if kind == "dataset":
        dataset = TensorDataset(torch.as_tensor(images), torch.as_tensor(y))
        return (dataset, None), dataset
    X = {"input": images} if kind == "mapping" else images
    X = csr_array(images.reshape(len(images), -1)) if kind == "sparse" else X
    return (X, y), X


@pytest.mark.parametrize("kind", ["dataset", "mapping", "sparse"])
@pytest.mark.parametrize(("a", "b"), [(UNIT, BYTES), (BYTES, UNIT)])
def test_whatever_holds_the_samples(kind, a, b):
    net = DistilledClassifier(images(), max_epochs=1, random_state=0)
    net.fit(*held(kind, a[:N_IMAGES])[0])
    net.predict(held(kind, a[N_IMAGES:])[1])
    with pytest.warns(DistillationWarning, match="another scale"):
        net.predict(held(kind, b[N_IMAGES:])[1])


def test_dtypes_of_the_same_values_are_silent():
    whole = BYTES.astype(np.uint8)
    net = student(module__width=2).fit(whole[:N_IMAGES], TARGET[:N_IMAGES])
    for dtype in (np.int64, np.float32):
        net.predict(whole.astype(dtype))
    with pytest.warns(DistillationWarning, match="0 to 255 are not those of 0 to 1"):
        net.predict(UNIT)


@pytest.mark.parametrize("a", [UNIT, UNIT.reshape(-1, 64)], ids=["images", "table"])
def test_a_further_fit_on_another_scale(a):
    net = student().partial_fit(a[:N_IMAGES], TARGET[:N_IMAGES])
    net.partial_fit(a[N_IMAGES:], TARGET[N_IMAGES:])
    with pytest.warns(DistillationWarning, match="than in the fit before"):
        net.partial_fit(255 * a, TARGET)
