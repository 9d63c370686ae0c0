"""The script of the brain MRI reproduction does what it says, on a slice."""

import argparse
import tarfile

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from skkd.students import torchvision_model

TITLES = [
    "plain student",
    "distilled student",
    "teacher",
    "ensemble of distilled students",
    "ensemble distilled back",
]
# The teacher has random weights, in eval mode, and learns for one epoch.
pytestmark = pytest.mark.filterwarnings("ignore:.*(constant|chance|guess)")


@pytest.fixture
def script(example):
    return example("reproduce_brain_mri")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.pth"
    torch.save(torchvision.models.mobilenet_v2().state_dict(), path)
    return path


def picture(rng, bright):
    """A blob, bright in one corner, with an even margin."""
    pixels = np.kron(rng.integers(40, 200, (8, 8)), np.ones((8, 8)))
    pixels[: 24 * bright, :24] = 255
    return Image.fromarray(np.pad(pixels, 8).astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(80):
        place = tmp_path / ("no", "yes")[number % 2]
        place.mkdir(exist_ok=True)
        picture(rng, number % 2).save(place / f"{number}.png")
    return tmp_path


def table(out):
    """Return title, accuracy and parameters of each line of the table."""
    lines = [line.strip("| ").split(" | ") for line in out.splitlines()]
    return {
        title: (accuracy, params)
        for title, accuracy, params, *_ in (row for row in lines if len(row) == 5)
        if title in TITLES
    }


def test_all_networks_in_a_table(script, folder, weights, monkeypatch, run):
    resume = folder / "fits.jsonl"
    common = ["--data", folder, "--weights", weights, "--resume", resume]
    out = run(script, *common, "--quick", "--seeds", 1)
    found = table(out)
    assert list(found) == TITLES
    # A student has what torchvision_model(until="features.9") has, the teacher more.
    student = torchvision_model("mobilenet_v2", 2, until="features.9")
    n_parameters = f"{sum(p.numel() for p in student.parameters()):,}"
    assert [found[title][1] for title in TITLES[:2]] == [n_parameters] * 2
    assert found["ensemble distilled back"][1] == n_parameters
    assert "20 images of 20 different pictures" in out
    assert "distilled student against plain student: " in out
    assert "1 seed x 2 folds, 8 test rows in 8 groups" in out
    # What is in the file is not trained again, and gives the same table.
    monkeypatch.setattr(script, "fit_fold", None)
    again = run(script, *common, "--quick", "--seeds", 1)
    assert table(again) == found
    monkeypatch.setitem(script.TAUGHT, "alpha", 0.5)
    with pytest.raises(SystemExit, match="other settings"):
        run(script, *common, "--quick", "--seeds", 1)


def test_copies_are_known_whatever_their_size_and_margin(script):
    rng = np.random.default_rng(0)
    images = [picture(rng, bright) for bright in (0, 0, 1)]
    copy = images[0].crop((4, 6, 76, 76)).resize((150, 130))
    found = [script.content(np.asarray(image)) for image in (*images, copy)]
    alike = np.corrcoef(found) > 0.95
    assert alike[0].tolist() == [True, False, False, True]


def test_a_network_is_the_cut_one_behind_its_first_layers(script, weights):
    """Run in two parts, with the views of an image behind it, it says the same."""
    args = argparse.Namespace(weights=weights, mean=127.5, std=127.5, views=2)
    X = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64), dtype=np.uint8)
    maps = torch.from_numpy(script.first_layers(args, X))
    net = script.LastLayers(2, until=9, fixed=0, **script.weights(args)).eval()
    whole = torchvision_model(
        "mobilenet_v2", 2, until="features.9", **script.weights(args)
    ).eval()
    whole.head = net.head
    with torch.no_grad():
        x = torch.from_numpy(X).expand(-1, 3, -1, -1)
        assert torch.allclose(net(maps), whole(x), atol=1e-5)
        seeds = torch.tensor([0, 1, 2, 3])
        views = script.AUGMENT(torch.from_numpy(X), 4 * (1 + seeds % 2) + seeds)
        shown = script.OneView()(maps, seeds)
        assert torch.allclose(net(shown), whole(views.expand(-1, 3, -1, -1)), atol=1e-5)


def test_what_is_fixed_does_not_learn(script, weights):
    params = {"weights": weights, "mean": 127.5, "std": 127.5}
    net = script.LastLayers(2, until=11, fixed=2, **params).train()
    parts = [*net.body.features]
    learning = [any(p.requires_grad for p in part.parameters()) for part in parts]
    assert learning == [False, False, True, True, True]
    assert not any(part.training for part in parts)
    assert net.head.training


def test_the_study_runs(example, folder, weights, run):
    common = ["--data", folder, "--weights", weights, "--quick", "--trials", 2]
    out = run(example("study_brain_mri"), *common)
    assert "16 rows" in out
    assert out.count("COMPLETE") == 2


# After one epoch on 51 images the students of the slice may be sure of all of them.
@pytest.mark.filterwarnings("ignore:.saturated:UserWarning")
def test_on_the_data_itself(script, real_data, tmp_path, run):
    with tarfile.open(real_data / "brain_mri_yes_no.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    (data,) = {path.parent.parent for path in tmp_path.rglob("yes/*")}
    (weights,) = (real_data / "weights").glob("mobilenet_v2*.pt")
    common = ["--data", data, "--quick", "--seeds", 1, "--weights", weights]
    scale = ["--mean", 127.5, "--std", 127.5]
    out = run(script, *common, *scale)
    assert "64 images" in out
    assert list(table(out)) == TITLES
