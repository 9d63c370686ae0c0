"""OnnxClassifier: what it takes, what it refuses, and that scikit-learn knows it."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted
from student_files import CLASSES, expected_proba, write, write_images, write_table

from skkd import DistilledClassifier
from skkd._formats.onnx_metadata import Input
from skkd.runtime import OnnxClassifier
from skkd.teachers import as_teacher

X = np.random.default_rng(1).normal(size=(90, 4)).astype("float32")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.onnx"


@pytest.fixture
def student(path):
    return OnnxClassifier(write_table(path), n_threads=1)


def test_probabilities_and_labels(student):
    expected = expected_proba(X)
    np.testing.assert_allclose(student.predict_proba(X), expected, atol=1e-6)
    labels = student.predict(X)
    assert labels.dtype == CLASSES.dtype
    assert labels.tolist() == CLASSES[expected.argmax(axis=1)].tolist()
    assert student.classes_.tolist() == CLASSES.tolist()
    assert student.n_features_in_ == 4
    assert not hasattr(student, "feature_names_in_")
    assert student.score(X, labels) == 1.0
    some = np.where(np.arange(90) < 30, labels, "dog")
    weight = np.where(np.arange(90) < 30, 3, 1)
    assert student.score(X, some, weight) == 0.6


def test_many_rows_are_predicted_in_parts(student, monkeypatch):
    whole = student.predict_proba(X)
    monkeypatch.setattr(student._file, "batch_size", 7)
    np.testing.assert_array_equal(student.predict_proba(X), whole)


@pytest.mark.parametrize(
    "same",
    [
        X.astype("float64"),
        X.astype("float64").tolist(),
        csr_array(X),
        X[:, ::-1][:, ::-1],
    ],
    ids=["float64", "lists", "sparse", "view"],
)
def test_the_same_numbers_in_another_form(student, same):
    np.testing.assert_array_equal(student.predict_proba(same), student.predict_proba(X))


def test_whole_numbers_are_taken_for_floats_and_the_reverse(student, path):
    whole = np.arange(12).reshape(3, 4)
    floats = student.predict_proba(whole.astype("float32"))
    np.testing.assert_array_equal(student.predict_proba(whole), floats)
    counts = OnnxClassifier(write(path, [Input("X", "int64", (4,))]))
    np.testing.assert_array_equal(counts.predict_proba(whole * 1.0), floats)
    with pytest.raises(ValueError, match="expected int64"):
        counts.predict(whole + 0.5)


@pytest.mark.parametrize(
    "wrong, told",
    [
        (X[:, :3], r"shape \(90, 3\); expected \(n, 4\)"),
        (X[0], r"For one sample pass X\[None\]"),
        (X[:0], "expected one or more"),
        (np.float32(3), "expected"),
        (X.astype(str), "paths, texts or bytes"),
        (X + 1j, "not of numbers"),
        (np.where(X > 2, np.nan, X), "has NaN, infinity"),
        (np.where(X > 2, np.inf, X), "first in row"),
        (X.astype("float64") * 1e39, "has NaN, infinity"),
        (["cat.jpg", "dog.jpg"], "export the pipeline with its ImageReader"),
        ("cat.jpg", "a single str; pass a list"),
    ],
    ids=range(11),
)
def test_what_is_no_such_table_is_refused(student, wrong, told):
    with pytest.raises(ValueError, match=told):
        student.predict(wrong)


def test_gaps_may_be_filled_before_the_student_but_never_reach_the_answer(path):
    rows = np.array([[0, 1, 2, 3], [0, np.nan, 2, 3]])
    for gaps in ((1,), None):
        student = OnnxClassifier(write_table(path, gaps=gaps))
        with pytest.raises(ValueError, match="probabilities of row 1 are NaN"):
            student.predict(rows)
        with pytest.raises(ValueError, match="first in row 0"):
            student.predict(np.where(np.isnan(rows), np.inf, rows)[::-1])
    student = OnnxClassifier(write_table(path, gaps=(0, 2, 3)))
    with pytest.raises(ValueError, match="first in row 1"):
        student.predict(rows)
    inputs = [Input("a", "float32", (1,)), Input("b", "float32", (1,))]
    student = OnnxClassifier(write(path, inputs, kind="columns", gaps=(0,)))
    with pytest.raises(ValueError, match="first in row 1"):
        student.predict(rows[:, :2])


def test_names_of_columns(path):
    pd = pytest.importorskip("pandas")
    names = ("a", "b", "c", "d")
    student = OnnxClassifier(write_table(path, feature_names_in=names))
    assert student.feature_names_in_.tolist() == [*names]
    frame = pd.DataFrame(X, columns=names)
    np.testing.assert_array_equal(
        student.predict_proba(frame), student.predict_proba(X)
    )
    with pytest.raises(ValueError, match="those of the fit in their order"):
        student.predict(frame[[*"bacd"]])


def test_a_table_of_columns(path):
    pd = pytest.importorskip("pandas")
    inputs = [Input("n", "float32", (1,)), Input("k", "str", (1,))]
    inputs.append(Input("m", "int64", (1,)))
    student = OnnxClassifier(write(path, inputs, kind="columns"))
    frame = pd.DataFrame({"k": ["x", "y"], "m": [3, 4], "n": [0.5, 1.5], "o": 0})
    expected = expected_proba(np.array([[0.5, 3], [1.5, 4]]))
    columns = {name: frame[name].to_numpy() for name in frame}
    rows = [[0.5, "x", 3], [1.5, "y", 4]]
    for X in (frame, columns, rows, np.array(rows, dtype=object)):
        np.testing.assert_allclose(student.predict_proba(X), expected, atol=1e-6)
    assert student.n_features_in_ == 3
    for wrong, told in (
        (frame.drop(columns="k"), r"lacks \['k'\]"),
        (frame.assign(k=[1, 2]), "no texts"),
        (frame.assign(m=[0.5, 1]), "expected int64"),
        ([[1, 2]], r"expected \(n, 3\)"),
        ({**columns, "n": [1.0]}, "rows"),
    ):
        with pytest.raises(ValueError, match=told):
            student.predict(wrong)


def test_columns_with_numbers_for_names_and_texts_in_an_array(path):
    pd = pytest.importorskip("pandas")
    inputs = [Input("0", "float32", (1,)), Input("1", "float32", (1,))]
    student = OnnxClassifier(write(path, inputs, kind="columns"))
    frame = pd.DataFrame(X[:, :2])
    expected = expected_proba(X[:, :2])
    np.testing.assert_allclose(student.predict_proba(frame), expected, atol=1e-6)
    inputs = [Input("X", "str", (2,)), Input("m", "float32", (1,))]
    write(path, inputs, kind="mapping")
    texts = {"X": np.array([["a", "b"]]), "m": np.array([[1.0]])}
    assert OnnxClassifier(path).predict(texts).shape == (1,)


def test_several_inputs(path):
    inputs = [Input("a", "float32", (2,)), Input("b", "float32", (2,))]
    student = OnnxClassifier(write(path, inputs, kind="mapping"))
    both = {"b": X[:, 2:], "a": X[:, :2]}
    np.testing.assert_allclose(
        student.predict_proba(both), expected_proba(X), atol=1e-6
    )
    assert not hasattr(student, "n_features_in_")
    with pytest.raises(ValueError, match="dict of arrays with keys"):
        student.predict({"a": X})


def test_images_of_another_scale_are_refused(path):
    student = OnnxClassifier(write_images(path))
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 5), np.uint8)
    expected = student.predict_proba(images)
    np.testing.assert_array_equal(student.predict_proba(images.astype("f4")), expected)
    assert student.n_features_in_ == 3
    for wrong in (images / 255, (images > 99) * 1.0, images.astype(int) - 1):
        with pytest.raises(ValueError, match="another scale"):
            student.predict(wrong)
    on_floats = OnnxClassifier(write(path, [Input("X", "float32", (3, 6, 5))]))
    with pytest.raises(ValueError, match="expected float32"):
        on_floats.predict(images)


# scikit-learn -------------------------------------------------------------------------


def test_it_is_a_fitted_classifier(student):
    check_is_fitted(student)
    assert is_classifier(student)
    assert student.get_params() == {"path": student.path, "n_threads": 1}
    assert get_scorer("accuracy")(student, X, student.predict(X)) == 1.0
    frozen = FrozenEstimator(student)
    assert cross_val_score(frozen, X, student.predict(X), cv=2).tolist() == [1, 1]
    y = student.predict(X)
    assert CalibratedClassifierCV(frozen, cv=2).fit(X, y).score(X, y) > 0.5
    assert make_pipeline(student).predict(X[:1]) == student.predict(X[:1])


@pytest.mark.parametrize(
    "twin", [clone, copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_and_pickles_open_the_content_anew(student, twin, path):
    expected = student.predict_proba(X)
    path.unlink()
    other = twin(student)
    np.testing.assert_array_equal(other.predict_proba(X), expected)
    assert repr(other) == repr(student) == f"OnnxClassifier({str(path)!r}, n_threads=1)"


def test_parameters(student, path, tmp_path):
    assert student.set_params(n_threads=2).n_threads == 2
    other = write_table(tmp_path / "other.onnx", classes=np.array([0, 1, 2]))
    assert student.set_params(path=other).classes_.tolist() == [0, 1, 2]
    with pytest.raises(FileNotFoundError):
        student.set_params(path="absent.onnx")
    assert student.path == other
    with pytest.raises(ValueError, match="'threads'"):
        student.set_params(threads=2)
    for wrong in (0, 1.5, "2", True):
        with pytest.raises(ValueError, match="n_threads"):
            OnnxClassifier(path, n_threads=wrong)
    with pytest.raises(TypeError, match=r"FrozenEstimator\(classifier\)"):
        student.fit(X, [0] * 90)


@pytest.mark.parametrize("wrap", [lambda s: s, FrozenEstimator, as_teacher])
def test_it_teaches(student, wrap):
    y = student.predict(X)
    net = DistilledClassifier(teacher=wrap(student), max_epochs=1, random_state=0)
    assert net.fit(X, y).cache_info_.misses == 90
    again = DistilledClassifier(teacher=copy.copy(student), max_epochs=1)
    assert again.fit(X, y).cache_info_.misses == 0  # known by its content


# Files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04\x95pickle", b"a text", b"PK\x03\x04zip", b"\x08\x08\x12\x00"],
    ids=range(5),
)
def test_files_of_other_kinds(path, content):
    pytest.importorskip("onnxruntime")
    path.write_bytes(content)
    with pytest.raises(ValueError) as told:
        OnnxClassifier(path)
    assert str(path) in str(told.value)


def test_cut_files_and_those_of_others(path):
    content = write_table(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"student\.onnx"):
        OnnxClassifier(path)
    path.write_bytes(content.replace(b"skkd", b"some"))
    with pytest.raises(ValueError, match="not of a student of skkd"):
        OnnxClassifier(path)
    path.write_bytes(content.replace(b'"format":1', b'"format":7'))
    with pytest.raises(ValueError, match="has format 7"):
        OnnxClassifier(path)
    with pytest.raises(FileNotFoundError):
        OnnxClassifier(path.with_name("absent.onnx"))


def test_a_graph_that_its_metadata_do_not_describe(path):
    write(path, [Input("X", "float32", (4,))], n_columns=5)
    with pytest.raises(ValueError, match="3 classes"):
        OnnxClassifier(path)
