"""torchvision_model(last_layer=): the first layers of a network as a student."""

import tarfile

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision_originals import (
    SMALL,
    images,
    maps_of,
    original,
    read,
    same_weights,
    saved,
)

from skkd import DistilledClassifier
from skkd.students import torchvision_model

# A layer of each family, in its middle, and the parameters that come up to it.
FIRST = {
    **{"densenet121": "features.transition1", "mnasnet0_5": "layers.9"},
    **{"mobilenet_v2": "features.9", "mobilenet_v3_small": "features.4"},
    **{"regnet_y_400mf": "trunk_output.block2", "resnet18": "layer2.0"},
    **{"shufflenet_v2_x0_5": "stage3", "squeezenet1_1": "features.6"},
}
OTHERS = {
    **{"alexnet": "features.5", "convnext_tiny": "features.3"},
    **{"efficientnet_b0": "features.4", "efficientnet_v2_s": "features.3.0"},
    **{"googlenet": "inception4a", "inception_v3": "Mixed_6a", "maxvit_t": "blocks.0"},
    **{"resnext50_32x4d": "layer1", "wide_resnet50_2": "layer1.0"},
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_layers_are_those_of_the_whole(name, tmp_path):
    model, last_layer = original(name), FIRST[name]
    path = saved(model.state_dict(), tmp_path)
    student = torchvision_model(
        name, 5, (3, 64, 64), weights=path, last_layer=last_layer
    )
    assert student.training
    x = images(3, (3, 64, 64))
    student.eval().double(), model.double()
    scaled = student.standardize(x)
    features = maps_of(model, last_layer, scaled).mean(dim=(2, 3))
    torch.testing.assert_close(student.backbone(scaled), features)
    assert features.std(dim=0).max() > 1e-3
    torch.testing.assert_close(student(x), student.head(features))
    # Of the whole network's parameters, under their own names, and none beside.
    whole = dict(model.named_parameters())
    for key, value in student.backbone.named_parameters():
        assert torch.equal(value, whole.pop(key))
    layers = [key for key, _ in student.backbone.named_modules()]
    assert last_layer in layers
    assert layers[-3:] == [layers[-3], "pool", "flatten"]
    assert layers[-3].startswith(last_layer)
    assert student.head.weight.shape == (5, features.shape[1])
    student.train()(x).sum().backward()
    assert all(p.grad is not None for p in student.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_the_first_layers_of_every_family(name):
    size = {"maxvit_t": 224, "inception_v3": 128}.get(name, 64)
    model = torchvision_model(name, 5, (3, size, size), last_layer=OTHERS[name])
    assert model(images(2, (3, size, size))).shape == (2, 5)


@pytest.mark.parametrize(
    ("last_layer", "count"), [("features.9", 185_738), ("features.10", 240_010)]
)
def test_parameters_of_the_first_layers(last_layer, count):
    student = torchvision_model("mobilenet_v2", 10, (3, 96, 96), last_layer=last_layer)
    assert sum(p.numel() for p in student.parameters()) == count
    number = int(last_layer.partition(".")[2])
    layers = models.mobilenet_v2().features[: number + 1]
    assert sum(p.numel() for p in layers.parameters()) + 650 == count
    names = [name for name, _ in student.named_parameters()]
    assert "backbone.features.3.conv.0.0.weight" in names
    assert names[-2:] == ["head.weight", "head.bias"]


@pytest.mark.parametrize("n_classes", [4, 5])
def test_own_weights_of_the_first_layers(n_classes, tmp_path):
    x = images(8)
    arguments = {"input_shape": (3, 32, 32), "last_layer": "stage2"}
    student = torchvision_model(SMALL, 4, **arguments)
    student.standardize.adapt([(x, None)])
    student(x)
    path = saved(student.eval().state_dict(), tmp_path)
    loaded = torchvision_model(SMALL, n_classes, weights=path, **arguments)
    assert same_weights(loaded.backbone, student.backbone)
    assert torch.equal(loaded.standardize.mean, student.standardize.mean)
    assert loaded.training == (n_classes != 4)
    if n_classes == 4:
        assert torch.equal(loaded(x), student(x))
    arguments["last_layer"] = "stage3"
    with pytest.raises(ValueError, match=r"not those of shufflenet.* no 'stage3.0"):
        torchvision_model(SMALL, n_classes, weights=path, **arguments)
    wrong = student.state_dict()
    wrong["backbone.conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
    saved(wrong, tmp_path)
    arguments["last_layer"] = "stage2"
    with pytest.raises(ValueError, match=r"'conv1.0.weight' has shape \(24, 3, 5, 5\)"):
        torchvision_model(SMALL, n_classes, weights=path, **arguments)


def test_the_first_layers_of_an_own_network(tmp_path):
    teacher = torchvision_model(SMALL, 4, (3, 32, 32), mean=7, std=9)
    path = saved(teacher.state_dict(), tmp_path)
    student = torchvision_model(
        SMALL, 4, (3, 32, 32), weights=path, last_layer="stage2"
    )
    parts = teacher.backbone.state_dict()
    for key, value in student.backbone.state_dict().items():
        assert torch.equal(value, parts[key])
    assert (student.standardize.std == 9).all()


def test_all_weights_have_to_fit_though_few_are_kept(tmp_path):
    weights = original(SMALL).state_dict()
    del weights["conv5.0.weight"]
    path = saved(weights, tmp_path)
    with pytest.raises(ValueError, match=r"there is no 'conv5.0.weight'"):
        torchvision_model(SMALL, 4, weights=path, last_layer="stage2")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            SMALL,
            {"last_layer": "stage5"},
            r"last_layer='stage5'; expected .*'stage4'.* printed",
        ),
        (SMALL, {"last_layer": 3}, r"last_layer=3; expected the name of a layer"),
        (SMALL, {"last_layer": ""}, r"last_layer=''; expected the name of a layer"),
        (
            SMALL,
            {"last_layer": "stage2", "n_classes": None},
            r"no n_classes; .*n_classes=",
        ),
        (
            SMALL,
            {"last_layer": "fc"},
            r"last_layer='fc', which does not give feature maps .* a layer bef",
        ),
        (
            SMALL,
            {"last_layer": "stage2.0.branch2"},
            r"another order .*'stage2.0', of which",
        ),
        ("resnet50", {"last_layer": "layer1.1.conv2"}, r"is run in another order"),
        ("resnet50", {"last_layer": "layer1.1.relu"}, r"is run in another order"),
        (
            "densenet121",
            {"last_layer": "features.denseblock1.denselayer2"},
            r"another order",
        ),
        (
            "maxvit_t",
            {"last_layer": "blocks"},
            r"last_layer='blocks', which is never run",
        ),
        (
            "vit_b_32",
            {"last_layer": "conv_proj"},
            r"vit_b_32, a transformer, whose layers",
        ),
        ("swin_t", {"last_layer": "features.1"}, r"swin_t, a transformer"),
        (
            "alexnet",
            {"last_layer": "features.12", "size": 8},
            r"images of 8 x 8 pixels, whi",
        ),
    ],
)
def test_other_layers_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        torchvision_model(name, **{"n_classes": 4, **arguments})


def test_the_first_layers_take_smaller_images_than_the_whole():
    with pytest.raises(ValueError, match="alexnet does not take"):
        torchvision_model("alexnet", 4, (3, 32, 32))
    student = torchvision_model("alexnet", 4, (3, 32, 32), last_layer="features.4")
    assert student(images(2)).shape == (2, 4)


@pytest.mark.parametrize("channels", [1, 5])
def test_other_channels_of_the_first_layers(channels):
    student = torchvision_model(SMALL, 4, (channels, 32, 32), last_layer="stage2")
    x = images(4, (channels, 32, 32))
    student.standardize.adapt([(x, None)])
    assert student(x).shape == (4, 4)


def test_the_first_layers_do_not_touch_the_random_numbers_of_others():
    """The image on which they are tried is no draw of the global generator."""
    torch.manual_seed(3)
    torchvision_model(SMALL, 4, (3, 32, 32), last_layer="stage2")
    first = torch.rand(2)
    torch.manual_seed(3)
    torchvision_model(SMALL, 4, (3, 64, 64), last_layer="stage2")
    assert torch.equal(torch.rand(2), first)


@pytest.mark.slow
@pytest.mark.parametrize("last_layer", ["features.6", "features.9"])
def test_a_student_of_the_first_layers_of_real_weights(real_data, last_layer):
    path = real_data / "weights" / "mobilenet_v2-imagenet-tfslim-ptq-fp16.pt"
    scale = {"mean": 127.5, "std": 127.5, "weights": path}
    whole = torchvision_model("mobilenet_v2", **scale)
    student = torchvision_model(
        "mobilenet_v2", 2, (3, 96, 96), last_layer=last_layer, **scale
    )
    with tarfile.open(real_data / "sports_balls.tar") as archive:
        kinds = ("golf_ball", "tennis_ball")
        named = [
            [m for m in archive if f"test/{kind}" in m.name and m.isfile()][:24]
            for kind in kinds
        ]
        X = np.stack([read(archive, member, 96) for part in named for member in part])
    x = torch.from_numpy(X)
    features = maps_of(whole, f"backbone.{last_layer}", x).mean(dim=(2, 3))
    with torch.no_grad():
        scaled = student.standardize(x)
        torch.testing.assert_close(student.eval().backbone(scaled), features)
    # Even the head alone learns from them; chance is a half.
    y = np.repeat([0, 1], 24)
    net = DistilledClassifier(
        student_of(path, last_layer), max_epochs=40, lr=0.01, random_state=0
    )
    score = net.fit(X[::2], y[::2]).score(X[1::2], y[1::2])
    assert score > 0.65


def student_of(path, last_layer):
    return torchvision_model(
        "mobilenet_v2",
        2,
        (3, 96, 96),
        weights=path,
        last_layer=last_layer,
        freeze=True,
        mean=127.5,
        std=127.5,
    )
