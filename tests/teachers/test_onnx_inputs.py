"""What an ONNX model takes, and where its weights lie."""

import numpy as np
import pytest
from teachers.onnx_graphs import C, D, graph

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

X = np.random.default_rng(0).integers(-9, 9, size=(40, D))
Y = np.arange(40) % C


def logits(model, X=X):
    return as_teacher(model).logits(X, range(C))


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT16", "INT64", "INT8"])
def test_numbers_that_fit_are_taken(kind):
    np.testing.assert_allclose(logits(graph(kind)), logits(graph()), rtol=1e-3)


@pytest.mark.parametrize(("kind", "values"), [("INT8", 100 * X), ("BOOL", X / 2)])
def test_numbers_that_would_become_others_are_refused(kind, values):
    with pytest.raises(ValueError, match=rf"takes {kind.lower()}, and X is"):
        logits(graph(kind), values)


def test_a_type_that_numpy_lacks_is_refused():
    student = DistilledClassifier(teacher=graph("BFLOAT16"))
    with pytest.raises(ValueError, match=r"tensor\(bfloat16\) as its input 'X'"):
        student.fit(X.astype("float32"), Y)


def test_several_inputs_are_taken_by_name():
    model = graph(inputs=("left", "right"))
    with pytest.raises(ValueError, match=r"\['left', 'right'\]: pass a dict"):
        logits(model)
    halves = {"right": X[:, D // 2 :], "left": X[:, : D // 2]}
    np.testing.assert_array_equal(logits(model, halves), logits(graph()))
    with pytest.raises(ValueError, match=r"X lacks \['left'\]"):
        logits(model, {"right": halves["right"]})


def test_dropout_of_train_mode_is_refused():
    with pytest.raises(ValueError, match=r"other outputs each time: .*train mode"):
        logits(graph(dropout=True))


@pytest.mark.parametrize("place", ["W", "parts/all.weights", "w" * 150])
def test_weights_are_read_from_where_the_file_names_them(tmp_path, place):
    onnx = pytest.importorskip("onnx")

    (tmp_path / "parts").mkdir()
    onnx.save(graph(weights=place), tmp_path / "model.onnx")
    assert (tmp_path / place).exists()
    expected = logits(graph())
    np.testing.assert_array_equal(logits(tmp_path / "model.onnx"), expected)
    with pytest.raises(ValueError, match=r"read from where it names them, .*its path"):
        logits((tmp_path / "model.onnx").read_bytes())


@pytest.mark.filterwarnings("ignore:Nothing is cached")
@pytest.mark.parametrize("of_path", [True, False])
def test_a_session_is_remembered_if_it_holds_its_file(tmp_path, of_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    content, path = graph().SerializeToString(), tmp_path / "model.onnx"
    path.write_bytes(content)
    session = onnxruntime.InferenceSession(path if of_path else content)
    est = DistilledClassifier(teacher=session, max_epochs=1, module__hidden=())
    misses = [est.fit(X / 9.0, Y).cache_info_.misses for _ in range(2)]
    assert misses == [40, 40 if of_path else 0]


def test_bytes_that_are_no_model_are_refused():
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match="does not load the teacher"):
        logits(b"no model")
