"""What skkd.export writes, skkd.runtime answers as the student does."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier, ImageReader
from skkd.export import export_onnx
from skkd.runtime import OnnxClassifier
from skkd.students import SmallCNN

for library in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(library)


def test_a_pipeline_that_reads_images(tmp_path):
    rng = np.random.default_rng(0)
    files = [str(tmp_path / f"{i}.jpg") for i in range(24)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(file)
    y = np.array(["clean", "dirty"])[np.arange(24) % 2]
    net = DistilledClassifier(
        SmallCNN, module__width=4, max_epochs=1, random_state=0, device="cpu"
    )
    student = make_pipeline(ImageReader((16, 12)), net).fit(files, y)
    proof = export_onnx(student, tmp_path / "student.onnx", X_calibration=files)
    loaded = OnnxClassifier(tmp_path / "student.onnx", n_threads=1)
    assert loaded.metadata_.proof.n_samples == proof.n_samples
    expected = student.predict_proba(files)
    np.testing.assert_allclose(loaded.predict_proba(files), expected, atol=1e-5)
    assert loaded.predict(files).tolist() == student.predict(files).tolist()
    pixels = student[0].transform(files)
    np.testing.assert_array_equal(
        loaded.predict_proba(pixels), loaded.predict_proba(files)
    )


def test_gaps_are_taken_where_the_pipeline_fills_them(tmp_path):
    pytest.importorskip("skl2onnx")
    X, y = load_iris(return_X_y=True)
    X[::5, 1] = np.nan
    path = tmp_path / "student.onnx"
    net = DistilledClassifier(max_epochs=1, random_state=0, device="cpu")
    student = make_pipeline(SimpleImputer(), StandardScaler(), net).fit(X, y)
    export_onnx(student, path, X_calibration=X)
    loaded = OnnxClassifier(path)
    assert loaded.metadata_.gaps == (0, 1, 2, 3)
    expected = student.predict_proba(X)
    np.testing.assert_allclose(loaded.predict_proba(X), expected, atol=1e-5)
    whole = np.nan_to_num(X)
    export_onnx(make_pipeline(StandardScaler(), net).fit(whole, y), path)
    loaded = OnnxClassifier(path)
    assert loaded.metadata_.gaps == ()
    with pytest.raises(ValueError, match="has NaN"):
        loaded.predict(X)
