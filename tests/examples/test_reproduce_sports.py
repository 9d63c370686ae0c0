"""The script of the sports balls does what it says, on a slice."""

import shutil
import tarfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import mobilenet_v2

from skkd.images import ImageFolderWarning

PIXELS = ["--mean", 127.5, "--std", 127.5]


@pytest.fixture
def script(example):
    return example("reproduce_sports")


@pytest.fixture
def weights(tmp_path):
    """A file of a whole MobileNetV2, which learnt nothing."""
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), tmp_path / "mobilenet_v2.pth")
    return tmp_path / "mobilenet_v2.pth"


@pytest.fixture
def folder(tmp_path):
    """Three classes in test/, more of one of them in train/."""
    rng = np.random.default_rng(0)
    levels = {"black": 40, "gray": 120, "white": 210}
    for part, names in {"test": list(levels), "train": ["white"]}.items():
        for name in names:
            (tmp_path / "balls" / part / name).mkdir(parents=True)
            for i in range(48):
                pixels = rng.normal(levels[name], 20, (12, 12, 3)).clip(0, 255)
                path = tmp_path / "balls" / part / name / f"{i:02}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "balls"


def cells(out, begins):
    """Return the cells of the lines of a table whose first cell is one of these."""
    lines = [line.strip("| ").split(" | ") for line in out.splitlines()]
    return [line for line in lines if line[0] in begins]


def test_the_rows_that_test_are_a_quarter_of_test_and_trained_on_nowhere(
    script, folder
):
    for i in range(8):
        shutil.copy(folder / f"test/white/0{i}.png", folder / f"train/white/c{i}.png")
    shutil.copy(folder / "test/black/05.png", folder / "test/black/c.png")
    with pytest.warns(ImageFolderWarning):
        paths, y, groups, train, more, test = script.load(folder, 1)
    parts = [train, more, test]
    assert not set(groups[test]) & set(groups[[*train, *more]])
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    assert {Path(p).parts[-3] for p in paths[[*train, *test]]} == {"test"}
    assert {Path(p).parts[-3] for p in paths[more]} == {"train"}
    assert abs(len(test) - 145 / 4) <= 1 and len(train) + len(test) == 145
    assert np.ptp(np.unique(y[test], return_counts=True)[1]) <= 1
    names = {Path(p).name: i for i, p in enumerate(paths)}
    kept = [names[f"c{i}.png"] in more for i in range(8)]
    # A copy is left out where it would leak, and only there.
    assert kept == [groups[names[f"c{i}.png"]] in groups[train] for i in range(8)]
    assert 0 < sum(kept) < 8


def test_the_first_layers_stay_as_they_are(script, weights):
    args = Namespace(weights=weights, mean=127.5, std=127.5)
    X = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    net = script.network(args, 4, module__last_layer="features.9", max_epochs=1)
    net.fit(X, np.arange(8) % 2)
    learnt = dict(net.module_.named_parameters())
    for name, value in torch.load(weights).items():
        if name.startswith("features.") and f"backbone.{name}" in learnt:
            same = torch.equal(learnt[f"backbone.{name}"], value)
            assert same == (int(name.split(".")[1]) < 4), name


@pytest.mark.slow
# The teacher has random weights, and learns for one epoch.
@pytest.mark.filterwarnings(r"ignore:\[too-sure\]")
def test_the_tables(script, folder, weights, run):
    common = ["--data", folder, "--weights", weights, *PIXELS, "--quick", "--seeds", 1]
    out = run(script, *common)
    assert "13 images to train on and 6 more; 5 to test" in out
    found = cells(out, ["first layers"])
    assert [(line[1], line[3]) for line in found] == [
        ("plain student", "185,283"),
        ("distilled student", "185,283"),
        ("teacher", "2,227,715"),
    ]
    assert "1 seed x 1 fold, 5 test rows" in out
    ways = cells(out, ["as they are", "discarded", "weighted"])
    assert [line[:2] for line in ways] == [
        ["as they are", "19"],
        ["discarded", "12"],
        ["weighted", "19"],
    ]
    assert all(
        0 <= float(cell.split()[0]) <= 100 for line in ways for cell in line[2:5]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings(r"ignore:\[(too-sure|one-sided)\]")  # of one epoch
def test_on_the_data_itself(script, real_data, tmp_path, run):
    with tarfile.open(real_data / "sports_balls.tar") as archive:
        images = [m for m in archive.getmembers() if m.isfile()][::2]
        archive.extractall(tmp_path, members=images, filter="data")
    (folder,) = {path.parents[1] for path in tmp_path.rglob("test/*")}
    (weights,) = (real_data / "weights").glob("mobilenet_v2-*.pt")
    common = ["--data", folder, "--weights", weights, *PIXELS, "--quick", "--seeds", 1]
    out = run(script, *common)
    assert [line[3] for line in cells(out, ["first layers"])] == [
        "186,063",
        "186,063",
        "2,243,087",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The least populated class")  # a class has 4 files
def test_a_teacher_of_features_of_files(script, folder, weights, monkeypatch, run):
    asked = []

    def features(paths, name):
        asked.extend(paths)
        levels = {"black": 0, "gray": 1, "white": 2}
        return {path: np.eye(3)[levels[Path(path).parent.name]] for path in paths}

    monkeypatch.setattr(script, "known_features", features)
    common = ["--data", folder, "--weights", weights, *PIXELS, "--quick"]
    out = run(script, *common, "--seeds", 1, "--teacher", "efficientnet_lite2")
    found = cells(out, ["first layers"])
    assert [row[1] for row in found] == [
        "plain student",
        "distilled student",
        "teacher",
    ]
    # The teacher is no network; what it said of images is asked for by their files.
    assert [row[3].strip() for row in found] == ["185,283", "185,283", ""]
    assert {Path(path).parents[1].name for path in asked} == {"test", "train"}
    assert "from nothing" not in out
