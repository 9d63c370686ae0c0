"""X, y and sample_weight: what may be passed, and the errors for the rest."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from torch.utils.data import Subset, TensorDataset

from skkd._data.inputs import check_inputs, read_inputs
from skkd._data.labels import (
    check_labels,
    encode_labels,
    find_classes,
    labels_of,
)
from skkd._data.weights import check_sample_weight, combine_weights

X6 = np.zeros((6, 2))


class Estimator(BaseEstimator):
    input_shape_ = None


# --- Weights ---


EVERYONE = np.ones(6, dtype=bool)


Y6 = np.array([0, 0, 0, 1, 1, 2])


def test_no_weights_stay_none():
    assert check_sample_weight(None, Y6) is None
    assert combine_weights(None, None, Y6, EVERYONE) is None


def test_sample_weight_becomes_float64():
    weight = check_sample_weight([1, 2, 3, 4, 5, 6], Y6)
    assert weight.dtype == np.float64


def test_class_weight_multiplies_the_weights_of_samples():
    given = np.arange(6) + 1.0
    weight = combine_weights(given, {0: 1, 1: 10, 2: 100}, Y6, EVERYONE)
    np.testing.assert_array_equal(weight, [1, 2, 3, 40, 50, 600])
    weight = combine_weights(None, "balanced", Y6, EVERYONE)
    np.testing.assert_allclose(weight, [2 / 3] * 3 + [1, 1, 2])


def test_class_weight_leaves_unlabelled_samples_alone():
    labelled = Y6 < 2
    weight = combine_weights(None, "balanced", Y6, labelled)
    np.testing.assert_allclose(weight, [5 / 6] * 3 + [1.25] * 2 + [1])
    nobody = np.zeros(6, dtype=bool)
    assert combine_weights(None, "balanced", Y6, nobody) is None


def test_weights_that_are_zero_for_all_labelled_samples_are_refused():
    labelled = Y6 < 2
    with pytest.raises(ValueError, match="zero"):
        combine_weights(1.0 * ~labelled, None, Y6, labelled)
    nobody = np.zeros(6, dtype=bool)
    np.testing.assert_array_equal(combine_weights(np.ones(6), None, Y6, nobody), 1)


# --- Inputs ---


def test_read_inputs_returns_an_array_as_it_is():
    X = np.zeros((3, 2), dtype=np.uint8)
    read, facts = read_inputs(Estimator(), X)
    assert read is X
    assert facts.input_shape == (2,)
    assert facts.n_features_in == 2


def test_read_inputs_does_not_change_the_estimator():
    estimator = Estimator()
    _, facts = read_inputs(estimator, pd.DataFrame(X6, columns=["a", "b"]))
    assert vars(estimator) == {}
    facts.set_on(estimator)
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    read_inputs(estimator, X6)[1].set_on(estimator)
    assert not hasattr(estimator, "feature_names_in_")


def test_read_inputs_makes_byte_order_native():
    X, _ = read_inputs(Estimator(), np.ones((2, 2), ">f4"))
    assert X.dtype.isnative
    torch.as_tensor(X)


def test_tensors_are_checked_without_feature_names():
    estimator = Estimator()
    named = pd.DataFrame(X6, columns=["a", "b"])
    read_inputs(estimator, named)[1].set_on(estimator)
    check_inputs(estimator, torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"rows of shape \(3,\)"):
        check_inputs(estimator, torch.zeros(3, 3))
    with pytest.raises(ValueError, match="NaN"):
        check_inputs(estimator, torch.full((3, 2), np.nan))


def test_datasets_are_checked_by_their_first_sample():
    estimator = Estimator()
    data = TensorDataset(torch.zeros(3, 2), torch.zeros(3))
    read_inputs(estimator, data)[1].set_on(estimator)
    assert estimator.input_shape_ == (2,)
    wrong = TensorDataset(torch.zeros(3, 5), torch.zeros(3))
    with pytest.raises(ValueError, match=r"\(5,\), but Estimator.*\(2,\)"):
        check_inputs(estimator, wrong)


def test_read_inputs_returns_a_mapping_as_it_is():
    X = {"a": X6, "b": X6}
    assert read_inputs(Estimator(), X)[0] is X


# --- Labels ---


def test_labels_of_datasets_and_subsets():
    y = torch.arange(6)
    dataset = TensorDataset(torch.zeros(6, 2), y)
    assert labels_of(dataset, "given") == "given"
    assert labels_of(X6, None) is None
    assert labels_of(dataset, None) is y
    part = Subset(Subset(dataset, range(1, 6)), [4, 0])
    assert labels_of(part, None).tolist() == [5, 1]


@pytest.mark.parametrize(
    ("y", "unlabeled", "known"),
    [
        ([1, 2, -1, 1, 2, -1], None, [1, 2, -1, 1, 2, -1]),
        ([1, 2, -1, 1, 2, -1], -1, [1, 2, 1, 2]),
        ([1, 2, -1, 1, 2, -1], 7, [1, 2, -1, 1, 2, -1]),
        ([[1], [2], [-1], [1], [2], [-1]], -1, [1, 2, 1, 2]),
        ([1.0, np.nan, 2.0, 1.0, 2.0, 2.0], np.nan, [1, 2, 1, 2, 2]),
        (["a", None, "b", "a", "b", "b"], float("nan"), ["a", "b", "a", "b", "b"]),
        (["a", -1, "b", "a", "b", "b"], -1, ["a", "b", "a", "b", "b"]),
        (["a", "?", "b", "a", "b", "b"], "?", ["a", "b", "a", "b", "b"]),
        (torch.tensor([1, 2, -1, 1, 2, -1]), -1, [1, 2, 1, 2]),
        ([True, False, True, True, False, -1], -1, [1, 0, 1, 1, 0]),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector")
def test_check_labels_tells_which_samples_are_labelled(y, unlabeled, known):
    y, labelled = check_labels(X6, y, unlabeled)
    assert y.shape == labelled.shape == (6,)
    assert y[labelled].tolist() == known


@pytest.mark.parametrize(
    ("y", "unlabeled"),
    [
        (np.array(["a", "-1"] * 3), -1),
        (np.array(["a", "nan"] * 3), np.nan),
        (np.array([1, -1] * 3), "-1"),
    ],
)
def test_an_unlabeled_marker_of_another_type_is_refused(y, unlabeled):
    with pytest.raises(ValueError, match=r"unlabeled=.*is no label of y, but the"):
        check_labels(X6, y, unlabeled)


def test_find_classes_are_sorted_and_checked():
    assert find_classes(np.array([3, 1, 3])).tolist() == [1, 3]
    assert find_classes(np.array([3, 1, 3]), [3, 1, 2]).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="twice"):
        find_classes(np.array([1]), [1, 1])
    with pytest.raises(ValueError, match="list of labels"):
        find_classes(np.array([1]), [])
    with pytest.raises(ValueError, match="pass classes="):
        find_classes(np.array([]))


def test_encode_labels_gives_minus_one_to_unlabelled_samples():
    y = np.array(["b", "?", "a"])
    y_encoded = encode_labels(y, y != "?", np.array(["b", "a"]))
    assert y_encoded.tolist() == [0, -1, 1]
    assert y_encoded.dtype == np.int64
    with pytest.raises(ValueError, match=r"outside the known classes: \?\. Known"):
        encode_labels(y, np.ones(3, bool), np.array(["b", "a"]))
