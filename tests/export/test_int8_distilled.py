"""Students that are trained for int8 by their float selves."""

import copy

import numpy as np
import pytest
import torch
from export_helpers import open_file, student
from sklearn.datasets import load_digits
from torch import nn

from skkd.export import export_onnx
from skkd.export._int8_distilled import _RoundedInput, _RoundedWeight, distill_for_int8
from skkd.export._module import build_module, run_module
from skkd.students import SmallCNN

DIGITS = load_digits()
X = (DIGITS.images[:400] * 15).astype(np.uint8)[:, None]
Y = DIGITS.target[:400]


@pytest.fixture(scope="module")
def net():
    params = {"module__width": 2, "max_epochs": 6, "lr": 1e-2}
    return student(SmallCNN, **params).fit(X, Y)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_training_moves_weights_alone_and_leaves_the_student(net, monkeypatch):
    monkeypatch.setattr("skkd.export._int8_distilled._N_STEPS", 3)
    monkeypatch.setattr("skkd.export._int8_distilled._LR", 1e-4)
    module, before = build_module(net, None), state(net.module_)
    expected = run_module(module, {"X": X})
    taught = distill_for_int8(net, module, {"X": X}, np.log(expected))
    after = state(taught.student)
    assert after.keys() == before.keys()
    assert not torch.equal(after["head.weight"], before["head.weight"])
    kept = [name for name in before if "running" in name or "standardize" in name]
    assert len(kept) > 5
    assert all(torch.equal(after[name], before[name]) for name in kept)
    assert not any("parametrizations" in name for name in after)
    untouched = state(net.module_)
    assert all(torch.equal(untouched[name], before[name]) for name in before)
    # In floats it is still much the same student.
    changed = run_module(taught, {"X": X}).argmax(1) != expected.argmax(1)
    assert changed.mean() < 0.1


def test_a_layer_sees_the_levels_of_int8():
    layer = nn.Linear(3, 2)
    rounded = _RoundedWeight()(layer.weight)
    scale = layer.weight.detach().abs().amax(dim=1, keepdim=True) / 63
    levels = rounded.detach() / scale
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    x = torch.linspace(-1, 4, 11)
    (seen,) = _RoundedInput(-0.5, 3.0)(layer, (x,))
    assert -0.51 < seen.min() < -0.48
    assert 2.98 < seen.max() < 3.02
    hook = copy.deepcopy(_RoundedInput(-0.5, 3.0))
    assert torch.equal(hook(layer, (x,))[0], seen)


@pytest.mark.slow
def test_the_file_is_at_least_as_close_as_without_training(net, tmp_path):
    proofs = {
        how: export_onnx(net, tmp_path / f"{how}.onnx", quantize=how, X_calibration=X)
        for how in ("int8", "int8-distilled")
    }
    meta = open_file(tmp_path / "int8-distilled.onnx")[1]
    assert meta.quantize == "int8-distilled"
    agreement = {how: proof.label_agreement for how, proof in proofs.items()}
    assert agreement["int8-distilled"] >= agreement["int8"] - 0.01
