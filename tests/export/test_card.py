"""export_onnx(card=True): a model card beside the file."""

import re
import sys

import numpy as np
import pytest
from export_helpers import student

from skkd.export import export_onnx
from skkd.students import MLP

hub = pytest.importorskip("huggingface_hub")

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")


def test_a_card_says_what_the_file_is(tmp_path, monkeypatch):
    fitted = student(MLP, module__hidden=5).fit(
        X, np.array(["no", "yes"])[(X[:, 0] > 0) * 1]
    )
    path = tmp_path / "small.onnx"
    proof = export_onnx(fitted, path, X_calibration=X, card=True)
    card = hub.ModelCard.load(tmp_path / "small.md")
    assert card.data.pipeline_tag == "tabular-classification"
    for said in (
        "# small",
        "A classifier of 2 classes: `no`, `yes`.",
        "MLP(37 parameters)",
        "on the labels alone",
        f"On {proof.n_samples} calibration samples",
        f"| {path.stat().st_size:,} |",
        "onnxruntime",
    ):
        assert said in card.text
    monkeypatch.chdir(tmp_path)
    names = {"X": X}
    exec(re.findall(r"```python\n(.*?)```", card.text, re.S)[0], names)
    assert names["student"].predict(X).tolist() == fitted.predict(X).tolist()


def test_without_the_library_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"skkd\[card\]"):
        export_onnx(student().fit(X, X[:, 0] > 0), tmp_path / "a.onnx", card=True)
    assert not [*tmp_path.iterdir()]
