"""The script of the road photographs does what it says, on a slice."""

import re
import tarfile

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from skkd.images import ImageFolderWarning


@pytest.fixture
def script(example):
    return example("reproduce_road")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.pth"
    torch.save(torchvision.models.mobilenet_v2().state_dict(), path)
    return path


def picture(number):
    """A photograph that is like no other."""
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((80, 60))


@pytest.fixture
def folder(tmp_path):
    for number in range(80):
        place = tmp_path / "photos" / ("clean", "dirty")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(number).save(place / f"{number:03d}.png")
    return tmp_path / "photos"


@pytest.mark.slow  # the other reproductions run the same way
# Weights at random, in eval mode: hardly a row differs from another.
@pytest.mark.filterwarnings("ignore:.constant-output:UserWarning")
def test_a_slice_goes_through(script, folder, weights, run):
    options = ["--weights", weights, "--mean", 127.5, "--std", 127.5, "--seeds", 1]
    out = run(script, "--data", folder, "--quick", *options)
    assert "10 photographs, 10 different ones" in out
    rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines()]
    size = {(row[1], row[2]): row[4] for row in rows if len(row) == 8}
    # A MobileNetV2 has 3,504,872 parameters, 1,281,000 of them in its 1000 logits.
    layers, nothing = "pretrained first layers", "from nothing"
    assert size[layers, "plain student"] == "182,546"
    assert size[layers, "distilled student"] == "182,546"
    assert size[nothing, "distilled student"] == "169,122"
    assert size[nothing, "teacher"] == "2,226,434"
    assert re.search(r"1 seed x 5 folds, 10 test rows in 10 groups", out)


def test_copies_in_another_encoding_are_one_picture(script, tmp_path):
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")
    picture(1).save(tmp_path / "smaller.jpg", quality=60)
    picture(1).resize((200, 150)).save(tmp_path / "larger.webp")
    names = ["0.png", "1.png", "2.png", "smaller.jpg", "larger.webp"]
    groups = script.group_alike(
        np.array([str(tmp_path / name) for name in names]), 0.99
    )
    assert groups.tolist() == [0, 1, 2, 1, 1]


def test_only_the_warning_of_identical_files_is_dealt_with(script, folder):
    (folder / "clean" / "copy.png").write_bytes(
        (folder / "clean" / "000.png").read_bytes()
    )
    paths, _, groups = script.load(folder)
    assert len(paths) == 81 and len(set(groups)) == 80
    (folder / "dirty" / "notes.txt").write_text("litter")
    with pytest.warns(ImageFolderWarning, match=r"notes\.txt"):
        script.load(folder)


@pytest.mark.slow
def test_the_photographs_as_published(script, real_data, tmp_path):
    with tarfile.open(real_data / "road_clean_dirty.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    root = next(path.parent for path in tmp_path.rglob("clean") if path.is_dir())
    paths, y, groups = script.load(root)
    assert len(paths) == 234 and len(set(groups)) == 223
    for seed in range(5):
        for train, test in script.grouped_folds(seed).split(paths, y, groups):
            assert not set(groups[train]) & set(groups[test])
