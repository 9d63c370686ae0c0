"""ConfusionDifferenceDisplay: against scikit-learn's confusion matrices."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from drawings import MANY, draw_difference
from sklearn.metrics import confusion_matrix

from skkd.displays import ConfusionDifferenceDisplay


@pytest.mark.parametrize("normalize", [None, "true"])
def test_difference_is_scikit_learns(normalize):
    rng = np.random.default_rng(0)
    y, one, other = rng.integers(4, size=(3, 200))
    display = ConfusionDifferenceDisplay.from_predictions(
        y, {"one": one, "other": other}, normalize=normalize
    )
    expected = confusion_matrix(y, one, normalize=normalize) - confusion_matrix(
        y, other, normalize=normalize
    )
    np.testing.assert_array_equal(display.difference, expected)
    low, high = display.im_.get_clim()
    assert low == -high  # white is 0
    scale = 100 if normalize else 1
    np.testing.assert_allclose(display.im_.get_array(), scale * expected)
    assert display.text_.shape == (4, 4)


def test_difference_of_estimators(iris, fitted):
    X, y = iris
    two = {name: fitted[name] for name in ("distilled", "plain")}
    display = ConfusionDifferenceDisplay.from_estimators(two, X, y)
    matrices = [confusion_matrix(y, one.predict(X)) for one in two.values()]
    np.testing.assert_array_equal(display.difference, matrices[0] - matrices[1])
    assert display.names == ("distilled", "plain")


def test_difference_marks_signs_where_values_do_not_fit():
    _, ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    display = draw_difference(MANY, ax)
    assert display.text_ is None
    strong = np.abs(display.difference) > 0.15 * np.abs(display.difference).max()
    for marks, sign in zip(ax.collections, (1, -1), strict=True):
        marked = {(row, column) for column, row in marks.get_offsets().tolist()}
        expected = np.argwhere(strong & (sign * display.difference > 0))
        assert marked == set(map(tuple, expected.tolist()))


def test_difference_refuses(iris, fitted):
    X, y = iris
    with pytest.raises(ValueError, match=r"3 entries .* expected two"):
        ConfusionDifferenceDisplay.from_estimators(fitted, X, y)
    two = {"a": [0, 1], "b": [0, 1]}
    for options, message in (
        ({"normalize": "pred"}, "normalize='pred'"),
        ({"display_labels": ["x"]}, "display_labels has 1 names, expected 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ConfusionDifferenceDisplay.from_predictions([0, 1], two, **options)
    with pytest.raises(ValueError, match=r"y_true: 3, a: 2, b: 2"):
        ConfusionDifferenceDisplay.from_predictions([0, 1, 1], two)
    with pytest.raises(TypeError, match=r"a is a Linear without predict"):
        modules = {"a": torch.nn.Linear(4, 3), "b": fitted["plain"]}
        ConfusionDifferenceDisplay.from_estimators(modules, X, y)
