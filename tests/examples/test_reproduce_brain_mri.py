"""The script of the brain MRI reproduction does what it says, on a slice."""

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


@pytest.mark.slow
def test_all_networks_in_a_table(script, folder, weights, monkeypatch, run):
    resume = folder / "fits.jsonl"
    common = ["--data", folder, "--weights", weights, "--resume", resume]
    out = run(script, *common, "--quick", "--seeds", 1)
    found = table(out)
    assert list(found) == TITLES
    # A student has what torchvision_model(last_layer=) has, the teacher more.
    student = torchvision_model("mobilenet_v2", 2, last_layer="features.9")
    n_parameters = f"{sum(p.numel() for p in student.parameters()):,}"
    assert [found[title][1] for title in TITLES[:2]] == [n_parameters] * 2
    assert found["ensemble distilled back"][1] == n_parameters
    assert "20 images in 20 groups" in out
    assert "distilled student against plain student: " in out
    assert "1 seed x 2 folds, 8 test rows in 8 groups" in out
    # What is in the file is not trained again, and gives the same table.
    monkeypatch.setattr(script, "fit_fold", None)
    again = run(script, *common, "--quick", "--seeds", 1)
    assert table(again) == found
    monkeypatch.setitem(script.TAUGHT, "alpha", 0.5)
    with pytest.raises(SystemExit, match="other settings"):
        run(script, *common, "--quick", "--seeds", 1)


def test_copies_are_known_whatever_their_size_and_margin(script, tmp_path):
    rng = np.random.default_rng(0)
    images = [picture(rng, bright) for bright in (0, 0, 1)]
    images.append(images[0].crop((4, 6, 76, 76)).resize((150, 130)))
    paths = np.array([str(tmp_path / f"{number}.png") for number in range(4)])
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    groups = script.group_alike(paths, 0.95, trim=True)
    assert groups.tolist() == [0, 1, 2, 0]


def test_on_request_only_identical_files_are_copies(script, folder):
    (folder / "no" / "copy.png").write_bytes((folder / "no" / "0.png").read_bytes())
    smaller = Image.open(folder / "yes" / "1.png").resize((90, 90))
    smaller.save(folder / "yes" / "copy.png")
    options = ["--data", str(folder), "--identical"]
    for known, n_groups in ((options[:2], 80), (options, 81)):
        _, y, groups = script.load(script.options("").parse_args(known))
        assert len(y) == 82
        assert len(set(groups)) == n_groups


def test_a_network_is_the_cut_one_seen_from_both_sides(script, weights):
    params = {"weights": weights, "mean": 127.5, "std": 127.5}
    net = script.FirstLayers(2, until=9, fixed=7, **params).eval()
    whole = torchvision_model(
        "mobilenet_v2", 2, last_layer="features.9", **params
    ).eval()
    whole.head = net.head[-1]
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64)))
    with torch.no_grad():
        mean = (whole(x) + whole(x.flip(3))) / 2
        assert torch.allclose(net(x), mean, atol=1e-6)


def test_what_is_fixed_does_not_learn(script, weights):
    params = {"weights": weights, "mean": 127.5, "std": 127.5}
    net = script.FirstLayers(2, until=11, fixed=10, **params).train()
    parts = net.body.backbone.features
    learning = [any(p.requires_grad for p in part.parameters()) for part in parts]
    assert learning == [False] * 10 + [True] * 2
    assert not any(part.training for part in parts.modules())
    assert net.head.training


@pytest.mark.slow
def test_the_study_runs(example, folder, weights, run):
    common = ["--data", folder, "--weights", weights, "--quick", "--trials", 2]
    out = run(example("study_brain_mri"), *common)
    assert "16 rows" in out
    assert out.count("COMPLETE") == 2


# After one epoch on 51 images the students of the slice may be sure of all of them.
@pytest.mark.slow
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


@pytest.mark.slow
def test_an_ensemble_of_pretrained_networks_and_its_curve(
    example, folder, weights, monkeypatch, run
):
    script = example("ensemble_brain_mri")
    monkeypatch.setattr(script, "is_installed", lambda name: False)
    resume = folder / "fits.jsonl"
    common = ["--data", folder, "--weights", weights, "--resume", resume]
    out = run(script, *common, "--quick", "--seeds", 1)
    rows = [line.strip("| ").split(" | ") for line in out.splitlines()]
    curve = [row for row in rows if row[0].endswith(" %")]
    assert [row[0] for row in curve] == ["12.5 %", "25 %", "50 %", "75 %", "100 %"]
    # One network: the mean of all is that network.
    assert all(row[1] == row[2] for row in curve)
    for title in script.TITLES.values():
        assert any(row[0] == title for row in rows)
    # The fits are in the file.
    monkeypatch.setattr(script, "fit_fold", None)
    again = run(script, *common, "--quick", "--seeds", 1)
    assert again.split("| network")[1] == out.split("| network")[1]
