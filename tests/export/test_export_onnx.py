"""A student as an ONNX file: answers, metadata, bytes."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from export_helpers import open_file, student
from sklearn.exceptions import NotFittedError
from torch import nn

from skkd import DistilledClassifier
from skkd._formats.onnx_metadata import Input
from skkd.export import export_onnx
from skkd.students import CifarResNet, torchvision_model

rng = np.random.default_rng(0)
N = 24
IMAGES = rng.integers(0, 256, (N, 3, 9, 8), dtype=np.uint8)
TABLE = rng.normal(size=(N, 5)).astype("float32")
NAMES = np.array(["a", "bb", "c"])[np.arange(N) % 3]


def fit(X, y, module=None, **params):
    return student(module, **params).fit(X, y)


class UserModule(nn.Module):
    """Reads uint8 images itself, and gives a second output."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.features = nn.Linear(int(np.prod(input_shape)), 8)
        self.head = nn.Sequential(
            nn.LayerNorm(8), nn.Dropout(), nn.Linear(8, n_classes)
        )

    def forward(self, x):
        features = self.features(x.flatten(1) / 255)
        return self.head(features), features


class TwoInputs(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.table = nn.Linear(5, n_classes)
        self.code = nn.Embedding(4, n_classes)

    def forward(self, table, code):
        return self.table(table) + self.code(code)


def half(n_classes, input_shape):
    return nn.Linear(*input_shape, n_classes, dtype=torch.bfloat16)


SOFTMAX = nn.Sequential(nn.Linear(5, 3), nn.Softmax(1))
MOBILENET = partial(torchvision_model, "mobilenet_v3_small")
slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def images_file(tmp_path_factory):
    """A student of images with names for classes, and its file."""
    student = fit(IMAGES, NAMES, partial(CifarResNet, depth=8, width=4))
    path = tmp_path_factory.mktemp("export") / "student.onnx"
    proof = export_onnx(student, path, X_calibration=IMAGES)
    return student, path, proof


def test_the_file_answers_as_the_student_whatever_the_size_of_a_batch(images_file):
    student, path, proof = images_file
    session, meta = open_file(path)
    for n in (1, 5, N):
        label, p = session.run(None, {"X": IMAGES[:n]})
        np.testing.assert_allclose(p, student.predict_proba(IMAGES[:n]), atol=1e-5)
        assert (label == student.predict(IMAGES[:n])).all()
    assert (proof.n_samples, proof.samples) == (N, "calibration")
    assert proof.max_difference < 1e-5
    assert proof.label_agreement == meta.proof.label_agreement == 1
    assert meta.proof.max_difference == pytest.approx(1e-6, abs=1e-5)


def test_the_file_says_what_it_is(images_file):
    student, path, _ = images_file
    session, meta = open_file(path)
    assert meta.classes.tolist() == ["a", "bb", "c"]
    assert meta.classes.dtype == student.classes_.dtype
    assert meta.inputs == (Input("X", "uint8", (3, 9, 8)),)
    assert (meta.kind, meta.n_features_in, meta.image) == ("array", 3, None)
    assert meta.student["module"] == "CifarResNet"
    assert meta.training["teacher"] is None
    assert {"skkd", "torch", "onnx"} <= meta.versions.keys()
    outputs = [(o.name, o.type, o.shape) for o in session.get_outputs()]
    assert outputs == [
        ("label", "tensor(string)", ["n"]),
        ("probabilities", "tensor(float)", ["n", 3]),
    ]


def test_there_is_one_file_and_nothing_of_the_machine_in_it(images_file):
    _, path, _ = images_file
    assert [p.name for p in path.parent.iterdir()] == ["student.onnx"]
    content = path.read_bytes()
    for trace in (str(Path(__file__).parents[2]), sys.prefix, str(path.parent), ".py"):
        assert trace.encode() not in content


EXPORT_ELSEWHERE = """
import os, pickle, sys
os.chdir(sys.argv[2])
import torch
torch.set_num_threads(2)
from skkd.export import export_onnx
student, X = pickle.loads(sys.stdin.buffer.read())
export_onnx(student, "other.onnx", X_calibration=X)
"""


@pytest.mark.slow
def test_another_process_in_another_folder_writes_the_same_bytes(images_file, tmp_path):
    import pickle

    student, path, _ = images_file
    command = [sys.executable, "-c", EXPORT_ELSEWHERE, "-", str(tmp_path)]
    content = pickle.dumps((student, IMAGES))
    root = str(Path(__file__).parents[2])
    env = {"PYTHONPATH": root, "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    subprocess.run(command, input=content, env=env, check=True)
    assert (tmp_path / "other.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("X", "y", "module", "params", "expected"),
    [
        slow(TABLE, NAMES == "a", None, {}, "float32"),
        (TABLE.astype("float64"), np.arange(N) % 2, None, {}, "float64"),
        slow(np.rint(9 * TABLE).astype(int), NAMES, None, {}, "float32"),
        slow(IMAGES, NAMES, None, {}, "uint8"),
        (IMAGES, NAMES, UserModule, {}, "uint8"),
        slow(TABLE, NAMES, half, {}, "float32"),
        slow(TABLE, NAMES, None, {"precision": "bf16"}, "float32"),
        slow(TABLE, NAMES, SOFTMAX, {"criterion": nn.NLLLoss}, "float32"),
        slow(IMAGES, NAMES, MOBILENET, {}, "uint8"),
    ],
    ids=["bool", "float64", "int", "cnn", "user", "half", "bf16", "nll", "torchvision"],
)
def test_students_of_all_kinds(X, y, module, params, expected, tmp_path):
    student = fit(X, y, module, **params)
    path = tmp_path / "student.onnx"
    proof = export_onnx(student, path)
    assert proof.samples == "synthetic"
    assert proof.max_difference < 5e-5
    session, meta = open_file(path)
    assert meta.inputs[0].dtype == expected
    label, p = session.run(None, {"X": X.astype(expected)})
    is_half = "half" in str(module) or params.get("precision") == "bf16"
    tolerance = 3e-2 if is_half else 5e-5
    np.testing.assert_allclose(p, student.predict_proba(X), atol=tolerance)
    assert (label == meta.classes[p.argmax(1)]).all()


def test_a_student_of_several_inputs(tmp_path):
    X = {"table": TABLE, "code": np.arange(N) % 4}
    student = fit(X, NAMES, TwoInputs)
    with pytest.raises(ValueError, match="Pass a few hundred training samples"):
        export_onnx(student, tmp_path / "student.onnx")
    export_onnx(student, tmp_path / "student.onnx", X_calibration=X)
    session, meta = open_file(tmp_path / "student.onnx")
    assert meta.kind == "mapping"
    assert meta.inputs == (Input("table", "float32", (5,)), Input("code", "int64", ()))
    p = session.run(["probabilities"], X)[0]
    np.testing.assert_allclose(p, student.predict_proba(X), atol=1e-5)


# What is refused ----------------------------------------------------------------------


def test_a_student_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotFittedError, match="call fit first"):
        export_onnx(DistilledClassifier(), tmp_path / "student.onnx")


def test_what_is_no_student_is_refused(tmp_path):
    from sklearn.linear_model import LogisticRegression

    teacher = LogisticRegression().fit(TABLE, NAMES)
    with pytest.raises(TypeError, match="expected a fitted DistilledClassifier"):
        export_onnx(teacher, tmp_path / "student.onnx")


def test_an_impossible_tolerance_leaves_the_old_file(images_file, tmp_path):
    student = images_file[0]
    path = tmp_path / "student.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"more than tolerance=0.*nothing was written"):
        export_onnx(student, path, tolerance=0)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


class DependsOnValues(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(*input_shape, n_classes)

    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else self.linear(-x)


def test_a_student_that_onnx_cannot_express_is_refused(tmp_path):
    student = fit(TABLE, NAMES, DependsOnValues)
    with pytest.raises(
        ValueError, match=r"DependsOnValues.* cannot be written as ONNX"
    ):
        export_onnx(student, tmp_path / "student.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "student.bin"}, "ends in .onnx"),
        ({"path": "nowhere/student.onnx"}, "no folder"),
        ({"tolerance": -1}, "tolerance=-1: expected"),
        ({"opset": 7}, "opset=7: expected"),
        ({"X_calibration": TABLE}, "expected .*3, 9, 8"),
        ({"X_calibration": IMAGES[:, :, :4]}, "expected .*3, 9, 8"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, images_file, tmp_path):
    arguments = {"path": "student.onnx", **arguments}
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises((ValueError, OSError), match=message):
        export_onnx(images_file[0], **arguments)
    assert not [*tmp_path.iterdir()]
