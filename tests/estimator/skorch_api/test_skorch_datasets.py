"""Datasets, mappings and splits, as skorch takes them."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset, SliceDict, predefined_split
from skorch_helpers import (
    D,
    N,
    OneInput,
    Recorder,
    batch_sizes,
    distil,
    equal,
    quiet_teachers,
)
from torch import nn
from torch.utils.data import (
    Dataset,
    Subset,
    TensorDataset,
)

from skkd import DistilledClassifier
from skkd.students import MLP

pytestmark = quiet_teachers


class TwoInputs(nn.Module):
    def __init__(self, n_classes, seen=None):
        super().__init__()
        self.seen = [] if seen is None else seen
        self.linear = nn.Linear(D, n_classes)

    def forward(self, a, b):
        self.seen.append((a, b))
        return self.linear(torch.cat([a, b], dim=1))


class Scaled(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(*input_shape, n_classes)

    def forward(self, x, scale=1.0):
        return self.linear(x) * scale


class Folder(Dataset):
    """As torchvision's: rows one by one, labels in `targets`."""

    def __init__(self, X, y, target_transform=None):
        self.rows, self.targets = X, y
        self.target_transform = target_transform
        self.n_read = 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        self.n_read += 1
        label = self.targets[i]
        if self.target_transform is not None:
            label = self.target_transform(label)
        return torch.as_tensor(self.rows[i]), label


class Bare(Dataset):
    """A Dataset that has nothing but rows."""

    def __init__(self, X, y):
        self.pairs = [*zip(torch.as_tensor(X), y, strict=True)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


def plus_ten(label):
    return label + 10


# --- Datasets and mappings ---


@pytest.mark.parametrize(
    "make",
    [
        lambda X, y_encoded: TensorDataset(torch.tensor(X), torch.tensor(y_encoded)),
        lambda X, y_encoded: SkorchDataset(X, y_encoded),
        lambda X, y_encoded: Folder(X, y_encoded.tolist()),
        lambda X, y_encoded: Folder(X, torch.tensor(y_encoded)),
        lambda X, y_encoded: Bare(X, y_encoded),
        lambda X, y_encoded: Bare(X, y_encoded.tolist()),
        lambda X, y_encoded: Bare(X, torch.tensor(y_encoded)),
    ],
    ids=["Tensor", "skorch", "targets", "tensor targets", "NumPy", "int", "tensor"],
)
@pytest.mark.parametrize("part", [False, True], ids=["whole", "Subset"])
def test_a_dataset_in_place_of_x_trains_the_same_student(X, y_encoded, make, part):
    rows = range(5, N) if part else range(N)
    dataset = make(X, y_encoded)
    dataset = Subset(dataset, rows) if part else dataset
    teacher = LogisticRegression().fit(X, y_encoded)
    params = {"module": MLP, "module__input_shape": (D,), "teacher": teacher}
    from_dataset = distil(**params).fit(dataset, None)
    from_arrays = distil(**params).fit(X[rows], y_encoded[rows])
    assert equal(from_dataset, from_arrays)
    assert from_dataset.score(dataset, None) == from_arrays.score(
        X[rows], y_encoded[rows]
    )
    np.testing.assert_array_equal(
        from_dataset.predict(dataset), from_arrays.predict(X[rows])
    )


def test_nested_subsets_of_a_dataset(X, y_encoded):
    inner = Subset(Folder(X, y_encoded.tolist()), range(10, 50))
    net = distil().fit(Subset(inner, [30, 2, 7, 12, 39]), None)
    np.testing.assert_array_equal(net.history[0, "train_loss"] > 0, True)
    assert len(net.predict(inner)) == 40


def test_labels_of_a_dataset_are_found_without_reading_samples(X, y_encoded):
    folder = Folder(X, y_encoded.tolist())
    distil(max_epochs=0).fit(Subset(folder, range(40)), None)
    assert folder.n_read == 33  # for their shape, and their range


def test_transformed_labels_of_a_dataset_are_read(X, y_encoded):
    net = distil().fit(Folder(X, y_encoded.tolist(), plus_ten), None)
    assert net.classes_.tolist() == [10, 11]


def test_labels_can_be_passed_with_a_dataset(X, y_encoded, y):
    net = distil().fit(Folder(X, y_encoded.tolist()), y)
    assert net.classes_.tolist() == ["no", "yes"]


def test_a_skorch_dataset_may_hold_string_labels(net, X, y):
    dataset, twin = SkorchDataset(X, y), clone(net)
    assert equal(twin.fit(dataset, None), net.fit(X, y))
    for part, rows in (
        (dataset, slice(None)),
        (Subset(dataset, range(9)), slice(9)),
    ):
        np.testing.assert_array_equal(twin.predict(part), net.predict(X[rows]))
        assert twin.score(part, None) == net.score(X[rows], y[rows])


def test_samples_of_a_dataset_may_be_tuples_of_float64(X, y_encoded):
    class Pairs(Bare):
        def __getitem__(self, i):
            row, code = super().__getitem__(i)
            return (row[:2].double(), row[2:].double()), code

    class First(TwoInputs):
        def forward(self, inputs):
            return super().forward(*inputs)

    net = distil(module=First).fit(Pairs(X, y_encoded), None)
    assert net.predict(Pairs(X, y_encoded)).shape == (N,)


def test_teachers_of_every_kind_read_datasets(X, y_encoded):
    dataset = Bare(X, y_encoded)
    params = {"module": nn.Linear(D, 2), "random_state": 0}
    distil(teacher=nn.Linear(D, 2), **params).fit(dataset, None)
    distil(teacher=lambda x: np.zeros((len(x), 2)), **params).fit(dataset, None)


def test_slice_dataset_in_a_search(X, y, teacher):
    dataset = SkorchDataset(X, y)
    net = distil(teacher=teacher, module=MLP, module__input_shape=(D,))
    grid = {"temperature": [1, 4]}
    search = GridSearchCV(net, grid, cv=3, error_score="raise")
    search.fit(SliceDataset(dataset), y)
    expected = GridSearchCV(net, grid, cv=3).fit(X, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
    )
    assert search.score(SliceDataset(dataset), y) > 0.6


@pytest.mark.parametrize("kind", [dict, SliceDict])
def test_mappings_reach_teacher_and_module(X, y, kind):
    asked = []

    def teacher(rows):
        asked.append(rows)
        return np.zeros((len(rows["a"]), 2))

    rows = kind(a=X[:, :2].astype(np.float64), b=X[:, 2:])
    net = distil(module=TwoInputs, teacher=teacher).fit(rows, y)
    assert {a.dtype for a, _ in net.module_.seen} == {torch.float32}
    assert [*asked[0]] == ["a", "b"]
    assert net.predict(rows).shape == (N,)
    assert not hasattr(net, "n_features_in_")


def test_mappings_in_a_search(X, y):
    rows = SliceDict(a=X[:, :2], b=X[:, 2:])
    grid = {"lr": [0.1, 0.01]}
    search = GridSearchCV(
        distil(module=TwoInputs), grid, cv=2, error_score="raise"
    ).fit(rows, y)
    assert search.predict(rows).shape == (N,)


def test_the_module_gets_its_input_and_no_batch_fields(net, X, y):
    net.set_params(module=OneInput, train_split=ValidSplit(3))
    net.fit(X, y, sample_weight=np.ones(N)).predict(X)
    for args, kwargs in net.module_.seen:
        assert [type(arg) for arg in args] == [torch.Tensor]
        assert args[0].shape[1] == D
        assert kwargs == {}


def test_the_module_gets_its_mapped_inputs_and_no_batch_fields(X, y):
    rows = {"a": X[:, :2], "b": X[:, 2:]}
    net = distil(module=TwoInputs)  # another keyword would raise
    net.fit(rows, y, teacher_logits=np.zeros((N, 2)), sample_weight=np.ones(N))
    assert {(a.shape[1], b.shape[1]) for a, b in net.module_.seen} == {(2, 2)}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, ValueError, "as many in each"),
        (TensorDataset(torch.zeros(0, 2), torch.zeros(0)), ValueError, "no rows"),
        (TensorDataset(torch.zeros(3, 2)), ValueError, "tuple of 1.*a pair"),
    ],
)
def test_datasets_without_pairs_and_unequal_mappings_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        distil(module=TwoInputs).fit(rows, None if len(rows) in (0, 3) else [0] * 3)


def test_iterable_datasets_are_refused():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield torch.zeros(2), 0

    with pytest.raises(TypeError, match="IterableDataset"):
        distil().fit(Stream(), None)


# --- Splits ---


@pytest.mark.parametrize("names", [["no", "yes"], [5, 9], [0, 1]])
def test_a_predefined_split_in_labels(X, y_encoded, names):
    labels = np.array(names)[y_encoded]
    held_out = SkorchDataset(X[:20], labels[:20])
    for valid in (held_out, Subset(held_out, range(5, 20))):
        net = distil(train_split=predefined_split(valid)).fit(X, labels)
        rows = slice(0, 20) if valid is held_out else slice(5, 20)
        expected = net.score(X[rows], labels[rows])
        assert net.history[-1, "valid_acc"] == pytest.approx(expected)
        p = net.predict_proba(X[rows])[np.arange(len(y_encoded[rows])), y_encoded[rows]]
        expected = -np.log(p).mean()
        assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_predefined_split_with_other_classes(X, y):
    split = predefined_split(SkorchDataset(X, np.full(N, "perhaps")))
    with pytest.raises(ValueError, match="outside the known classes: perhaps"):
        distil(train_split=split).fit(X, y)


def test_a_stratified_split_keeps_shares_of_string_labels(net, X, y):
    rare = np.where(np.arange(N) < 6, "yes", "no")
    recorder = Recorder()
    net.set_params(train_split=ValidSplit(3, stratified=True), callbacks=[recorder])
    net.fit(X, rare)
    held_out = [y for _, y, training in recorder.batches if not training]
    assert (held_out[0] == "yes").sum() == 2


def test_groups_reach_the_split(X, y):
    groups = np.arange(N) // 10
    split = ValidSplit(GroupKFold(3))
    recorder = Recorder()

    class Net(DistilledClassifier):
        def infer(self, x, groups=None, **fit_params):
            return super().infer(x, **fit_params)

    net = Net(train_split=split, callbacks=[recorder], max_epochs=1)
    net.fit(X, y, groups=groups)
    assert batch_sizes(net, "valid") == [20]


def test_fit_params_reach_forward(X, y):
    one = distil(module=Scaled).fit(X, y, scale=0.0)
    assert one.history[-1, "train_loss"] == pytest.approx(np.log(2), rel=1e-6)
