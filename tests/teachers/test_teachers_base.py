"""What all teachers do alike: precision, errors of memory, inputs of every layout."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from teacher_cases import X32, by_hand, network, skorch_net, student, y
from torch import nn

from skkd.teachers import as_teacher

CLASSES = [0, 1, 2]
pytestmark = pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")


# Out of memory ----------------------------------------------------------------------

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    MemoryError("Unable to allocate 20.0 GiB for an array"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough me"
                 "mory: you tried to allocate 80000000000 bytes."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
]  # fmt: skip


class Fails(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.linear, self.error = nn.Linear(4, 3), error

    def forward(self, x):
        raise self.error


def fails(error):
    def function(rows):
        raise error

    return function


WRAPS = {
    "module": Fails,
    "skorch": lambda error: _skorch(Fails(error)),
    "callable": fails,
    "ensemble": lambda error: [Fails(error), network()],
    "transform": lambda error: as_teacher(network(), transform=fails(error)),
    "transformed": lambda error: as_teacher(Fails(error), transform=torch.clone),
}


def _skorch(module):
    net = skorch_net(network())
    net.module_ = module
    return net


@pytest.mark.parametrize("kind", WRAPS)
@pytest.mark.parametrize("error", ERRORS, ids=range(len(ERRORS)))
def test_out_of_memory_is_let_through_with_a_remedy(kind, error):
    error = type(error)(*error.args)
    teacher = as_teacher(WRAPS[kind](error))
    with pytest.raises(type(error)) as caught:
        teacher.logits(X32, CLASSES)
    assert caught.value is error
    (note,) = error.__notes__
    assert "ran out of memory" in note
    assert "teacher_logits" in note


@pytest.mark.parametrize("kind", WRAPS)
def test_an_interrupt_is_let_through(kind):
    teacher = as_teacher(WRAPS[kind](KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        teacher.logits(X32, CLASSES)


def test_other_errors_of_a_module_are_about_its_inputs():
    teacher = as_teacher(Fails(RuntimeError("mat1 and mat2 shapes cannot be multipl")))
    with pytest.raises(ValueError, match="does not take X: mat1") as caught:
        teacher.logits(X32, CLASSES)
    assert not hasattr(caught.value, "__notes__")


def test_a_fit_reports_out_of_memory_as_it_is():
    with pytest.raises(torch.OutOfMemoryError, match="20 GiB"):
        student(Fails(torch.OutOfMemoryError("tried 20 GiB"))).fit(X32, y)


# Precision --------------------------------------------------------------------------


class Dtypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(4, 3), set()

    def forward(self, x):
        out = self.linear(x)
        self.seen.add(out.dtype)
        return out


@pytest.mark.parametrize("kind", ["module", "ensemble", "transform", "callable"])
def test_a_teacher_computes_in_its_own_precision(kind):
    module = Dtypes()
    teacher = {
        "module": lambda: module,
        "ensemble": lambda: [module, network()],
        "transform": lambda: as_teacher(lambda rows: rows, transform=module),
        "callable": lambda: lambda rows: module(torch.from_numpy(rows)).detach(),
    }[kind]()
    teacher = as_teacher(teacher)
    plain = teacher.logits(X32, CLASSES)
    with torch.autocast("cpu", torch.bfloat16):
        got = teacher.logits(X32, CLASSES)
        teacher.check_rows(X32)
        assert torch.is_autocast_enabled("cpu")
    assert module.seen == {torch.float32}
    assert np.array_equal(got, plain)


def test_a_live_teacher_of_a_student_in_bf16_computes_in_float32():
    module = Dtypes()
    student(module, augment=torch.clone, precision="bf16").fit(X32, y)
    assert module.seen == {torch.float32}


def test_a_teacher_in_half_precision_stays_in_it():
    module = Dtypes().bfloat16()
    assert as_teacher(module).logits(X32, CLASSES).dtype == np.float32
    assert module.seen == {torch.bfloat16}


# Inputs that torch takes with a warning, or not at all --------------------------------


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def mapped(X, folder):
    path = folder / "X.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


FORMS = {
    "read-only": lambda X, folder: read_only(X),
    "mapped": mapped,
    "reversed": lambda X, folder: np.ascontiguousarray(X[::-1])[::-1],
    "strided": lambda X, folder: np.repeat(X, 2, axis=1)[:, ::2],
    "fortran": lambda X, folder: read_only(np.asfortranarray(X)),
    "frame": lambda X, folder: pd.DataFrame(X, columns=list("abcd")),
}
TAKERS = {
    "module": network,
    "skorch": lambda: skorch_net(network()),
    "callable": lambda: _of_tensors,
    "forest": lambda: RandomForestClassifier(5, random_state=0).fit(X32, y),
    "transform": lambda: as_teacher(network(), transform=_writes),
    "list": lambda: [network(), skorch_net(network())],
}


def _of_tensors(rows):
    rows = rows if isinstance(rows, np.ndarray) else rows.to_numpy(copy=True)
    return torch.from_numpy(rows)[:, :3] * 2


def _writes(rows):
    rows *= 2
    return rows


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TAKERS)
def test_rows_are_read_without_a_warning_and_not_written(kind, form, tmp_path):
    torch.set_warn_always(True)
    rows = FORMS[form](X32, tmp_path)
    teacher = as_teacher(TAKERS[kind]())
    expected = teacher.logits(X32.copy(), CLASSES)
    assert np.array_equal(teacher.logits(rows, CLASSES), expected)
    assert np.array_equal(np.asarray(rows), X32)


@pytest.mark.parametrize("form", ["read-only", "reversed"])
def test_a_live_callable_may_return_what_torch_does_not_take(form, tmp_path):
    torch.set_warn_always(True)

    def teacher(rows):
        return FORMS[form](rows[:, :3], tmp_path)

    student(teacher, augment=torch.clone).fit(X32, y)


# Scores -----------------------------------------------------------------------------


def test_a_teacher_tells_whether_it_gives_scores():
    svc = SVC().fit(X32, y)
    linear = LogisticRegression(max_iter=500).fit(X32, y)
    assert as_teacher(svc).gives_scores
    assert as_teacher(svc, transform=torch.clone).gives_scores
    assert as_teacher([svc, linear]).gives_scores
    assert not as_teacher([svc, linear], weights=[0, 1]).gives_scores
    assert not as_teacher(linear).gives_scores
    # Who declares the output knows what it is.
    assert not as_teacher(svc, output="logits").gives_scores
    assert not as_teacher(network()).gives_scores
    assert not as_teacher(by_hand).gives_scores
