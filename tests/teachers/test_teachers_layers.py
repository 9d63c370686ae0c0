"""Layers of teachers: found by name, or an error that says what to name."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from torch import nn

from skkd import DistilledClassifier
from skkd._fit.layer_hooks import find_layer
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)


class Wrapped(nn.Module):
    """A network whose layers lie under a name that nobody thinks of."""

    def __init__(self):
        super().__init__()
        block = nn.ModuleDict({"conv1": nn.Identity(), "bn": nn.Identity()})
        self.backbone = nn.ModuleDict(
            {"layer3": nn.Identity(), "layer4": nn.Sequential(block, nn.Identity())}
        )
        self.layer5 = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer5(x)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("layer4", "backbone.layer4"),
        ("layer4.0", "backbone.layer4.0"),
        ("layer4.0.bn", "backbone.layer4.0.bn"),
        ("layer4.0.conv2", "backbone.layer4.0.conv1"),
        ("bakbone.layer4", "backbone.layer4"),
        ("layer_5", "layer5"),
        ("model.layer3", "backbone.layer3"),
        ("conv1", "backbone.layer4.0.conv1"),
    ],
)
def test_a_layer_that_was_meant_is_named(name, meant):
    with pytest.raises(ValueError, match="has no such layer") as error:
        find_layer(Wrapped(), name, "teacher")
    assert f" Did you mean {meant!r}? It has backbone, " in str(error.value)


def test_nothing_is_guessed_where_nothing_is_close():
    with pytest.raises(ValueError, match=r"has no such layer\. It has backbone, "):
        find_layer(Wrapped(), "xyz", "teacher")


@pytest.mark.parametrize("transform", [None, torch.clone])
def test_several_networks_have_no_common_layers(transform):
    pair = as_teacher([Wrapped(), as_teacher(Wrapped())], transform=transform)
    message = (
        r"^The teacher \[Wrapped\(15 parameters\), Wrapped\(15 parameters\)\] has no "
        r"layers to learn features from: .* several networks .* Name one .*'kd'"
    )
    with pytest.raises(TypeError, match=message):
        _ = pair.network
    with pytest.raises(TypeError, match=message):
        DistilledClassifier(teacher=pair, distillation="fitnet").fit(X, y)


def test_members_are_named_by_their_models():
    members = [
        LogisticRegression(),
        as_teacher(Wrapped(), transform=torch.clone),
        [Wrapped()],
    ]
    expected = (
        "as_teacher([LogisticRegression, Wrapped(15 parameters), "
        "[Wrapped(15 parameters)]])"
    )
    assert repr(as_teacher(members)) == expected
