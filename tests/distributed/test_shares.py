"""What can be seen of a fit over several processes in one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    LRScheduler,
    PrintLog,
    TensorBoard,
)
from skorch.hf import AccelerateMixin
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("accelerate")

from accelerate import Accelerator

from skkd import (
    AcceleratedClassifier,
    DistilledClassifier,
    load_student,
    save_student,
)
from skkd._estimator.distributed.callbacks import writes
from skkd._estimator.distributed.checks import check_accelerator
from skkd._estimator.distributed.shares import Share, SharedBatches

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")


@given(st.integers(1, 50), st.integers(1, 8))
def test_shares_are_the_batch_in_order_and_differ_by_a_row_at_most(n_rows, n):
    shares = [Share(n_rows, rank, n) for rank in range(n)]
    rows = [list(range(n_rows))[s.rows][: s.size] for s in shares]
    assert [i for part in rows for i in part] == list(range(n_rows))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
    assert all(len(range(n_rows)[s.rows]) == max(s.size, 1) for s in shares)


@pytest.mark.parametrize("n_workers", [0, 1])
def test_all_processes_take_one_loader_apart(n_workers):
    data = TensorDataset(torch.arange(11))
    seen, sizes = [], []
    for rank in range(2):
        torch.manual_seed(0)
        loader = DataLoader(data, batch_size=3, shuffle=True, num_workers=n_workers)
        batches = SharedBatches(loader, rank, 2)
        assert len(batches) == 4
        own = [(batches.share, batch[0].tolist()) for batch in batches]
        sizes.append([share.n_rows for share, _ in own])
        seen.append([rows[: share.size] for share, rows in own])
    torch.manual_seed(0)
    whole = [b[0].tolist() for b in DataLoader(data, batch_size=3, shuffle=True)]
    assert [a + b for a, b in zip(*seen, strict=True)] == whole
    assert sizes[0] == sizes[1] == [3, 3, 3, 2]
    assert batches.share is None


def test_one_process_fits_as_without_an_accelerator():
    params = dict(max_epochs=2, random_state=0)
    one = DistilledClassifier(**params).fit(X, Y)
    other = AcceleratedClassifier(accelerator=Accelerator(cpu=True), **params).fit(X, Y)
    none = AcceleratedClassifier(**params).fit(X, Y)
    for net in (other, none):
        np.testing.assert_array_equal(net.predict_proba(X), one.predict_proba(X))


def test_the_same_student_in_one_process(tmp_path):
    params = dict(max_epochs=1, random_state=0)
    net = AcceleratedClassifier(accelerator=Accelerator(cpu=True), **params).fit(X, Y)
    alone = net.in_one_process()
    assert type(alone) is DistilledClassifier
    assert alone.module_ is net.module_
    save_student(net, tmp_path / "student.safetensors")
    again = load_student(tmp_path / "student.safetensors")
    for one in (alone, again):
        np.testing.assert_array_equal(one.predict_proba(X), net.predict_proba(X))


def test_clones_and_parameters():
    accelerator = Accelerator(cpu=True)
    net = AcceleratedClassifier(accelerator=accelerator, lr=0.1, teacher_cv=None)
    twin = clone(net)
    assert twin.accelerator is accelerator
    assert twin.get_params()["lr"] == 0.1
    assert twin.set_params(accelerator=None).accelerator is None
    assert net.device == "cpu"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "2"}, "asks for 2 processes.*torchrun"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "0"}, r"Accelerator\(cpu=True\)"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "asks for 4 processes"),
        (
            {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"},
            "has started one",
        ),
    ],
)
def test_fewer_processes_than_were_asked_for(monkeypatch, variables, words):
    accelerator = Accelerator(cpu=True)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    net = AcceleratedClassifier(accelerator=accelerator)
    with pytest.raises(RuntimeError, match=words):
        net.fit(X, Y)
    assert not net.initialized_


def test_accelerate_launch_of_one_process_is_what_it_says(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    check_accelerator(Accelerator(cpu=True))


def test_other_objects_are_no_accelerators():
    with pytest.raises(TypeError, match=r"accelerate\.Accelerator"):
        AcceleratedClassifier(accelerator="cpu").fit(X, Y)


def test_gradients_are_not_accumulated():
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="gradient_accumulation_steps=2"):
        AcceleratedClassifier(accelerator=accelerator).fit(X, Y)


def test_the_mixin_of_skorch_is_refused():
    with pytest.raises(TypeError, match="AcceleratedClassifier"):
        type("Net", (AccelerateMixin, DistilledClassifier), {})


def test_which_callbacks_write():
    class Own(EpochTimer):
        pass

    class Writing(EpochTimer):
        main_process_only = True

    assert writes(Checkpoint()) and writes(PrintLog()) and writes(TensorBoard(None))
    assert writes(Writing())
    assert not any(map(writes, [EpochTimer(), Own(), EarlyStopping(), LRScheduler()]))
