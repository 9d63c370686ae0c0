"""The script of the MNIST reproduction does what it says, on a slice."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

EXAMPLES = Path(__file__).parents[1] / "examples"
LARGER = "ignore:The student MLP.* is larger than its teacher"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import reproduce_mnist

    return reproduce_mnist


@pytest.fixture
def digits(tmp_path):
    """Digits of scikit-learn in the size and form of MNIST; two images are in both."""
    images, labels = load_digits(return_X_y=True)
    images = (images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    images = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    arrays = {
        "x_train": images[:1200],
        "y_train": labels[:1200],
        "x_test": np.concatenate([images[1200:], images[3:5]]),
        "y_test": np.concatenate([labels[1200:], labels[3:5]]),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    return tmp_path


def run(script, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["script.py", *map(str, arguments)])
    script.main()
    return capsys.readouterr().out


def table(out):
    """Return the accuracies and the parameters of each network, in both tables."""
    row = r"^(plain student|distilled student|teacher) +([\d.]+)[^%]*% +([\d,]+)"
    found = re.findall(row, out, re.MULTILINE)
    assert [name for name, *_ in found] == 2 * [
        "plain student",
        "distilled student",
        "teacher",
    ]
    return [(float(accuracy), int(n.replace(",", ""))) for _, accuracy, n in found]


@pytest.mark.filterwarnings(LARGER)
def test_both_students_and_their_teacher_in_a_table(
    script, digits, monkeypatch, capsys, tmp_path
):
    common = ["--data", digits, "--quick", "--resume", tmp_path / "fits.jsonl"]
    out = run(script, monkeypatch, capsys, *common, "--seeds", 2)
    assert "2 training images that are in the test set: dropped" in out
    rows = table(out)
    assert [n for _, n in rows] == [101_770, 101_770, 67_786, 54_218, 54_218, 67_786]
    assert all(accuracy > 50 for accuracy, _ in rows)
    assert "2 seeds x 1 fold, 599 test rows" in out
    # What is in the files is not trained again, and gives the same table.
    again = run(script, monkeypatch, capsys, *common, "--seeds", 2)
    assert again == out


@pytest.mark.filterwarnings(LARGER)
def test_on_the_data_itself(script, real_data, monkeypatch, capsys):
    out = run(
        script, monkeypatch, capsys, "--data", real_data, "--quick", "--seeds", 1
    )
    assert "0 training images that are in the test set: dropped" in out
    assert all(accuracy > 60 for accuracy, _ in table(out))


def test_the_published_teacher_is_the_same_function(script):
    import torch
    from torch import nn

    teacher = script.Teacher(10, (1, 28, 28)).eval()
    scale, conv, pool, relu, *rest = teacher
    published = nn.Sequential(scale, conv, relu, pool, *rest)
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(teacher(x), published(x))
