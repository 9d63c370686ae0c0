"""torchvision_model: every family, images, copies, and the estimator."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torchvision import models
from torchvision.transforms.functional import resize
from torchvision_originals import (
    FAMILIES,
    MEAN,
    REAL,
    SMALL,
    STD,
    images,
    meta_networks,
    original,
    same_weights,
    saved,
)

from skkd import DistilledClassifier
from skkd.memory._fingerprint import fingerprint
from skkd.students import TorchvisionModel, _torchvision, torchvision_model


@pytest.fixture
def on_meta(monkeypatch):
    with meta_networks(monkeypatch):
        yield


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def colours(n=48):
    """Images of three classes that a mean tells apart, and their labels."""
    x = images(n).numpy() // 4
    y = np.arange(n) % 3
    x[np.arange(n), y] += 120
    return x, np.array(["blue", "green", "red"])[y]


def net(**params):
    defaults = {"module__name": SMALL, "max_epochs": 1, "random_state": 0}
    return DistilledClassifier(torchvision_model, **{**defaults, **params})


@pytest.mark.slow
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
