"""Weights of torchvision's networks: from files, downloaded, and real ones."""

import tarfile
import urllib.error

import numpy as np
import pytest
import torch
from helpers import stable_repr
from torch import nn
from torchvision import models
from torchvision_originals import (
    MEAN,
    SMALL,
    STD,
    images,
    meta_networks,
    original,
    read,
    same_weights,
    saved,
)

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.students import _torchvision, torchvision_model


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and nothing downloaded before; the folder of downloads."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


@pytest.fixture
def on_meta(monkeypatch):
    with meta_networks(monkeypatch):
        yield


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
