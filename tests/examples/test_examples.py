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


def test_quickstart_is_the_function_of_the_library(
    example, run, folder, tmp_path, monkeypatch
):
    asked = {}
    monkeypatch.setattr(
        example("quickstart"), "distill_folder", lambda **a: asked.update(a) or "told"
    )
    out = run(example("quickstart"), folder, "--out", tmp_path, "--size", 8)
    assert out == "told\n"
    assert asked == {
        **{"folder": str(folder), "out": str(tmp_path), "size": 8},
        **{"teacher": "auto", "epochs": None, "search": False},
    }


def test_the_optuna_study_keeps_copies_together(example):
    from sklearn.utils import Bunch

    groups = np.repeat(np.arange(30), 2)
    photos = Bunch(data=np.arange(60), target=np.tile([0, 0, 1, 1], 15), groups=groups)
    train, test = example("optuna_study").split(photos)
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
