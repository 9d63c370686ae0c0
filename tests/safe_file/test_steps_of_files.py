"""Pipelines: what stands before the student is written and read too."""

import numpy as np
import pytest
from PIL import Image
from safe_file_cases import NAMES, X, Y, round_trip
from sklearn import decomposition, feature_selection, preprocessing
from sklearn.compose import make_column_transformer
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skkd import DistilledClassifier, ImageReader, load_student, save_student
from skkd._safe_file import save
from skkd.images import UnreadableImageError
from skkd.students import TableMLP
from skkd.tables import TablePreprocessor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.safetensors"


def pipeline(*steps):
    student = DistilledClassifier(max_epochs=1, random_state=0, device="cpu")
    return make_pipeline(*steps, student)


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(),
        preprocessing.MinMaxScaler((-1, 1)),
        preprocessing.RobustScaler(),
        preprocessing.QuantileTransformer(n_quantiles=20),
        preprocessing.PowerTransformer(),
        preprocessing.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
        preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
        decomposition.PCA(3),
        feature_selection.VarianceThreshold(0.3),
        make_union(StandardScaler(), preprocessing.MaxAbsScaler()),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_of_scikit_learn(step, path):
    loaded = round_trip(pipeline(step).fit(X, Y), path)
    assert loaded[:-1].transform(X).dtype == np.float64


def test_a_table_of_numbers_with_gaps_and_texts(path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[*"abcd"])
    frame.loc[::7, "a"] = np.nan
    frame["e"] = np.where(X[:, 0] > 5, "large", "small")
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, [*"abc"]),
        (preprocessing.OneHotEncoder(), ["e"]),
        ("passthrough", [*"d"]),
    )
    loaded = round_trip(pipeline(columns).fit(frame, Y), path, frame)
    with pytest.raises(ValueError, match="columns are missing"):
        loaded.predict(frame.drop(columns="e"))


@pytest.mark.parametrize("module", [None, TableMLP])
@pytest.mark.parametrize(
    "preprocessor", ["auto", TablePreprocessor(max_categories=2, min_frequency=2)]
)
def test_a_student_with_a_preprocessor_of_its_own(preprocessor, module, path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[*"abcd"])
    frame.loc[::7, "a"] = np.nan
    frame["e"] = pd.Series(np.array([*"uvwxyz"])[np.arange(150) % 6], dtype="category")
    frame["f"] = pd.date_range("2026-01-01 07:00", periods=150, freq="9h")
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    student = DistilledClassifier(module, preprocessor=preprocessor, **params)
    student.fit(frame, Y)
    loaded = round_trip(student, path, frame)
    assert loaded.feature_names_in_.tolist() == [*"abcdef"]
    np.testing.assert_array_equal(
        loaded.fit(frame, Y).predict_proba(frame), student.predict_proba(frame)
    )


def test_a_preprocessor_of_scikit_learn(path):
    student = DistilledClassifier(
        preprocessor=make_pipeline(StandardScaler(), decomposition.PCA(2)),
        max_epochs=1,
        device="cpu",
    ).fit(X, Y)
    assert round_trip(student, path).preprocessor_[0].mean_ is not None
    function = FunctionTransformer(np.log1p)
    student = DistilledClassifier(preprocessor=function, max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="'preprocessor', a FunctionTr"):
        save_student(student, path)


@pytest.mark.parametrize("lazy", [False, True])
def test_images_from_files(lazy, path, tmp_path):
    rng = np.random.default_rng(0)
    files = [str(tmp_path / f"{i}.png") for i in range(20)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(file)
    reader = ImageReader((8, 6), levels=(0, 100), memory=tmp_path / "m", lazy=lazy)
    student = pipeline(reader).fit(files, NAMES[:20])
    loaded = round_trip(student, path, files)
    assert loaded[0].get_params() == {**reader.get_params(), "memory": None}
    with pytest.raises(UnreadableImageError):
        loaded.predict(["absent.png"])


def test_steps_with_functions_are_refused_by_name(path):
    student = pipeline(FunctionTransformer(np.log1p)).fit(X, Y)
    with pytest.raises(ValueError, match="'functiontransformer', a FunctionTr"):
        save_student(student, path)
    assert not path.exists()


def test_another_version_of_scikit_learn_is_told(path, monkeypatch):
    versions = {**save._versions(), "scikit-learn": "1.5.0"}
    monkeypatch.setattr(save, "_versions", lambda: versions)
    student = pipeline(StandardScaler()).fit(X, Y)
    with pytest.warns(InconsistentVersionWarning, match=r"1\.5\.0"):
        save_student(student, path)
    with pytest.warns(InconsistentVersionWarning, match=r"1\.5\.0"):
        load_student(path)


def test_the_refused_step_can_be_written_by_skops(path):
    skops = pytest.importorskip("skops.io")
    student = pipeline(FunctionTransformer(np.log1p)).fit(X, Y)
    skops.dump(student, path)
    trusted = skops.get_untrusted_types(file=path)
    loaded = skops.load(path, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict_proba(X), student.predict_proba(X))
