"""The script of the MNIST reproduction does what it says, on a slice."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

LARGER = "ignore:The student MLP.* is larger than its teacher"


@pytest.fixture
def script(example):
    return example("reproduce_mnist")


@pytest.fixture
def digits(tmp_path):
    """Digits of scikit-learn in the size and form of MNIST; two images are in both."""
    images, labels = load_digits(return_X_y=True)
    images = (images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    images = np.pad(
        images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2))
    )
    arrays = {
        "x_train": images[:1200],
        "y_train": labels[:1200],
        "x_test": np.concatenate([images[1200:], images[3:5]]),
        "y_test": np.concatenate([labels[1200:], labels[3:5]]),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    return tmp_path


def table(out):
    """Return title, accuracy and parameters of each line of the table."""
    lines = [line.strip("| ").split(" | ") for line in out.splitlines()]
    rows = [line for line in lines if line[0] in ("784-128-10", "144-256-64-10")]
    return [(title, float(acc.split()[0]), size) for _, title, acc, size, *_ in rows]


@pytest.mark.slow
@pytest.mark.filterwarnings(LARGER)
def test_both_students_and_their_teacher_in_a_table(
    script, digits, monkeypatch, run, tmp_path
):
    common = ["--data", digits, "--quick", "--resume", tmp_path / "fits.jsonl"]
    out = run(script, *common, "--seeds", 1)
    assert "2 training images that are in the test set: dropped" in out
    assert [(title, size) for title, _, size in table(out)] == [
        ("plain student", "101,770"),
        ("distilled student", "101,770"),
        ("teacher", "67,786"),
        ("plain student", "54,218"),
        ("distilled student", "54,218"),
        ("teacher", "67,786"),
    ]
    assert all(accuracy > 30 for _, accuracy, _ in table(out))
    assert "1 seed x 1 fold, 599 test rows" in out
    # What is in the files is not trained again, and gives the same table.
    monkeypatch.setattr("skkd.report._gain._jobs.fit_jobs", lambda *_: iter(()))
    again = run(script, *common, "--seeds", 1)
    assert table(again) == table(out)


@pytest.mark.slow
@pytest.mark.filterwarnings(LARGER)
def test_on_the_data_itself(script, real_data, run):
    out = run(script, "--data", real_data, "--quick", "--seeds", 1)
    assert "0 training images that are in the test set: dropped" in out
    assert all(accuracy > 50 for _, accuracy, _ in table(out))


def test_the_published_teacher_is_the_same_function(script):
    import torch
    from torch import nn

    teacher = script.Teacher(10, (1, 28, 28)).eval()
    scale, conv, pool, relu, *rest = teacher
    published = nn.Sequential(scale, conv, relu, pool, *rest)
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(teacher(x), published(x))
