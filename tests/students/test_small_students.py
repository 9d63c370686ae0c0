"""MLP, SmallCNN and default_student."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
from student_cases import STUDENTS, images, rows

import skkd
from skkd.students import MLP, SmallCNN, default_student


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_mlp_parameter_counts():
    assert n_parameters(MLP(10, (1, 28, 28))) == 101_770
    assert n_parameters(MLP(3, (4,), hidden=())) == 3 * 4 + 3
    assert n_parameters(MLP(3, (4,), hidden=(5, 6))) == 25 + 36 + 21
    assert n_parameters(MLP(3, (4,), hidden=5)) == n_parameters(MLP(3, (4,), (5,)))


def test_linear_mlp_by_value():
    student = MLP(2, (3,), hidden=()).double()
    x = images(4, (3,))
    student.standardize.adapt([(x, None)])
    mean, std = oracles.moments(x.numpy())
    w, b = (p.detach().numpy() for p in student.head.parameters())
    expected = (x.numpy() - mean) / std @ w.T + b
    np.testing.assert_allclose(student(x).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [1, 2, 10])
@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_shapes(cls, shape, n_classes):
    logits = cls(n_classes, shape)(images(3, shape))
    assert logits.shape == (3, n_classes)
    assert logits.dtype == torch.float32


def test_small_cnn_parameter_counts():
    def count(width):
        return n_parameters(SmallCNN(10, (3, 32, 32), width=width))

    assert (count(4), count(16), count(64)) == (4_854, 72_954, 1_148_874)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4), (3, 2, 9), (4, 17, 5)])
def test_small_cnn_takes_any_size(shape):
    assert SmallCNN(2, shape, width=2)(images(3, shape)).shape == (3, 2)


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_uint8_equals_float(cls, shape):
    student, x = cls(3, shape).eval(), images(5, shape)
    student.standardize.adapt([(x, None)])
    assert torch.equal(student(x), student(x.float()))
    assert torch.equal(student(x), student(x.double()))


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_the_units_of_the_input_do_not_matter(cls, shape):
    student, x = cls(3, shape).eval().double(), images(5, shape)
    student.standardize.adapt([(x, None)])
    expected = student(x)
    moved = x.double() * 1000 - 7
    student.standardize.adapt([(moved, None)])
    torch.testing.assert_close(student(moved), expected)


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_rows_are_independent_in_eval_mode(cls, shape):
    student, x = cls(3, shape, dropout=0.5).eval(), images(5, shape)
    student.standardize.adapt([(x, None)])
    other = x.clone()
    other[1:] = images(4, shape, seed=1)
    assert torch.equal(student(x)[0], student(other)[0])
    assert not torch.equal(student(x)[1], student(other)[1])


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_gradient_reaches_all_parameters(cls, shape):
    student, x = cls(3, shape), images(8, shape)
    student.standardize.adapt([(x, None)])
    target = torch.arange(8) % 3
    torch.nn.functional.cross_entropy(student(x), target).backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_dropout_is_random_in_training_only(cls, shape):
    x = images(8, shape)
    student = cls(3, shape, dropout=0.5)
    assert not torch.equal(student(x), student(x))
    assert torch.equal(student.eval()(x), student(x))
    plain = cls(3, shape)
    assert not any(isinstance(m, torch.nn.Dropout) for m in plain.modules())


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_round_trips(cls, shape):
    x = images(5, shape)
    student = cls(3, shape).eval()
    student.standardize.adapt([(x, None)])
    buffer = io.BytesIO()
    torch.save(student.state_dict(), buffer)
    buffer.seek(0)
    loaded = cls(3, shape).eval()
    assert not loaded.standardize.adapted
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    twins = [copy.deepcopy(student), pickle.loads(pickle.dumps(student)), loaded]
    for twin in twins:
        assert twin.standardize.adapted
        assert torch.equal(twin(x), student(x))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    ("cls", "shape"), [(MLP, (7,)), (MLP, (3, 8, 8)), (SmallCNN, (3, 9, 8))]
)
def test_export_with_a_free_batch(cls, shape, dtype):
    x = images(4, shape).to(dtype)
    student = cls(3, shape).eval()
    student.standardize.adapt([(x, None)])
    n = torch.export.Dim("n")
    program = torch.export.export(student, (x,), dynamic_shapes=({0: n},))
    more = images(9, shape, seed=1).to(dtype)
    torch.testing.assert_close(program.module()(more), student(more))


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (MLP, {"n_classes": 0}, "n_classes=0: expected an int of at least 1"),
        (MLP, {"n_classes": 2.0}, "n_classes=2.0"),
        (MLP, {"hidden": 0}, "hidden=0: expected"),
        (MLP, {"hidden": (8, -1)}, r"hidden=\(8, -1\)"),
        (MLP, {"hidden": None}, "hidden=None"),
        (MLP, {"dropout": 1.0}, r"dropout=1.0: expected a finite number in \[0, 1\)"),
        (MLP, {"dropout": -0.1}, "dropout=-0.1"),
        (MLP, {"input_shape": ()}, r"input_shape=\(\): expected a tuple"),
        (MLP, {"input_shape": 7}, "input_shape=7: expected a tuple"),
        (MLP, {"input_shape": (0,)}, "expected a tuple of positive ints"),
        (SmallCNN, {"width": 0}, "width=0: expected an int of at least 1"),
        (SmallCNN, {"n_classes": -1}, "n_classes=-1"),
        (SmallCNN, {"dropout": 2}, "dropout=2"),
        (SmallCNN, {"input_shape": (7,)}, r"input_shape=\(7,\): expected \(C, H, W\)"),
    ],
)
def test_arguments_are_checked(cls, arguments, message):
    arguments = {"n_classes": 2, "input_shape": (1, 8, 8), **arguments}
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


def test_numpy_arguments_are_taken():
    student = MLP(np.int64(3), np.zeros((5, 4)).shape[1:], hidden=np.array([8, 8]))
    assert n_parameters(student) == 40 + 72 + 27


def test_default_student():
    assert default_student((20,)) is MLP
    assert default_student((3, 32, 32)) is SmallCNN


@pytest.mark.parametrize("shape", [(), (28, 28), (1, 2, 3, 4)])
def test_default_student_rejects_other_ranks(shape):
    with pytest.raises(ValueError, match=r"expected \(n, n_features\) or \(n, C, H, W"):
        default_student(shape)


@pytest.mark.parametrize(("cls", "shape"), [(MLP, (4,)), (SmallCNN, (3, 8, 8))])
def test_the_parts_run_one_after_the_other(cls, shape):
    student = cls(3, shape, dropout=0.5).eval()
    assert [name for name, _ in student.named_children()] == [
        *("standardize", "body", "head")
    ]
    x = torch.tensor(rows(5, shape))
    expected = student.head(student.body(student.standardize(x)))
    torch.testing.assert_close(student(x), expected)


def test_students_need_no_torchvision():
    """Nor skorch, apart from what `import skkd` itself needs."""
    script = f"""if True:
        import sys, types
        sys.modules["skkd"] = types.ModuleType("skkd")
        sys.modules["skkd"].__path__ = [{str(Path(skkd.__file__).parent)!r}]
        from skkd.students import MLP, torchvision_model
        MLP(3, (4,))
        print(*{{"torchvision", "skorch", "sklearn"}} & sys.modules.keys())
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
