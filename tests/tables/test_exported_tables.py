"""Students of tables as ONNX files: every kind of column, and what a file refuses."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, as_frame
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier
from skkd.export import export_onnx
from skkd.export._libraries import open_session
from skkd.export._table import table_to_onnx
from skkd.export._table_inputs import preprocessor_inputs
from skkd.runtime import OnnxClassifier
from skkd.students import TableMLP
from skkd.tables import TablePreprocessor

for library in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(library)

N = 300
VERSIONS = {"": 20, "ai.onnx.ml": 3}


def make_table(seed=0):
    """Return a table with everything that a file takes."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "age": np.where(rng.random(N) < 0.2, np.nan, rng.normal(40, 10, N)),
            "far": rng.normal(1e9, 5, N),
            "zeros": np.where(rng.random(N) < 0.8, 0, rng.exponential(100, N)),
            "job": pd.Categorical(rng.choice(["cook", "nurse", "pilot", None], N)),
            "city": rng.choice(["a", "b", "c", "Übersee"], N),
            "member": rng.random(N) > 0.5,
            "visits": pd.array(rng.integers(0, 9, N), dtype="Int64"),
            "code": pd.Categorical(rng.integers(0, 5, N)),
            "spent": pd.to_timedelta(rng.integers(0, 10**6, N), unit="s"),
            "constant": 7,
        }
    )
    X.loc[::5, "visits"] = pd.NA
    X.loc[::6, "code"] = None
    y = np.where((X["far"] > 1e9) ^ (X["job"] == "cook"), "yes", "no")
    return X, y


X, Y = make_table()
OTHER = make_table(1)[0].assign(city="unknown")
OTHER.loc[:9, "job"] = None
OTHER["job"] = OTHER["job"].astype(object).where(OTHER["member"], "")


def student(**params):
    params = {"max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(**params)


def run(preprocessor, table):
    """Return what the graph of a preprocessor makes of a table."""
    inputs = preprocessor_inputs(preprocessor, table)[1]
    model = table_to_onnx(preprocessor, inputs, VERSIONS)
    return open_session(model.SerializeToString()).run(None, inputs)[0]


@pytest.mark.parametrize("categories", ["onehot", "codes"])
@pytest.mark.parametrize("n_bins", [0, 16])
@pytest.mark.parametrize("table", [X, OTHER], ids=["seen", "unseen"])
@pytest.mark.parametrize("max_categories", [2, 50])
def test_the_graph_gives_what_transform_gives(
    table, n_bins, categories, max_categories
):
    fitted = TablePreprocessor(
        max_categories=max_categories, n_bins=n_bins, categories=categories
    ).fit(X)
    np.testing.assert_allclose(run(fitted, table), fitted.transform(table), atol=1e-6)


def test_the_graph_of_an_array():
    numbers = np.random.default_rng(0).normal(size=(N, 3)).round(1)
    numbers[::5, 1] = np.nan
    fitted = TablePreprocessor().fit(numbers)
    expected = fitted.transform(numbers)
    np.testing.assert_allclose(run(fitted, numbers), expected, atol=1e-6)


@pytest.mark.parametrize("module", [None, TableMLP])
def test_a_file_answers_as_the_student(module, tmp_path):
    net = student(module=module).fit(X, Y)
    path = tmp_path / "student.onnx"
    assert export_onnx(net, path, X_calibration=X).label_agreement == 1
    loaded = OnnxClassifier(path, n_threads=1)
    for table in (X, OTHER, OTHER[:1]):
        expected = net.predict_proba(table)
        np.testing.assert_allclose(loaded.predict_proba(table), expected, atol=1e-5)
    columns = {name: OTHER[name] for name in OTHER}
    np.testing.assert_array_equal(
        loaded.predict_proba(columns), loaded.predict_proba(OTHER)
    )
    lists = {name: OTHER[name].astype(object).tolist() for name in OTHER}
    lists["spent"] = OTHER["spent"].dt.total_seconds().tolist()
    np.testing.assert_array_equal(
        loaded.predict_proba(lists), loaded.predict_proba(OTHER)
    )
    kinds = {one.name: one.dtype for one in loaded.metadata_.inputs}
    assert kinds["job"] == kinds["city"] == "str"
    assert {kinds[name] for name in ("age", "member", "visits", "code")} == {"float64"}
    assert loaded.feature_names_in_.tolist() == X.columns.tolist()


def test_without_calibration_and_in_a_pipeline_and_quantized(tmp_path):
    path = tmp_path / "student.onnx"
    net = student().fit(X, Y)
    assert export_onnx(net, path).samples == "synthetic"
    expected = OnnxClassifier(path).predict_proba(X)
    pipeline = make_pipeline(TablePreprocessor(), student()).fit(X, Y)
    export_onnx(pipeline, path, X_calibration=X)
    np.testing.assert_allclose(
        OnnxClassifier(path).predict_proba(X), pipeline.predict_proba(X), atol=1e-5
    )
    proof = export_onnx(net, path, X_calibration=X, quantize="int8")
    assert proof.label_agreement > 0.9
    got = OnnxClassifier(path).predict_proba(X)
    assert np.abs(got - expected).mean() < 0.05


def test_an_array_with_gaps(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(N, 3))
    numbers[::5, 1] = np.nan
    net = student(preprocessor="auto").fit(numbers, numbers[:, 0] > 0)
    path = tmp_path / "student.onnx"
    export_onnx(net, path)
    loaded = OnnxClassifier(path)
    np.testing.assert_allclose(
        loaded.predict_proba(numbers), net.predict_proba(numbers), atol=1e-5
    )
    numbers[0, 0] = np.nan  # where fit had no gap
    with pytest.raises(ValueError, match="first in row 0"):
        loaded.predict(numbers)


@pytest.mark.parametrize("kind", FRAMES[1:])
def test_tables_of_other_libraries(kind, tmp_path):
    plain = X[["age", "city", "member"]].assign(age=X["age"].fillna(0))
    table = as_frame(kind, plain)
    net = student().fit(table, Y)
    path = tmp_path / "student.onnx"
    export_onnx(net, path, X_calibration=table)
    loaded, expected = OnnxClassifier(path), net.predict_proba(table)
    for one in (table, plain):
        np.testing.assert_allclose(loaded.predict_proba(one), expected, atol=1e-5)


REFUSED = {
    "dates": pd.date_range("2026-01-01", periods=N),
    "the empty text": np.where(np.arange(N) % 2, "a", ""),
    "levels such as b'a'": np.where(np.arange(N) % 2, b"a", b"b").astype(object),
    "levels such as Interval": pd.cut(np.arange(N), 3),
    "levels such as datetime.date": pd.Categorical(
        [datetime.date(2026, 1, 1 + i % 2) for i in range(N)]
    ),
    "levels such as 9007199254740993": pd.Categorical(
        np.where(np.arange(N) % 2, 2**53 + 1, 2)
    ),
    "levels such as 'a'": pd.Categorical(np.array(["a", 1], object)[np.arange(N) % 2]),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("given", [True, False], ids=["calibration", "synthetic"])
def test_what_a_file_does_not_take_is_named(what, given, tmp_path):
    table = X[["age"]].assign(odd=REFUSED[what])
    net = student(max_epochs=1).fit(table, Y)
    calibration = table if given else None
    with pytest.raises(ValueError, match=f"column 'odd' holds {what}"):
        export_onnx(net, tmp_path / "a.onnx", X_calibration=calibration)
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "student.onnx"
    export_onnx(student().fit(X, Y), path, X_calibration=X)
    return OnnxClassifier(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": "40"}, "column 'age' .*'40' is a text"),
        ({"age": pd.Timestamp("2026-01-01")}, r"X\['age'\] has dtype datetime64"),
        ({"age": -np.inf}, "infinity .* in column 'age', first in row 0"),
        ({"age": [[40]] * N}, r"column 'age' .*\[40\] is a list"),
        ({"far": np.nan}, "NaN.* in column 'far'"),
        ({"job": 1}, r"column 'job' holds 1 \(int\)"),
        ({"job": [["a"]] * N}, r"column 'job' holds \['a'\] \(list\)"),
    ],
)
def test_values_of_another_kind_are_named(loaded, change, words):
    with pytest.raises(ValueError, match=words):
        loaded.predict(X.assign(**change))


def test_an_export_warns_of_no_gaps_that_it_made_itself(tmp_path):
    table = X[["far", "city"]]
    net = student(max_epochs=1).fit(table, Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_onnx(net, tmp_path / "a.onnx", X_calibration=table)
    assert not [one for one in caught if "gaps" in str(one.message)]


def test_columns_that_are_gone_are_named(loaded):
    with pytest.raises(ValueError, match=r"lacks \['age'\]"):
        loaded.predict(X.drop(columns="age"))
