"""torchvision_model: every family, weights from files, freezing, the estimator."""

import copy
import io
import pickle
import tarfile
import urllib.error

import numpy as np
import pytest
import torch
from helpers import stable_repr
from PIL import Image
from sklearn.base import clone
from torch import nn
from torchvision import models
from torchvision.transforms.functional import resize

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.memory._fingerprint import fingerprint
from skkd.students import TorchvisionModel, _torchvision, torchvision_model

SMALL = "shufflenet_v2_x0_5"
# The smallest of each family, but for those of `REAL`.
FAMILIES = [
    *("alexnet", "convnext_tiny", "efficientnet_b0", "efficientnet_v2_s", "googlenet"),
    *("inception_v3", "maxvit_t", "resnext50_32x4d", "swin_t", "swin_v2_t"),
    *("vgg11", "vgg11_bn", "vit_b_16", "wide_resnet50_2"),
]
# Those that are built and run within moments.
REAL = [
    *("densenet121", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "resnet18"),
    *("regnet_y_400mf", "shufflenet_v2_x0_5", "squeezenet1_1"),
]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def images(n, shape=(3, 32, 32), seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, 256, size=(n, *shape), dtype=np.uint8))


def original(name, seed=0, **options):
    """One of torchvision's networks, in eval mode, with logits that tell rows apart."""
    torch.manual_seed(seed)
    model = models.get_model(name, **options).train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # all of what it sees
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    return model.eval()


def saved(content, folder):
    torch.save(content, folder / "weights.pt")
    return folder / "weights.pt"


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and nothing downloaded before; the folder of downloads."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


# --- heads --------------------------------------------------------------------------


@pytest.fixture
def on_meta(monkeypatch):
    """Networks of any size, without memory."""
    compute = models.regnet.BlockParams.from_init_params.__func__

    def on_cpu(cls, *args, **kwargs):  # reads numbers off tensors
        with torch.device("cpu"):
            return compute(cls, *args, **kwargs)

    monkeypatch.setattr(
        models.regnet.BlockParams, "from_init_params", classmethod(on_cpu)
    )
    with torch.device("meta"):
        yield


def test_the_head_of_every_network_is_found(on_meta):
    names = models.list_models(module=models)
    assert len(names) >= 80
    for name in names:
        model, kept = _torchvision.build(name, 7, 3, None)
        assert not kept
        n_parameters = sum(p.numel() for p in model.parameters())
        backbone, head = _torchvision.split(model, as_published=False)
        last = head[0] if name.startswith("squeezenet") else head
        assert last.weight.shape[0] == 7, name
        assert type(last) in (nn.Linear, nn.Conv2d)
        assert not any(p.shape[0] == 7 for p in backbone.parameters()), name
        parts = (*backbone.parameters(), *head.parameters())
        assert sum(p.numel() for p in parts) == n_parameters, name


@pytest.mark.parametrize("name", FAMILIES)
def test_what_the_backbone_gives_the_head_takes(on_meta, name):
    backbone, head = _torchvision.split(_torchvision.build(name, 7, 3, None)[0], False)
    features = backbone(torch.empty(2, 3, 224, 224))
    assert features.shape == (2, head.in_features)
    assert head(features).shape == (2, 7)


@pytest.mark.parametrize("name", REAL)
def test_weights_and_features_are_the_originals(name, tmp_path):
    model = original(name)
    path = saved(model.state_dict(), tmp_path)
    x = images(3, (3, 64, 64))
    whole = torchvision_model(name, weights=path)
    assert not whole.training
    torch.testing.assert_close(whole.standardize(x), (x / 255 - MEAN) / STD)
    whole.double(), model.double()  # such networks make much of a last digit
    with torch.no_grad():
        expected = model(whole.standardize(x))
        assert expected.std(dim=0).max() > 1e-3  # rows differ
        torch.testing.assert_close(whole(x), expected)
    whole.float()

    fresh = torchvision_model(name, 5, (3, 64, 64), weights=str(path))
    assert fresh.training
    assert same_weights(fresh.eval().backbone, whole.backbone)
    assert fresh(x).shape == (3, 5)
    fresh.train()(x).sum().backward()
    assert all(p.grad is not None for p in fresh.parameters())


def test_squeezenet_loses_its_relu_with_its_head(tmp_path):
    path = saved(original("squeezenet1_1").state_dict(), tmp_path)
    x = images(3, (3, 64, 64))
    assert torchvision_model("squeezenet1_1")(x).min() >= 0
    assert torchvision_model("squeezenet1_1", weights=path)(x).min() >= 0
    new = torchvision_model("squeezenet1_1", 40, (3, 64, 64), weights=path)
    assert new(x).min() < 0
    saved(new.state_dict(), tmp_path)
    again = torchvision_model("squeezenet1_1", 40, (3, 64, 64), weights=path)
    torch.testing.assert_close(again(x), new.eval()(x))


# --- weights ------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_files_of_training_scripts(key, tmp_path):
    model = original(SMALL)
    weights = {f"module.{k}": v.half() for k, v in model.state_dict().items()}
    path = saved({"epoch": 3, key: weights}, tmp_path)
    loaded = torchvision_model(SMALL, weights=path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    expected = model.half().float().fc.weight
    assert torch.equal(loaded.head.weight, expected)


@pytest.mark.parametrize("n_classes", [None, 10, 1000])
@pytest.mark.parametrize("n_given", [10, 1000])
def test_a_head_is_kept_where_it_fits(n_given, n_classes, tmp_path):
    model = original(SMALL, num_classes=n_given)
    path = saved(model.state_dict(), tmp_path)
    if n_classes is None and n_given != 1000:
        with pytest.raises(
            ValueError, match=r"head has 10 classes; expected 1000.*=10"
        ):
            torchvision_model(SMALL, weights=path)
        return
    loaded = torchvision_model(SMALL, n_classes, weights=path)
    kept = n_given == (n_classes or 1000)
    assert torch.equal(loaded.head.weight[:9], model.fc.weight[:9]) == kept
    assert loaded.training != kept
    assert loaded.head.out_features == (n_classes or 1000)


def test_a_file_without_a_head_will_do_for_a_new_one(tmp_path):
    weights = original(SMALL).state_dict()
    del weights["fc.weight"], weights["fc.bias"]
    path = saved(weights, tmp_path)
    assert torchvision_model(SMALL, 4, weights=path).head.out_features == 4
    with pytest.raises(ValueError, match=r"there is no 'fc.weight' and 1 more"):
        torchvision_model(SMALL, weights=path)


@pytest.mark.parametrize("channels", [1, 3])
def test_own_weights_bring_their_scaling(channels, tmp_path):
    x = images(8, (channels, 32, 32))
    model = torchvision_model(SMALL, 4, (channels, 32, 32))
    model.standardize.adapt([(x, None)])
    model(x)
    path = saved(model.eval().state_dict(), tmp_path)
    loaded = torchvision_model(SMALL, 4, (channels, 32, 32), weights=path)
    assert not loaded.training
    torch.testing.assert_close(loaded(x), model(x))
    other = torchvision_model(SMALL, 5, (channels, 32, 32), weights=path, mean=1, std=2)
    assert same_weights(other.backbone, model.backbone)
    assert (other.standardize.mean == 1).all()
    with pytest.raises(ValueError, match="head has 4 classes"):
        torchvision_model(SMALL, weights=path)


def test_own_weights_that_saw_no_data_learn_their_scaling(tmp_path):
    path = saved(torchvision_model(SMALL, 4, (1, 32, 32)).state_dict(), tmp_path)
    loaded = torchvision_model(SMALL, 4, (1, 32, 32), weights=path)
    assert not loaded.standardize.adapted
    loaded.standardize.adapt([(images(4, (1, 32, 32)), None)])
    loaded(images(4, (1, 32, 32)))


def test_googlenet_is_scaled_as_torchvision_does_inside(tmp_path):
    model = original("googlenet", init_weights=False, transform_input=True)
    path = saved(model.state_dict(), tmp_path)
    loaded = torchvision_model("googlenet", weights=path)
    assert not any("aux" in name for name, _ in loaded.named_parameters())
    x = images(2, (3, 64, 64))
    loaded.double(), model.double()
    with torch.no_grad():
        expected = model((x.double() / 255 - MEAN) / STD)
        torch.testing.assert_close(loaded(x), expected, rtol=1e-4, atol=1e-5)


def test_auxiliary_heads_of_inception_are_left_out(on_meta):
    whole = models.inception_v3(init_weights=False).state_dict()
    whole._metadata = {}
    weights = _torchvision.Weights(whole, "file", 0, 1, own=False)
    model, kept = _torchvision.build("inception_v3", None, 3, weights)
    assert kept
    assert model.AuxLogits is None


def test_densenet_of_the_old_names(tmp_path):
    model = original("densenet121")
    old = {
        key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value
        for key, value in model.state_dict().items()
    }
    assert any(".denselayer1.conv.2." in key for key in old)
    loaded = torchvision_model("densenet121", weights=saved(old, tmp_path))
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(loaded.head(loaded.backbone(x)), model(x))


def test_mnasnet_without_its_version(tmp_path):
    weights = original("mnasnet0_5").state_dict()
    loaded = torchvision_model("mnasnet0_5", weights=saved(weights, tmp_path))
    plain = torchvision_model("mnasnet0_5", weights=saved({**weights}, tmp_path))
    assert same_weights(loaded, plain)


def test_a_vit_tells_its_size_by_its_weights():
    state = {
        "encoder.pos_embedding": torch.empty(1, 24**2 + 1, 8),
        "conv_proj.weight": torch.empty(8, 3, 16, 16),
    }
    assert _torchvision._image_size(state) == {"image_size": 384}
    assert _torchvision._image_size({}) == {}


def test_published_weights_without_a_network(offline):
    with pytest.raises(
        ConnectionError,
        match=r"no route to host.*https://download.pytorch.org/\S+\.pth .*as weights=",
    ):
        torchvision_model("mobilenet_v2", weights="DEFAULT")


@pytest.mark.parametrize("member", ["name", "default", "enum"])
def test_published_weights_that_were_downloaded(offline, member):
    enum = models.MobileNet_V2_Weights.IMAGENET1K_V2
    weights = {"name": "IMAGENET1K_V2", "default": "DEFAULT", "enum": enum}[member]
    offline.mkdir()
    model = original("mobilenet_v2")
    torch.save(model.state_dict(), offline / enum.url.rpartition("/")[2])
    loaded = torchvision_model("mobilenet_v2", weights=weights)
    assert torch.equal(loaded.head.weight, model.classifier[1].weight)
    torch.testing.assert_close(loaded.standardize.mean, 255 * MEAN)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            "absent.pth",
            r"weights='absent.pth', and there is no such file; expected 'IM",
        ),
        ("imagenet1k_v1", "no such file; expected 'IMAGENET1K_V1', 'DEFAULT' of shuff"),
        (True, "Got weights=True; expected"),
        (models.ResNet18_Weights.DEFAULT, "Got weights=ResNet18_Weights.*; expected"),
    ],
    ids=stable_repr,
)
def test_other_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        torchvision_model(SMALL, weights=weights)


def test_other_files_are_refused(tmp_path):
    def refused(content, message, name=SMALL):
        with pytest.raises(ValueError, match=message):
            torchvision_model(name, weights=saved(content, tmp_path))

    refused([1, 2], "weights.pt', which holds no state dict")
    refused(nn.Linear(2, 3), "no file of tensors")
    refused({}, "there is no 'conv1.0.weight' and")
    weights = original(SMALL).state_dict()
    refused(weights, "no 'conv1.weight' and 99 more, there is 'conv1.0", "resnet18")
    weights["conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
    refused(
        weights, r"weights.pt', whose weights are not those of shufflenet_v2_x0_5: "
    )
    refused(weights, r"'conv1.0.weight' has shape \(24, 3, 5, 5\), expected \(24, 3, 3")


# --- the first layers ---------------------------------------------------------------

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


def maps_of(model, last_layer, x):
    """What a layer gives within the whole network."""
    caught = []
    handle = model.get_submodule(last_layer).register_forward_hook(
        lambda module, inputs, output: caught.append(output.detach().clone())
    )
    with torch.no_grad():
        model(x)
    handle.remove()
    return caught[0]


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


# --- images -------------------------------------------------------------------------


def test_gray_images_are_repeated(tmp_path):
    path = saved(original(SMALL).state_dict(), tmp_path)
    gray = images(3, (1, 32, 32))
    for model in (
        torchvision_model(SMALL, 4, (1, 32, 32), weights=path),
        torchvision_model(SMALL, weights=path),
        torchvision_model(SMALL, 4, (1, 32, 32), mean=100, std=50),
    ):
        assert model.eval().standardize.mean.shape == (3, 1, 1)
        torch.testing.assert_close(model(gray), model(gray.expand(-1, 3, -1, -1)))
    model = torchvision_model(SMALL, 4, (1, 32, 32)).eval()
    model.standardize.adapt([(gray, None)])
    assert model(gray).shape == (3, 4)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", SMALL])
@pytest.mark.parametrize("channels", [2, 5])
def test_other_channels_without_weights(name, channels):
    model = torchvision_model(name, 4, (channels, 32, 32))
    x = images(3, (channels, 32, 32))
    assert model.standardize.adapt([(x, None)]).mean.shape == (channels, 1, 1)
    assert model.train()(x).shape == (3, 4)
    with pytest.raises(ValueError, match=f"images of {channels} channels and weights="):
        torchvision_model(name, 4, (channels, 32, 32), weights="DEFAULT")


@pytest.mark.parametrize("size", [40, 96])
def test_images_are_resized(size):
    options = {"size": size, "mean": 7, "std": 9}
    model = torchvision_model(SMALL, 4, (3, 64, 80), **options).double().eval()
    x = images(3, (3, 64, 80))
    resized = resize(x.double(), [size, size], antialias=True)
    expected = model.head(model.backbone((resized - 7) / 9))
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(model(resized), expected)
    narrow = model(x[..., :64])
    assert not torch.allclose(narrow, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnet", "images of 32 x 32 pixels, which alexnet does not .*size=224 to"),
        ("inception_v3", "size=299 to resize"),
        ("maxvit_t", "size=224 to resize"),
        ("vit_b_16", "Wrong image height! Expected 224 but got 32.*size=224 to"),
    ],
)
def test_images_of_a_wrong_size_are_refused(on_meta, name, message):
    model, _ = _torchvision.build(name, 4, 3, None)
    with pytest.raises(ValueError, match=message):
        _torchvision.check_takes(name, model, (3, 32, 32))
    size = 299 if name == "inception_v3" else 224
    _torchvision.check_takes(name, model, (3, size, size))
    assert all(part.training for part in model.modules())


def test_the_size_is_checked_when_built():
    with pytest.raises(ValueError, match=r"images of 2 x 2 pixels.*Pass size="):
        torchvision_model("squeezenet1_1", 4, (3, 2, 2))
    torchvision_model("squeezenet1_1", 4, (3, 2, 2), size=32)
    with pytest.raises(ValueError, match=r"images of 2 x 2 pixels"):
        torchvision_model("squeezenet1_1", 4, (3, 32, 32), size=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mobilenetv2"}, "name='mobilenetv2'; expected .*'mobilenet_v2'"),
        ({"name": "fcn_resnet50"}, "expected a classifier of torchvision"),
        ({"n_classes": 0}, "n_classes=0: expected an int of at least 1"),
        ({"size": 0}, "size=0: expected an int of at least 1"),
        ({"input_shape": (7,)}, r"input_shape=\(7,\): expected \(C, H, W\)"),
        ({"mean": 3}, "expected both or none"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        torchvision_model(**{"name": SMALL, **arguments})


# --- as a module --------------------------------------------------------------------


@pytest.mark.parametrize("last_layer", [None, "stage3"])
@pytest.mark.parametrize("frozen", [False, True])
def test_copies_are_equal(frozen, last_layer):
    settings = {"freeze": frozen, "last_layer": last_layer}
    model = torchvision_model(SMALL, 4, (3, 32, 32), mean=1, std=2, **settings)
    x = images(3)
    model.eval()
    copied = pickle.loads(pickle.dumps(model))
    assert isinstance(copied, TorchvisionModel)
    assert torch.equal(copied(x), model(x))
    assert fingerprint(copied) == fingerprint(model)
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    other = torchvision_model(SMALL, 4, (3, 32, 32), **settings)
    assert fingerprint(other) != fingerprint(model)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(x), model(x))
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        other.to(memory_format=torch.channels_last)(last), model(x)
    )


@pytest.mark.parametrize("last_layer", [None, "stage2"])
def test_export(last_layer):
    settings = {"freeze": True, "size": 48, "last_layer": last_layer}
    model = torchvision_model(SMALL, 4, (3, 32, 32), **settings).eval()
    x, n = images(2), torch.export.Dim("n")
    program = torch.export.export(model, (x,), dynamic_shapes=({0: n},))
    more = images(4, seed=1)
    torch.testing.assert_close(program.module()(more), model(more))


def test_a_frozen_backbone_stays_as_it_is(tmp_path):
    path = saved(original("mobilenet_v2").state_dict(), tmp_path)
    model = torchvision_model("mobilenet_v2", 4, (3, 32, 32), weights=path, freeze=True)
    x = images(6)
    before = pickle.dumps(model.backbone.state_dict())
    assert model.train() is model
    assert (model.training, model.head.training) == (True, True)
    assert not any(part.training for part in model.backbone.modules())
    features = model.backbone(model.standardize(x))
    assert not features.requires_grad
    assert torch.equal(features, model.backbone(model.standardize(x)))  # no dropout
    model(x).sum().backward()
    assert pickle.dumps(model.backbone.state_dict()) == before
    assert [n for n, p in model.named_parameters() if p.grad is not None] == [
        "head.weight",
        "head.bias",
    ]
    assert not model.eval().head.training


# --- in the estimator ---------------------------------------------------------------


def colours(n=48):
    """Images of three classes that a mean tells apart, and their labels."""
    x = images(n).numpy() // 4
    y = np.arange(n) % 3
    x[np.arange(n), y] += 120
    return x, np.array(["blue", "green", "red"])[y]


def net(**params):
    defaults = {"module__name": SMALL, "max_epochs": 1, "random_state": 0}
    return DistilledClassifier(torchvision_model, **{**defaults, **params})


def test_a_student_from_random_weights():
    x, y = colours()
    teacher = net(max_epochs=2, lr=0.01).fit(x, y)
    assert teacher.module_.standardize.adapted
    assert teacher.module_.head.out_features == 3
    student = net(teacher=teacher)
    proba = student.fit(x, y).predict_proba(x)
    assert student.cache_info_.misses == len(x)
    again = clone(student).fit(x, y)
    assert again.cache_info_.hits == len(x)
    np.testing.assert_array_equal(again.predict_proba(x), proba)
    back = pickle.loads(pickle.dumps(student))
    np.testing.assert_array_equal(back.predict_proba(x), proba)
    module = net(teacher=teacher.module_.eval()).fit(x, y)  # the bare network teaches
    np.testing.assert_allclose(module.predict_proba(x), proba, atol=1e-4)


def test_backbone_and_head_learn_at_rates_of_their_own():
    x, y = colours(24)
    groups = [("backbone.*", {"lr": 0.0})]
    built = net(optimizer__param_groups=groups, lr=0.1).fit(x, y)
    rates = {
        name: group["lr"]
        for group in built.optimizer_.param_groups
        for name, parameter in built.module_.named_parameters()
        if any(parameter is p for p in group["params"])
    }
    assert len(rates) == len([*built.module_.parameters()])
    for name, rate in rates.items():
        assert rate == (0.0 if name.startswith("backbone.") else 0.1), name
    fresh = net(optimizer__param_groups=groups, classes=sorted(set(y)))
    fresh = fresh.set_params(module__n_classes=3, module__input_shape=(3, 32, 32))
    fresh.initialize()
    for name, parameter in built.module_.named_parameters():
        moved = not torch.equal(parameter, fresh.module_.get_parameter(name))
        assert moved == name.startswith("head."), name


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_the_head_of_a_frozen_network_learns(optimizer, precision, tmp_path):
    path = saved(original(SMALL).state_dict(), tmp_path)
    x, y = colours()
    given = {"module__weights": path, "module__freeze": True, "precision": precision}
    frozen = net(optimizer=optimizer, lr=0.01, max_epochs=3, **given).fit(x, y)
    loaded = torchvision_model(SMALL, weights=path)
    assert same_weights(frozen.module_.backbone, loaded.backbone)
    assert frozen.history[-1, "train_loss"] < frozen.history[0, "train_loss"]
    assert np.isfinite(frozen.predict_proba(x)).all()
    frozen.partial_fit(x, y)
    assert same_weights(frozen.module_.backbone, loaded.backbone)
    assert not clone(frozen).fit(x, y).module_.backbone.training


def test_a_built_model_is_a_template(tmp_path):
    model = torchvision_model(SMALL, 3, (3, 32, 32), freeze=True)
    before = pickle.dumps(model.state_dict())
    x, y = colours(24)
    fitted = DistilledClassifier(model, max_epochs=1, random_state=0).fit(x, y)
    assert pickle.dumps(model.state_dict()) == before
    assert same_weights(fitted.module_.backbone, model.backbone)


def test_images_too_small_are_refused_before_training():
    x, y = colours(24)
    with pytest.raises(ValueError, match=r"alexnet does not take.*Pass size=224"):
        net(module__name="alexnet").fit(x, y)


# --- real weights and images --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "count", "options"),
    [
        (
            "mobilenet_v2",
            "mobilenet_v2-imagenet-tfslim-ptq-fp16.pt",
            3_504_872,
            {"mean": 127.5, "std": 127.5},
        ),
        (
            "squeezenet1_0",
            "squeezenet1_0-imagenet-deepcompression-fp16.pt",
            1_248_424,
            {},
        ),
    ],
)
def test_public_weights(real_data, tmp_path, name, file, count, options):
    model = torchvision_model(name, weights=real_data / "weights" / file, **options)
    assert sum(p.numel() for p in model.parameters()) == count
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    with tarfile.open(real_data / "sports_balls.tar") as archive:
        members = [m for m in archive if "test/golf_ball" in m.name and m.isfile()][:12]
        pixels = [read(archive, member, 224) for member in members]
    with torch.inference_mode():
        predicted = model(torch.from_numpy(np.stack(pixels))).argmax(dim=1)
    assert (predicted == 574).float().mean() >= 0.5  # ImageNet's golf ball


def read(archive, member, size):
    image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
    return np.asarray(image.resize((size, size))).transpose(2, 0, 1)


def test_a_teacher_from_real_weights_and_a_few_images(real_data, tmp_path):
    with tarfile.open(real_data / "road_clean_dirty.tar") as archive:
        small = [m for m in archive if m.isfile() and m.size < 100_000]
        for folder in ("clean", "dirty"):
            named = [m for m in small if f"{folder}/" in m.name][:36]
            archive.extractall(tmp_path, named, filter="data")
    road = load_image_folder(next(tmp_path.rglob("clean")).parent)
    X = ImageReader(size=96).fit_transform(road.data)
    test = np.arange(len(X)) % 3 == 0
    teacher = DistilledClassifier(
        torchvision_model,
        module__name="mobilenet_v2",
        module__weights=real_data
        / "weights"
        / "mobilenet_v2-imagenet-tfslim-ptq-fp16.pt",
        module__mean=127.5,
        module__std=127.5,
        module__freeze=True,
        module__size=128,
        optimizer=torch.optim.Adam,
        lr=0.005,
        batch_size=16,
        max_epochs=6,
        random_state=0,
    )
    teacher.fit(X[~test], road.target[~test])
    assert teacher.score(X[test], road.target[test]) > 0.8


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
