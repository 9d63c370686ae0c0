"""ReliabilityDisplay: against scikit-learn's calibration curves."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skkd import DistilledClassifier
from skkd.displays import ReliabilityDisplay


@pytest.mark.parametrize("n_bins", [1, 5, 10])
def test_reliability_is_scikit_learns(n_bins):
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=300)
    proba = rng.dirichlet(np.ones(4), size=300)
    proba[:3] = np.eye(4)[:3]  # on the edge of the last bin
    display = ReliabilityDisplay.from_predictions(y, {"a": proba}, n_bins=n_bins)
    curve = display.curves["a"]
    right, sure = proba.argmax(axis=1) == y, proba.max(axis=1)
    accuracy, confidence = calibration_curve(right, sure, n_bins=n_bins)
    np.testing.assert_allclose(curve.accuracy, accuracy)
    np.testing.assert_allclose(curve.confidence, confidence)
    assert curve.counts.sum() == 300 and len(curve.counts) == n_bins
    ece = sum(
        mask.mean() * abs(right[mask].mean() - sure[mask].mean())
        for low in np.arange(n_bins) / n_bins
        if (mask := (sure > low) & (sure <= low + 1 / n_bins)).any()
    )
    assert curve.ece == pytest.approx(ece)
    assert f"ECE {ece:.3f}" in display.lines_[0].get_label()


def test_reliability_of_one_class_is_scikit_learns(iris, fitted):
    X, y = iris
    display = ReliabilityDisplay.from_estimators(fitted, X, y, pos_label=1)
    for name, estimator in fitted.items():
        expected = calibration_curve(
            y == 1, estimator.predict_proba(X)[:, 1], n_bins=15
        )
        got = display.curves[name].accuracy, display.curves[name].confidence
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_reliability_leaves_empty_bins_out():
    proba = [[0.95, 0.05], [0.55, 0.45]]
    display = ReliabilityDisplay.from_predictions([0, 1], {"a": proba})
    assert len(display.lines_[0].get_xdata()) == 2
    assert (display.curves["a"].counts == 0).sum() == 13


def test_reliability_of_a_module_needs_classes(iris):
    X, y = iris
    X = X.astype(np.float32)
    module = torch.nn.Linear(4, 3)
    display = ReliabilityDisplay.from_estimators(
        {"net": module}, X, y, classes=[0, 1, 2]
    )
    with torch.no_grad():
        proba = torch.softmax(module(torch.tensor(X)), dim=1).numpy()
    assert display.curves["net"].ece == pytest.approx(
        ReliabilityDisplay.from_predictions(y, {"net": proba}).curves["net"].ece,
        rel=1e-4,
    )
    with pytest.raises(ValueError, match=r"net \(Linear\) does not know the classes"):
        ReliabilityDisplay.from_estimators({"net": module}, X, y)


def test_reliability_refuses(iris, fitted):
    X, y = iris
    with pytest.raises(TypeError, match=r"svm .LinearSVC. gives no probabilities"):
        svm = LinearSVC().fit(X, y)
        ReliabilityDisplay.from_estimators({"svm": svm}, X, y)
    with pytest.raises(TypeError, match=r"svms .list. gives no probabilities"):
        ReliabilityDisplay.from_estimators(
            {"svms": [svm, svm]}, X, y, classes=[0, 1, 2]
        )
    with pytest.raises(ValueError, match=r"X: 150, y: 149"):
        ReliabilityDisplay.from_estimators(fitted, X, y[1:])
    with pytest.raises(ValueError, match=r"call fit first"):
        ReliabilityDisplay.from_estimators({"a": LogisticRegression()}, X, y)
    with pytest.raises((ValueError, NotFittedError), match=r"fit"):
        ReliabilityDisplay.from_estimators({"a": DistilledClassifier()}, X, y)
    even = np.full((150, 3), 1 / 3)
    for options, message in (
        ({"n_bins": 0}, "n_bins=0"),
        ({"pos_label": "z"}, "pos_label='z' is none"),
        ({"classes": [0, 1]}, r"shape \(150, 3\), expected \(150, 2\)"),
        ({"classes": ["0", "1", "2"]}, "a knows none of the labels of y"),
    ):
        with pytest.raises(ValueError, match=message):
            ReliabilityDisplay.from_predictions(y, {"a": even}, **options)
    with pytest.raises(ValueError, match=r"Logits go through a softmax"):
        ReliabilityDisplay.from_predictions(y, {"a": 5 * even})


def test_reliability_of_a_teacher_with_read_only_logits():
    logits = np.log([[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.2, 0.8]])
    logits.flags.writeable = False
    display = ReliabilityDisplay.from_estimators(
        {"teacher": lambda X: logits}, np.zeros((4, 1)), [0, 1, 1, 1], classes=[0, 1]
    )
    assert display.curves["teacher"].ece == pytest.approx(0.175)
