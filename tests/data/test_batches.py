"""How samples become batches."""

import warnings

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from skorch.helper import SliceDataset
from torch.utils.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
)

from skkd._data.batches import (
    TrainingSet,
    arrays_of,
    as_is,
    center_weights,
    labelled_part,
    loader,
    unwrap,
    whole_batches,
)
from skkd._data.keys import (
    HARD_WEIGHT,
    INPUT,
    SOFT_WEIGHT,
    TEACHER_LOGITS,
    split_inputs,
)
from skkd._data.rows import (
    is_lazy,
    iter_inputs,
    len_of,
    pair_of,
)
from skkd._data.weights import sample_weight_fields

N = 11


def array(dtype=np.float32):
    return (np.random.RandomState(0).rand(N, 3) * 50).astype(dtype)


def training_set(X, batch_fields=True, y_encoded=None):
    y_encoded = np.arange(N) % 3 if y_encoded is None else np.asarray(y_encoded)
    extra = {
        TEACHER_LOGITS: np.random.RandomState(1).randn(N, 3).astype(np.float32),
        HARD_WEIGHT: np.arange(N) * 1.0,
    }
    return TrainingSet(
        SkorchDataset(X, y_encoded),
        X=X,
        y=np.array([*"abc"])[y_encoded],
        y_encoded=y_encoded,
        batch_fields=extra if batch_fields else None,
    )


def assert_same(one, other):
    """Compare batches, nested as they are, by value and dtype."""
    assert type(one) is type(other) or {type(one), type(other)} <= {list, tuple}
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        torch.testing.assert_close(one, other, rtol=0, atol=0)


class Doubling(SkorchDataset):
    def transform(self, X, y):
        X, y = super().transform(X, y)
        return 2 * X, y


DATA = {
    "float32": array(),
    "float64": array(np.float64),
    "uint8": array(np.uint8),
    "int64": array(np.int64),
    "bool": array() > 20,
    "images": np.random.RandomState(0).randint(0, 255, (N, 1, 4, 4), dtype=np.uint8),
    "tensor": torch.from_numpy(array()),
    "mapping": {"a": array(), "b": array(np.int64)[:, 0]},
}

# --- Whole batches ---


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda X: training_set(X),
        lambda X: training_set(X, batch_fields=False),
        lambda X: SkorchDataset(X),
        lambda X: SkorchDataset(X, np.arange(N)),
        lambda X: Subset(training_set(X), [3, 1, 8, 8]),
        lambda X: Subset(Subset(training_set(X), range(2, 9)), [6, 0]),
        lambda X: Subset(training_set(X), np.array([4, 5])),
        lambda X: Subset(training_set(X), torch.tensor([4, 5])),
    ],
    ids=["set", "bare", "unlabelled", "skorch", "part", "nested", "NumPy", "torch"],
)
def test_whole_batches_equal_collated_samples(name, wrap):
    dataset = wrap(DATA[name])
    fast = DataLoader(whole_batches(dataset), batch_size=4, collate_fn=as_is)
    if isinstance(dataset, Subset):  # skorch's items want plain ints
        base, rows = unwrap(dataset)
        slow = DataLoader(Subset(base, rows.tolist()), batch_size=4)
    else:
        slow = DataLoader(dataset, batch_size=4)
    batches = [*fast]
    for one, other in zip(batches, slow, strict=True):
        assert_same(one[0], other[0])
        if getattr(unwrap(dataset)[0], "y", None) is not None:
            assert_same(one[1], other[1])
    assert sum(len(y) for _, y in batches) == len(dataset)


def test_whole_batches_are_copies():
    X = array()
    ((inputs, _),) = DataLoader(
        whole_batches(SkorchDataset(X)), batch_size=N, collate_fn=as_is
    )
    inputs.zero_()
    assert X.any()


def test_whole_batches_of_read_only_and_strided_arrays():
    frozen = array()
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for X in (frozen, array()[::-1], np.asfortranarray(array())):
            ((inputs, _), *_) = loader(training_set(X, batch_fields=False), N)
            np.testing.assert_array_equal(inputs, X)


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(torch.zeros(N, 2), torch.zeros(N)),
        Doubling(array(), np.arange(N)),
        SkorchDataset(array(), [*range(N)]),
    ],
)
def test_samples_made_by_a_dataset_are_collated(dataset):
    assert arrays_of(dataset) is None
    assert whole_batches(dataset) is None
    ((inputs, _), *_) = loader(dataset, 2)
    assert_same(inputs, default_collate([dataset[0][0], dataset[1][0]]))


def test_the_loader_draws_no_number():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    for dataset in (training_set(array()), Doubling(array(), np.arange(N))):
        assert len([*loader(dataset, 4)]) == 3
    assert torch.equal(torch.rand(1), expected)


# --- Training sets ---


def test_samples_of_a_training_set_have_batch_fields():
    X = array()
    dataset = training_set(X)
    inputs, code = dataset[4]
    assert code == 1
    np.testing.assert_array_equal(inputs[INPUT], X[4])
    np.testing.assert_array_equal(
        inputs[TEACHER_LOGITS], dataset.batch_fields[TEACHER_LOGITS][4]
    )
    assert len(dataset) == N


def test_samples_without_batch_fields_are_plain_inputs():
    inputs, _ = training_set(array(), batch_fields=False)[0]
    np.testing.assert_array_equal(inputs, array()[0])


def test_split_inputs_separates_batch_fields():
    X = {"a": 1, "b": 2}
    assert split_inputs(X) == (X, {})
    assert split_inputs({INPUT: X, "weight": 3}) == (X, {"weight": 3})
    rows = torch.zeros(2)
    assert split_inputs(rows)[0] is rows


def test_labelled_part_leaves_out_unlabelled_samples():
    y_encoded = np.array([0, -1, 1, 1, -1, 2, 0, 0, -1, 1, 2])
    dataset = training_set(array(), y_encoded=y_encoded)
    assert labelled_part(dataset).indices == [0, 2, 3, 5, 6, 7, 9, 10]
    part = labelled_part(Subset(dataset, [4, 3, 1, 0]))
    assert part.indices == [3, 0]
    assert part.dataset is dataset
    full = training_set(array())
    for whole in (full, Subset(full, [1]), TensorDataset(torch.zeros(3)), None):
        assert labelled_part(whole) is whole


# --- Weights ---


def test_no_weight_fields_if_all_samples_weigh_the_same():
    assert sample_weight_fields(None, np.ones(N, dtype=bool)) == {}


def test_weight_fields_have_a_mean_of_one():
    weight = np.random.RandomState(0).rand(N)
    labelled = np.arange(N) < 4
    beside = sample_weight_fields(weight, labelled)
    assert beside[SOFT_WEIGHT].mean() == pytest.approx(1)
    assert beside[HARD_WEIGHT].mean() == pytest.approx(1)
    assert not beside[HARD_WEIGHT][4:].any()
    np.testing.assert_allclose(
        beside[HARD_WEIGHT][:4] / beside[SOFT_WEIGHT][:4],
        beside[HARD_WEIGHT][0] / beside[SOFT_WEIGHT][0],
    )


def test_weighted_batches_are_unbiased():
    """Over batches of one size, the mean of means is the weighted mean."""
    rng = np.random.RandomState(0)
    weight, loss = rng.rand(12), rng.rand(12)
    labelled = rng.rand(12) < 0.4
    beside = sample_weight_fields(weight, labelled)
    for key, w in ((HARD_WEIGHT, weight * labelled), (SOFT_WEIGHT, weight)):
        batches = rng.permutation(12).reshape(4, 3)
        mean = np.mean([(beside[key][b] * loss[b]).mean() for b in batches])
        assert mean == pytest.approx(np.average(loss, weights=w))


def test_weight_fields_without_any_label():
    beside = sample_weight_fields(None, np.zeros(N, dtype=bool))
    assert not beside[HARD_WEIGHT].any()


def test_no_soft_weight_without_sample_weight():
    """So that a loss over a whole batch takes unlabelled rows too."""
    assert SOFT_WEIGHT not in sample_weight_fields(None, np.arange(N) < 4)


def test_center_weights_of_a_subset():
    dataset = training_set(array())
    weight = np.random.RandomState(0).rand(N)
    logits = dataset.batch_fields[TEACHER_LOGITS].copy()
    dataset.batch_fields |= sample_weight_fields(weight, np.arange(N) % 2 == 0)
    rows = np.array([0, 3, 4, 9])
    center_weights(Subset(dataset, rows))
    for key in (HARD_WEIGHT, SOFT_WEIGHT):
        assert dataset.batch_fields[key][rows].mean() == pytest.approx(1)
    np.testing.assert_array_equal(dataset.batch_fields[TEACHER_LOGITS], logits)


def test_center_weights_of_no_subset_changes_nothing():
    dataset = training_set(array())
    before = dataset.batch_fields[HARD_WEIGHT].copy()
    center_weights(dataset)
    center_weights(TensorDataset(torch.zeros(3)))
    np.testing.assert_array_equal(dataset.batch_fields[HARD_WEIGHT], before)


class Plain(Dataset):
    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 1

    def __getitem__(self, i):
        return self.item


# --- Samples ---


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (torch.zeros(2), "Tensor, expected a pair"),
        ((1,), "tuple of 1"),
        ([1, 2, 3], "list of 3"),
    ],
)
def test_a_sample_of_a_dataset_must_be_a_pair(item, message):
    with pytest.raises(ValueError, match=f"Row 0 of the Plain is a .*{message}"):
        pair_of(Plain(item), 0)
    assert pair_of(Plain([1, 2]), 0) == (1, 2)


@pytest.mark.parametrize("batch_size", [1, 4, N, 100])
def test_iter_inputs_gives_all_samples_in_batches(batch_size):
    import pandas as pd

    X = array()
    dataset = SkorchDataset(X, np.arange(N))
    for rows in (
        X,
        X.tolist(),
        pd.DataFrame(X),
        {"a": X},
        dataset,
        Subset(dataset, range(N)),
        SliceDataset(dataset),
    ):
        parts = [*iter_inputs(rows, batch_size)]
        parts = [part["a"] if isinstance(part, dict) else part for part in parts]
        assert len(parts) == -(-N // batch_size)
        np.testing.assert_array_equal(np.concatenate(parts), X)
        assert len_of(rows) == N


def test_unwrap_nested_subsets():
    dataset = TensorDataset(torch.arange(10))
    assert unwrap(dataset) == (dataset, None)
    nested = Subset(Subset(Subset(dataset, range(1, 10)), [8, 2, 5]), (2, 0))
    base, rows = unwrap(nested)
    assert base is dataset
    assert rows.tolist() == [6, 9] == [item.item() for (item,) in nested]


def test_is_lazy_is_true_of_datasets():
    dataset = SkorchDataset(array())
    assert is_lazy(dataset)
    assert is_lazy(SliceDataset(dataset))
    assert not is_lazy(array())
    assert not is_lazy({"a": array()})
