"""Pipelines as ONNX files: what is converted with the student, what is refused."""

import numpy as np
import pandas as pd
import pytest
from export_helpers import open_file, student
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from skkd import ImageReader
from skkd._formats.onnx_metadata import ImageReading, Input
from skkd.export import export_onnx
from skkd.export._steps import _converted
from skkd.students import CifarResNet

rng = np.random.default_rng(0)
N = 60
X = rng.normal(size=(N, 3)) * [1, 10, 100] + [0, 5, 1000]
GAPS = np.where(rng.uniform(size=X.shape) < 0.1, np.nan, X)
Y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
FRAME = pd.DataFrame(
    {
        "age": rng.integers(18, 90, N),
        "net income": X[:, 1],
        "job": np.array(["baker", "baker", "judge", "nurse"])[np.arange(N) % 4],
        "code": np.arange(N) % 3,
        "seen": pd.Timestamp("2026-01-01"),
    }
)
ENCODER = OneHotEncoder(handle_unknown="ignore")
NUMBERS = ("numbers", StandardScaler(), ["age", "net income"])


def answers(path, inputs):
    return open_file(path)[0].run(["probabilities"], inputs)[0]


def test_scaler_and_imputer_go_with_the_student(tmp_path):
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), student())
    pipeline.fit(GAPS, Y)
    path = tmp_path / "student.onnx"
    proof = export_onnx(pipeline, path)
    assert (proof.samples, proof.label_agreement) == ("synthetic", 1)
    given = answers(path, {"X": GAPS.astype("float32")})
    np.testing.assert_allclose(given, pipeline.predict_proba(GAPS), atol=1e-5)
    meta = open_file(path)[1]
    assert meta.steps == ("simpleimputer", "standardscaler", "distilledclassifier")
    assert meta.inputs == (Input("X", "float32", (3,)),)


def test_a_table_gives_an_input_for_each_column_that_is_used(tmp_path):
    columns = ColumnTransformer([NUMBERS, ("text", ENCODER, ["job", "code"])])
    pipeline = make_pipeline(columns, student()).fit(FRAME, Y)
    path = tmp_path / "student.onnx"
    export_onnx(pipeline, path, X_calibration=FRAME)
    meta = open_file(path)[1]
    assert meta.kind == "columns"
    assert [(i.name, i.dtype) for i in meta.inputs] == [
        ("age", "float32"),
        ("net income", "float32"),
        ("job", "str"),
        ("code", "float32"),
    ]
    assert meta.feature_names_in == tuple(FRAME.columns)
    asked = FRAME.head(7).assign(job=["baker", "pilot"] * 3 + ["nurse"])
    inputs = {
        i.name: asked[[i.name]].to_numpy(object if i.dtype == "str" else i.dtype)
        for i in meta.inputs
    }
    expected = pipeline.predict_proba(asked)
    np.testing.assert_allclose(answers(path, inputs), expected, atol=1e-5)


def test_an_image_reader_becomes_metadata(tmp_path):
    paths = []
    for i in range(8):
        paths.append(str(tmp_path / f"{i}.png"))
        pixels = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    reader = ImageReader(size=(8, 10), mode="L", lazy=True, levels=(0, 4095))
    net = student(CifarResNet, module__depth=8, module__width=2)
    pipeline = make_pipeline(reader, net).fit(paths, Y[:8])
    path = tmp_path / "student.onnx"
    proof = export_onnx(pipeline, path, X_calibration=paths)
    assert (proof.n_samples, proof.label_agreement) == (8, 1)
    meta = open_file(path)[1]
    assert meta.image == ImageReading((8, 10), "L", (0.0, 4095.0))
    assert meta.inputs == (Input("X", "uint8", (1, 8, 10)),)


def columns_with(transformer, columns=("job",)):
    return ColumnTransformer([NUMBERS, ("text", transformer, [*columns])])


@pytest.mark.parametrize(
    ("step", "samples", "message"),
    [
        (SimpleImputer(add_indicator=True), GAPS, r"makes 3 columns .* gives 6"),
        (FunctionTransformer(np.tanh), X, "'step' .*does not convert"),
        (StandardScaler(), X + 1e7, "float32 of a file it gives other values"),
        (columns_with(OrdinalEncoder()), FRAME, r"'step.text' \(OrdinalEncoder\)"),
        (
            columns_with(OneHotEncoder(min_frequency=18)),
            FRAME,
            "'step.text'.*[Ii]nfrequent",
        ),
        (
            columns_with(make_pipeline(SimpleImputer(strategy="constant"), ENCODER)),
            FRAME,
            r"'step.text.simpleimputer' \(SimpleImputer\)",
        ),
    ],
    ids=["indicator", "function", "float32", "ordinal", "infrequent", "inner"],
)
def test_what_converts_to_something_else_is_refused_by_name(step, samples, message):
    with pytest.raises(ValueError, match=message):
        _converted("step", step.fit(samples), samples, 20)


@pytest.mark.parametrize(
    ("step", "samples"),
    [
        (MinMaxScaler(), X),
        (PolynomialFeatures(2), X / [1, 10, 100]),
        (PCA(2), X),
        (make_pipeline(SimpleImputer(), StandardScaler()), GAPS),
        (ENCODER, FRAME[["job"]]),
        (columns_with(OneHotEncoder()), FRAME),
        (ColumnTransformer([("a", StandardScaler(), [0, 2])]), X),
    ],
    ids=["minmax", "polynomial", "pca", "pipeline", "strings", "strict", "positions"],
)
def test_what_converts_exactly_is_taken(step, samples):
    assert _converted("step", step.fit(samples), samples, 20).graph.node


def test_a_step_that_nothing_is_known_about_needs_samples(tmp_path):
    pipeline = make_pipeline(PCA(2), student()).fit(X, Y)
    with pytest.raises(ValueError, match=r"'pca' \(PCA\).*Pass a few hundred"):
        export_onnx(pipeline, tmp_path / "student.onnx")
    export_onnx(pipeline, tmp_path / "student.onnx", X_calibration=X)


def test_gaps_in_text_are_refused(tmp_path):
    gaps = FRAME.assign(job=FRAME["job"].where(FRAME.index > 3, None))
    columns = ColumnTransformer([NUMBERS, ("text", ENCODER, ["job"])])
    pipeline = make_pipeline(columns, student()).fit(gaps, Y)
    with pytest.raises(ValueError, match=r"Column 'job' .*Fill in what is missing"):
        export_onnx(pipeline, tmp_path / "student.onnx", X_calibration=gaps)


def test_the_own_preprocessor_of_a_student_is_a_step(tmp_path):
    path = tmp_path / "student.onnx"
    net = student(preprocessor=StandardScaler()).fit(X, Y)
    proof = export_onnx(net, path, X_calibration=X)
    assert proof.max_difference < 1e-5
    given = answers(path, {"X": X.astype("float32")})
    np.testing.assert_allclose(given, net.predict_proba(X), atol=1e-5)


def test_a_student_of_a_table_with_names(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    net = student().fit(frame, Y)
    path = tmp_path / "student.onnx"
    assert export_onnx(net, path).max_difference < 1e-5
    meta = open_file(path)[1]
    assert meta.feature_names_in == ("a", "b", "c")
    assert meta.inputs == (Input("X", "float64", (3,)),)
