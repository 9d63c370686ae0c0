"""The examples do what they say, on few small images."""

import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Bright and dark squares: two classes that a tiny network can tell apart."""
    rng = np.random.default_rng(0)
    for name, level in {"bright": 200, "dark": 60}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(24):
            pixels = rng.normal(level, 20, (12, 12, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_quickstart_on_a_folder(example, run, folder, tmp_path):
    page = tmp_path / "page.html"
    options = ["--size", 8, "--epochs", 6, "--html", page]
    out = run(example("quickstart"), folder, *options)
    assert "36 images to learn from, 12 to test, 2 classes" in out
    assert re.search("^ +teacher +distilled +plain$", out, re.M)
    table = {}
    for name in ("accuracy", "precision", "recall", "parameters", "bytes"):
        values = re.search(f"^{name} +(.+)$", out, re.M)[1].replace(",", "")
        table[name] = [float(value) for value in values.split()]
    assert table["accuracy"][0] == table["precision"][0] == table["recall"][0] == 1.0
    assert table["parameters"][0] > 10 * table["parameters"][1]
    assert table["parameters"][1] == table["parameters"][2]
    assert table["bytes"][0] > 4 * table["parameters"][0]
    assert "12 rows, 2 classes" in out
    assert "<h1>photos: teacher and students</h1>" in page.read_text()


def test_quickstart_writes_the_digits(example, tmp_path):
    root = example("quickstart").write_digits(tmp_path)
    assert len(list(root.glob("digit_*/*.png"))) == 1797


def test_the_split_keeps_copies_together(example):
    from sklearn.utils import Bunch

    groups = np.repeat(np.arange(30), 2)
    photos = Bunch(data=np.arange(60), target=np.tile([0, 0, 1, 1], 15), groups=groups)
    train, test = example("quickstart").split(photos)
    assert not set(groups[train]) & set(groups[test])
    assert len(train) + len(test) == 60


def test_optuna_study_resumes(example, run, folder, tmp_path):
    import optuna

    optuna_study = example("optuna_study")
    common = [folder, "--size", 8, "--epochs", 2, "--study", tmp_path / "s.db"]
    assert "0 trials done, 1 to go" in run(optuna_study, *common, "--trials", 1)
    out = run(optuna_study, *common, "--trials", 2)
    assert "1 trials done, 1 to go" in out
    assert re.search(r"best student: [01]\.\d+ on 12 images", out)
    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path / 's.db'}")
    assert name == "photos, 8 pixels, 2 epochs"
