"""Tables become arrays of numbers, or an error that names a column."""

import numpy as np
import pandas as pd
import pytest
import torch
from frames import FRAMES, as_frame
from sklearn.linear_model import LogisticRegression
from torch import nn

from skkd import DistilledClassifier
from skkd._data.frames import to_numbers
from skkd.report import gain
from skkd.tables import TablePreprocessor
from skkd.teachers import as_teacher

NUMBERS = {
    "float": [0.5, 1.5],
    "Int64": pd.array([1, 2], dtype="Int64"),
    "Float32": pd.array([1.5, 2.5], dtype="Float32"),
    "bool": [True, False],
    "boolean": pd.array([True, False], dtype="boolean"),
    "category": pd.Categorical([3, 1]),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("other", ["float", "Int64", "boolean"])
def test_nullable_columns_are_the_numbers_that_they_hold(name, other):
    frame = pd.DataFrame({"a": NUMBERS[name], "b": NUMBERS[other]})
    got = to_numbers(frame, "X")
    assert got.dtype.kind in "biuf"
    np.testing.assert_array_equal(got[:, 0], np.asarray(NUMBERS[name], dtype=float))
    np.testing.assert_array_equal(got[:, 1], np.asarray(NUMBERS[other], dtype=float))


@pytest.mark.parametrize(
    "dtype", ["double[pyarrow]", "int64[pyarrow]", "bool[pyarrow]"]
)
def test_arrow_columns_are_the_numbers_that_they_hold(dtype):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [0, 1], "b": [1.5, 2.5]}).astype({"a": dtype})
    np.testing.assert_array_equal(to_numbers(frame, "X"), [[0, 1.5], [1, 2.5]])


BAD = {
    "text": (["x", "y"], "expected numbers. Encode it"),
    "digits as text": (["1", "2"], "expected numbers. Encode it"),
    "category": (pd.Categorical(["x", "y"]), "expected numbers. Encode it"),
    "date": (pd.to_datetime(["2020-01-01"] * 2), "expected numbers. Encode it"),
    "missing": (pd.array([1, None], dtype="Int64"), "has missing values"),
    "none": (pd.Series([True, None], dtype=object), "expected numbers. Fill in"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_number_is_named(name):
    column, message = BAD[name]
    frame = pd.DataFrame({"good": [1.0, 2.0], "bad": column})
    with pytest.raises(ValueError, match=f"'bad'.*{message}"):
        to_numbers(frame, "X")
    with pytest.raises(ValueError, match="'bad'"):
        as_teacher(nn.Linear(2, 2)).logits(frame, [0, 1])
    if name != "digits as text":  # which scikit-learn reads as numbers
        with pytest.raises(ValueError, match=r"(?s)'bad'.*preprocessor='auto'"):
            student_of_numbers(["good", "bad"]).predict(frame)


def student_of_numbers(names):
    frame = pd.DataFrame(np.eye(2), columns=names)
    return DistilledClassifier(max_epochs=1).fit(frame, [0, 1])


@pytest.mark.parametrize("kind", FRAMES)
def test_missing_values_are_named_by_their_column(kind):
    frame = as_frame(kind, pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, 1.0]}))
    with pytest.raises(ValueError, match=r"column 'b'.* missing values"):
        student_of_numbers(["a", "b"]).predict(frame)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "int64", "bool"])
def test_torch_teachers_take_whole_numbers(dtype):
    frame = pd.DataFrame({"a": [0, 1], "b": [1, 1]}).astype(dtype)
    network = nn.Linear(2, 2)
    expected = network(torch.tensor([[0.0, 1.0], [1.0, 1.0]])).detach()
    got = as_teacher(network).logits(frame, [0, 1])
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-6)


def test_torch_teachers_of_indices_get_these():
    frame = pd.DataFrame({"a": [0, 1]}, dtype="Int64")
    network = nn.Sequential(nn.Embedding(2, 3), nn.Flatten())
    got = as_teacher(network).logits(frame, [0, 1, 2])
    np.testing.assert_array_equal(got, network[0].weight.detach().numpy())


def test_torch_teachers_do_not_take_bytes_for_floats():
    with pytest.raises(ValueError, match="does not take X"):
        as_teacher(nn.Linear(2, 2)).logits(np.ones((3, 2), np.uint8), [0, 1])


def test_lazy_frames_are_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"X\.collect\(\)"):
        DistilledClassifier().fit(polars.LazyFrame({"a": [1.0, 2.0]}), [0, 1])


def test_lazy_frames_are_refused_after_a_fit():
    polars = pytest.importorskip("polars")
    lazy = polars.LazyFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    net = DistilledClassifier(max_epochs=1, device="cpu").fit(lazy.collect(), [0, 1])
    for refused in (
        lambda: net.predict(lazy),
        lambda: DistilledClassifier(preprocessor="auto").fit(lazy, [0, 1]),
        lambda: TablePreprocessor().fit(lazy),
    ):
        with pytest.raises(TypeError, match=r"X\.collect\(\)"):
            refused()


@pytest.mark.parametrize("name", ["collect", "column_names", "base"])
def test_columns_with_names_of_attributes(name):
    frame = pd.DataFrame({name: [0.0, 1.0], "b": [1.0, 1.0]})
    for table in (frame, frame.assign(b=["x", "y"])):
        net = DistilledClassifier(max_epochs=1, random_state=0, device="cpu")
        got = net.fit(table, [0, 1]).predict_proba(table)
        other = net.fit(table.rename(columns={name: "a"}), [0, 1])
        expected = other.predict_proba(table.rename(columns={name: "a"}))
        np.testing.assert_array_equal(got, expected)


def test_a_query_that_was_not_run():
    lazy = pytest.importorskip("polars").LazyFrame({"a": [0.0, 1.0] * 20})
    X, y = np.arange(40.0)[:, None], np.arange(40) % 2
    teacher = LogisticRegression().fit(X, y)
    net = DistilledClassifier(teacher=teacher, max_epochs=1)
    with pytest.raises(TypeError, match=r"teacher_X is a LazyFrame.*teacher_X.coll"):
        net.fit(X, y, teacher_X=lazy)
    net.fit(X, y)
    for call in [net.fit, net.score, lambda lazy, y: gain(net, lazy, y, cv=2)]:
        with pytest.raises(TypeError, match=r"X is a LazyFrame.*X.collect\(\)"):
            call(lazy, y)
    with pytest.raises(TypeError, match="X is a LazyFrame"):
        net.predict(lazy)
