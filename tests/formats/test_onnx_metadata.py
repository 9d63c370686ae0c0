import json
import subprocess
import sys

import numpy as np
import pytest

from skkd._formats.classes import classes_from_json, classes_to_json
from skkd._formats.onnx_metadata import (
    ImageReading,
    Input,
    OnnxMetadata,
    Proof,
    read_metadata,
)

WRITTEN = OnnxMetadata(
    classes=np.array(["clean", "dirty"]),
    inputs=(Input("X", "uint8", (3, 8, 9)),),
    n_features_in=3,
    image=ImageReading((8, 9), "RGB", (0.0, 4095.0)),
    steps=("imagereader", "distilledclassifier"),
    training={"teacher": None, "temperature": 1.0},
    proof=Proof(10, "synthetic", 2.3e-4, 1.0, 1e-3),
    versions={"skkd": "0"},
)


def read(content):
    return read_metadata({"skkd": content}, "student.onnx")


def test_what_is_read_is_what_was_written():
    found = read(WRITTEN.to_json())
    assert (found.classes == WRITTEN.classes).all()
    one, other = ({**vars(m), "classes": 0, "proof": 0} for m in (found, WRITTEN))
    assert one == other
    assert found.to_json() == WRITTEN.to_json()


@pytest.mark.parametrize(
    ("difference", "written"),
    [(0.0, 1e-6), (9e-8, 1e-6), (1e-4, 1e-4), (2.3e-4, 3e-4), (0.99, 1.0), (0.13, 0.2)],
)
def test_the_difference_is_rounded_up_to_one_digit(difference, written):
    proof = Proof(10, "synthetic", difference, 1.0, 1e-3)
    meta = OnnxMetadata(WRITTEN.classes, WRITTEN.inputs, proof=proof)
    assert read(meta.to_json()).proof.max_difference == written


@pytest.mark.parametrize(
    "classes",
    [
        np.array([3, 5]),
        np.array([3, 5], np.uint8),
        np.array([2**63], np.uint64),
        np.array([0.1, 0.2]),
        np.array([0.1], np.float32),
        np.array([False, True]),
        np.array(["ä", "longer"]),
        np.array(["a", "b"], ">U1"),
        np.array(["a", 1, True], object),
    ],
)
def test_labels_keep_their_type(classes):
    found = classes_from_json(json.loads(json.dumps(classes_to_json(classes))))
    assert found.dtype == classes.dtype.newbyteorder("=")
    assert found.tolist() == classes.tolist()
    assert [*map(type, found.tolist())] == [*map(type, classes.tolist())]


@pytest.mark.parametrize("classes", [np.array([b"a"]), np.array(["2020"], "M8[Y]")])
def test_labels_of_other_types_are_refused(classes):
    with pytest.raises(ValueError, match="strings, numbers and bools"):
        classes_to_json(classes)


@pytest.mark.parametrize(
    "content",
    [
        {"dtype": "int64", "values": ["3"]},
        {"dtype": "int8", "values": [300]},
        {"dtype": "<U1", "values": ["long"]},
        {"dtype": "<U999999999", "values": ["a"] * 1000},
        {"dtype": "int64", "values": [[1]]},
        {"dtype": "V8", "values": [1]},
        {"dtype": 3, "values": []},
        [],
    ],
)
def test_labels_that_do_not_fit_their_type_are_refused(content):
    with pytest.raises(ValueError, match="class"):
        classes_from_json(content)


def test_a_file_of_somebody_else_is_refused():
    with pytest.raises(ValueError, match="not of a student of skkd"):
        read_metadata({}, "student.onnx")


def test_a_file_of_a_later_version_is_refused():
    text = WRITTEN.to_json().replace('"format":1', '"format":2')
    with pytest.raises(ValueError, match="format 2, expected 1"):
        read(text)


def test_damaged_metadata_are_refused():
    text, rng = WRITTEN.to_json(), np.random.default_rng(0)
    for _ in range(300):
        start = rng.integers(len(text))
        cut = text[:start] + text[start + rng.integers(1, 30) :]
        try:
            read(cut)
        except ValueError as error:
            assert str(error).startswith("student.onnx ")


def test_it_needs_numpy_alone():
    code = (
        "import sys, skkd._formats.onnx_metadata as m; "
        "print(sorted({'torch', 'sklearn', 'skorch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"
