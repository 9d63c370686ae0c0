"""What may be passed in, and what is said where it may not."""

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
from skkd._fit.parameters import check_augment, check_hyperparameters
from skkd._utils.rng import preserved_rng, seeded_rng
from skkd.augment import Mixup, RandomHorizontalFlip
from skkd.teachers._base import check_logits

X6 = np.zeros((6, 2))


class Estimator(BaseEstimator):
    input_shape_ = None


class TestHyperparameters:
    @pytest.mark.parametrize("temperature", [1, 0.1, 4.0, np.float32(3), np.int64(2)])
    @pytest.mark.parametrize("alpha", [0, 1, 0.5, np.float32(0.5)])
    @pytest.mark.parametrize("cv", ["prefit", None, 3])
    def test_good(self, temperature, alpha, cv):
        check_hyperparameters(temperature, alpha, cv)

    @pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf, "2", None, True, [1]])
    def test_temperature(self, bad):
        with pytest.raises(ValueError, match=r"temperature=.*finite number above 0"):
            check_hyperparameters(bad, 0.5, None)

    @pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, "1", None, False, [1]])
    def test_alpha(self, bad):
        with pytest.raises(ValueError, match=r"alpha=.*\[0, 1\]"):
            check_hyperparameters(1, bad, None)

    def test_teacher_cv(self):
        with pytest.raises(ValueError, match=r"teacher_cv='prefitted'.*'prefit'"):
            check_hyperparameters(1, 0, "prefitted")

    def test_augment(self):
        check_augment(None, None, "same", 3, X6, X6)
        check_augment(abs, None, "same", "prefit", None, None)
        check_augment(abs, None, "same", None, None, None)
        with pytest.raises(TypeError, match="callable"):
            check_augment("flip", None, "same", None, None, None)
        for arguments in (("prefit", X6, None), ("prefit", None, X6), (3, None, None)):
            with pytest.raises(ValueError, match="augment="):
                check_augment(abs, None, "same", *arguments)
            check_augment(abs, None, "clean", *arguments)  # asked for by name

    def test_views(self):
        check_augment(RandomHorizontalFlip(), 3, "same", "prefit", None, None)
        with pytest.raises(
            ValueError, match=r"n_views=2 are views that augment= makes"
        ):
            check_augment(None, 2, "same", "prefit", None, None)
        for views in (0, -1, 1.5, True, "live"):
            with pytest.raises(ValueError, match="expected None, a whole number"):
                check_augment(
                    RandomHorizontalFlip(), views, "same", "prefit", None, None
                )
        with pytest.raises(ValueError, match="takes no `seeds`"):
            check_augment(lambda x: x, 2, "same", "prefit", None, None)
        for views, view in ((2, "same"), (None, "clean")):
            with pytest.raises(ValueError, match="mixes the rows"):
                check_augment(Mixup(), views, view, "prefit", None, None)
        with pytest.raises(ValueError, match="p="):
            check_augment(RandomHorizontalFlip(p=2), None, "same", "prefit", None, None)
        with pytest.raises(ValueError, match="augment="):
            check_augment(RandomHorizontalFlip(), 2, "same", "prefit", X6, None)


class TestWeights:
    everyone = np.ones(6, dtype=bool)
    y = np.array([0, 0, 0, 1, 1, 2])

    def test_none(self):
        assert check_sample_weight(None, self.y) is None
        assert combine_weights(None, None, self.y, self.everyone) is None

    def test_float64(self):
        weight = check_sample_weight([1, 2, 3, 4, 5, 6], self.y)
        assert weight.dtype == np.float64

    def test_classes_multiply_rows(self):
        given = np.arange(6) + 1.0
        weight = combine_weights(given, {0: 1, 1: 10, 2: 100}, self.y, self.everyone)
        np.testing.assert_array_equal(weight, [1, 2, 3, 40, 50, 600])
        weight = combine_weights(None, "balanced", self.y, self.everyone)
        np.testing.assert_allclose(weight, [2 / 3] * 3 + [1, 1, 2])

    def test_unlabelled_rows_have_no_class(self):
        labelled = self.y < 2
        weight = combine_weights(None, "balanced", self.y, labelled)
        np.testing.assert_allclose(weight, [5 / 6] * 3 + [1.25] * 2 + [1])
        nobody = np.zeros(6, dtype=bool)
        assert combine_weights(None, "balanced", self.y, nobody) is None

    def test_all_zero(self):
        labelled = self.y < 2
        with pytest.raises(ValueError, match="zero"):
            combine_weights(1.0 * ~labelled, None, self.y, labelled)
        nobody = np.zeros(6, dtype=bool)
        np.testing.assert_array_equal(
            combine_weights(np.ones(6), None, self.y, nobody), 1
        )


class TestInputs:
    def test_an_array_stays_what_it_is(self):
        X = np.zeros((3, 2), dtype=np.uint8)
        read, facts = read_inputs(Estimator(), X)
        assert read is X
        assert facts.input_shape == (2,)
        assert facts.n_features_in == 2

    def test_reading_changes_nothing(self):
        estimator = Estimator()
        _, facts = read_inputs(estimator, pd.DataFrame(X6, columns=["a", "b"]))
        assert vars(estimator) == {}
        facts.set_on(estimator)
        assert estimator.feature_names_in_.tolist() == ["a", "b"]
        read_inputs(estimator, X6)[1].set_on(estimator)
        assert not hasattr(estimator, "feature_names_in_")

    def test_foreign_byte_order(self):
        X, _ = read_inputs(Estimator(), np.ones((2, 2), ">f4"))
        assert X.dtype.isnative
        torch.as_tensor(X)

    def test_tensors_have_no_names(self):
        estimator = Estimator()
        named = pd.DataFrame(X6, columns=["a", "b"])
        read_inputs(estimator, named)[1].set_on(estimator)
        check_inputs(estimator, torch.zeros(3, 2))
        with pytest.raises(ValueError, match=r"rows of shape \(3,\)"):
            check_inputs(estimator, torch.zeros(3, 3))
        with pytest.raises(ValueError, match="NaN"):
            check_inputs(estimator, torch.full((3, 2), np.nan))

    def test_datasets_are_compared_by_their_first_row(self):
        estimator = Estimator()
        data = TensorDataset(torch.zeros(3, 2), torch.zeros(3))
        read_inputs(estimator, data)[1].set_on(estimator)
        assert estimator.input_shape_ == (2,)
        wrong = TensorDataset(torch.zeros(3, 5), torch.zeros(3))
        with pytest.raises(ValueError, match=r"\(5,\), but Estimator.*\(2,\)"):
            check_inputs(estimator, wrong)

    def test_mappings_are_left_alone(self):
        X = {"a": X6, "b": X6}
        assert read_inputs(Estimator(), X)[0] is X


class TestLabels:
    def test_labels_of(self):
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
    def test_labelled(self, y, unlabeled, known):
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
    def test_a_marker_of_another_type(self, y, unlabeled):
        with pytest.raises(ValueError, match=r"unlabeled=.*is no label of y, but the"):
            check_labels(X6, y, unlabeled)

    def test_find_classes(self):
        assert find_classes(np.array([3, 1, 3])).tolist() == [1, 3]
        assert find_classes(np.array([3, 1, 3]), [3, 1, 2]).tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match="twice"):
            find_classes(np.array([1]), [1, 1])
        with pytest.raises(ValueError, match="list of labels"):
            find_classes(np.array([1]), [])
        with pytest.raises(ValueError, match="pass classes="):
            find_classes(np.array([]))

    def test_encode_labels(self):
        y = np.array(["b", "?", "a"])
        y_encoded = encode_labels(y, y != "?", np.array(["b", "a"]))
        assert y_encoded.tolist() == [0, -1, 1]
        assert y_encoded.dtype == np.int64
        with pytest.raises(ValueError, match=r"outside the known classes: \?\. Known"):
            encode_labels(y, np.ones(3, bool), np.array(["b", "a"]))


class TestLogits:
    classes = np.array(["a", "b"])

    def test_good(self):
        for logits in (
            np.zeros((6, 2)),
            np.zeros((6, 2), int),
            torch.zeros(6, 2),
            pd.DataFrame(np.zeros((6, 2))),
            [[0.0, 1.0]] * 6,
        ):
            checked = check_logits(logits, 6, self.classes)
            assert checked.dtype == np.float32
            assert checked.shape == (6, 2)

    def test_shape(self):
        with pytest.raises(ValueError, match=r"\(6, 3\), expected \(6, 2\).*'a', 'b'"):
            check_logits(np.zeros((6, 3)), 6, self.classes)

    def test_dtype(self):
        with pytest.raises(ValueError, match="dtype <U1, expected floating"):
            check_logits(np.full((6, 2), "a"), 6, self.classes)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_finite(self, bad):
        logits = np.zeros((6, 2))
        logits[4, 1] = bad
        with pytest.raises(ValueError, match=r"1 of 6 rows .the first is row 4.*clip"):
            check_logits(logits, 6, self.classes)

    def test_beyond_float32(self):
        with pytest.raises(ValueError, match="not finite"):
            check_logits(np.full((6, 2), 1e300), 6, self.classes)


class TestRandom:
    def test_preserved(self):
        torch.manual_seed(1), np.random.seed(1)
        expected = torch.rand(2).tolist(), np.random.rand(2).tolist()
        torch.manual_seed(1), np.random.seed(1)
        with pytest.raises(KeyError), preserved_rng():
            torch.rand(1), np.random.rand(1)
            raise KeyError
        assert (torch.rand(2).tolist(), np.random.rand(2).tolist()) == expected

    def test_seeded(self):
        draws = []
        for _ in range(2):
            with seeded_rng(3):
                draws.append((torch.rand(2).tolist(), np.random.rand(2).tolist()))
        assert draws[0] == draws[1]

    def test_nested(self):
        with seeded_rng(3):
            expected = torch.rand(2).tolist()
        with seeded_rng(3):
            with seeded_rng(4):
                torch.rand(1)
            assert torch.rand(2).tolist() == expected

    def test_none_changes_nothing(self):
        torch.manual_seed(1)
        expected = torch.rand(2).tolist()
        torch.manual_seed(1)
        with seeded_rng(None):
            assert torch.rand(2).tolist() == expected
