"""Data that lies on the device of the student."""

import numpy as np
import pytest
import torch
from compute_helpers import N, Steady, distil
from estimator_helpers import equal, state
from skorch.dataset import Dataset, ValidSplit
from torch.utils.data import DataLoader, Subset

from skkd._data.batches import TrainingSet, whole_batches
from skkd._data.keys import TEACHER_LOGITS, split_inputs


@pytest.fixture
def rows(X, y, table):
    base = Dataset(X, y)
    beside = {TEACHER_LOGITS: table}
    return TrainingSet(
        base, X=X, y=y, y_encoded=y.astype(np.int64), batch_fields=beside
    )


def batches_of(dataset):
    drawn = DataLoader(
        dataset,
        batch_size=7,
        shuffle=True,
        collate_fn=lambda batch: batch,
        generator=torch.Generator().manual_seed(3),
    )
    return [*drawn]


def assert_same(one, other):
    for (a, y_encoded), (b, other_codes) in zip(one, other, strict=True):
        assert torch.equal(y_encoded, other_codes)
        assert y_encoded.dtype == other_codes.dtype == torch.int64
        (inputs, beside), (others, besides) = split_inputs(a), split_inputs(b)
        assert torch.equal(inputs, others)
        assert inputs.dtype == others.dtype
        assert beside.keys() == besides.keys()
        for key, value in beside.items():
            assert torch.equal(value, besides[key])


def test_data_on_the_device_gives_the_same_batches(rows, monkeypatch):
    stays = whole_batches(rows)
    assert not stays.is_resident
    monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
    moved = whole_batches(rows, "cpu")
    assert moved.is_resident
    assert moved.dataset is not rows
    assert_same(batches_of(moved), batches_of(stays))
    part = Subset(Subset(rows, range(5, 40)), range(0, 30, 2))
    monkeypatch.undo()
    there = whole_batches(part)
    monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
    assert_same(batches_of(whole_batches(part, "cpu")), batches_of(there))


# Random logits show where rows went.
@pytest.mark.filterwarnings(r"ignore:\[chance-level\]:skkd.TeacherWarning")
def test_a_fit_on_data_on_the_device_is_the_same(X, y, table, monkeypatch):
    def fit():
        net = distil(unlabeled=2, batch_size=10, train_split=ValidSplit(3))
        weight = np.arange(N) + 1.0
        return net.fit(X, y, teacher_logits=table[:, :2], sample_weight=weight)

    y = np.where(np.arange(N) % 5 == 0, 2, y % 2)
    stayed = fit()
    monkeypatch.setattr("skkd._data.batches._has_room", lambda device, base: True)
    assert equal(state(stayed), state(fit()))


# Its teacher is random and sure.
@pytest.mark.filterwarnings(r"ignore:\[(saturated|one-sided)\]:skkd.TeacherWarning")
def test_read_only_arrays_move_without_a_warning(X, y, table):
    for values in (X, X[::-1], X.astype(np.uint8)):
        shown = values.view()
        shown.setflags(write=False)
        y_encoded = y.astype(np.int64)
        y_encoded.setflags(write=False)
        said = table.view()
        said.setflags(write=False)
        rows = TrainingSet(
            Dataset(shown, y_encoded),
            X=shown,
            y=y_encoded,
            y_encoded=y_encoded.copy(),
            batch_fields={TEACHER_LOGITS: said},
        )
        moved = rows.to("cpu")
        np.testing.assert_array_equal(moved.arrays().numpy(), values)
        assert moved.arrays().dtype == torch.as_tensor(values.copy()).dtype
        distil(max_epochs=1, teacher=Steady()).fit(shown, y_encoded)


def test_mappings_move_key_by_key(X, y):
    parts = {"a": X[:, :1], "b": X[:, 1:]}
    rows = TrainingSet(Dataset(parts, y), X=parts, y=y, y_encoded=y.astype(np.int64))
    moved = rows.to("cpu").arrays()
    assert moved.keys() == parts.keys()
    np.testing.assert_array_equal(moved["b"].numpy(), parts["b"])
