"""A student as a program of torch.export."""

import json

import numpy as np
import pytest
import torch
from export_helpers import student
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd.export import export_program

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 4)).astype("float32")
Y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]


def test_the_program_answers_as_the_student(tmp_path):
    net = student().fit(X, Y)
    path = tmp_path / "student.pt2"
    proof = export_program(net, path, X_calibration=X)
    assert proof.max_difference < 1e-6
    assert proof.label_agreement == 1
    extra = {"skkd.json": ""}
    program = torch.export.load(path, extra_files=extra)
    for n in (1, 7):
        given = program.module()(torch.from_numpy(X[:n])).detach().numpy()
        np.testing.assert_allclose(given, net.predict_proba(X[:n]), atol=1e-6)
    assert json.loads(extra["skkd.json"])["classes"]["values"] == ["no", "yes"]
    assert str(tmp_path).encode() not in path.read_bytes()


def test_other_steps_are_refused(tmp_path):
    pipeline = make_pipeline(StandardScaler(), student()).fit(X, Y)
    with pytest.raises(ValueError, match=r"'standardscaler' .*export_onnx"):
        export_program(pipeline, tmp_path / "student.pt2")
    assert not [*tmp_path.iterdir()]
