"""The script of the CIFAR-10 reproduction does what it says, on a slice."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skkd import DistilledClassifier
from skkd.callbacks import UpdateBatchNorm
from skkd.students import CifarResNet

LARGER = "ignore:The student .* is larger than its teacher"


@pytest.fixture
def script(example):
    return example("reproduce_cifar10")


@pytest.fixture
def photos(tmp_path):
    """Bright and dark images in the folders of CIFAR-10; two files are in both."""
    rng = np.random.default_rng(0)
    for part, n in {"train": 60, "test": 20}.items():
        for name, level in {"bright": 190, "dark": 60}.items():
            folder = tmp_path / "cifar" / part / name
            folder.mkdir(parents=True)
            for number in range(n):
                pixels = rng.normal(level, 20, (32, 32, 3)).clip(0, 255)
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / f"{number:04d}.png")
    for number in range(2):
        known = tmp_path / "cifar" / "test" / "dark" / f"{number:04d}.png"
        copy = tmp_path / "cifar" / "train" / "dark" / f"copy{number}.png"
        copy.write_bytes(known.read_bytes())
    return tmp_path / "cifar"


@pytest.fixture
def weights(tmp_path):
    """Return a file of a network that can tell the two."""
    noise = np.random.default_rng(1).normal(0, 20, (64, 3, 32, 32))
    X = (noise + np.repeat([190, 60], 32)[:, None, None, None]).clip(0, 255)
    network = CifarResNet(2, (3, 32, 32), depth=8)
    net = DistilledClassifier(network, max_epochs=3, callbacks=[UpdateBatchNorm()])
    net.fit(X.astype(np.uint8), np.repeat([0, 1], 32))
    torch.save(net.module_.state_dict(), tmp_path / "resnet.pt")
    return tmp_path / "resnet.pt"


def table(out):
    """Return title, accuracy and parameters of each line of the table."""
    lines = [line.strip("| ").split(" | ") for line in out.splitlines()]
    rows = [line for line in lines if line[0] in ("published", "resnet")]
    return [(title, float(acc.split()[0]), size) for _, title, acc, size, *_ in rows]


def test_the_published_student_has_the_published_size(script):
    student = script.Published(10, (3, 32, 32))
    n_learnt = sum(p.numel() for p in student.parameters())
    norms = [m for m in student.modules() if hasattr(m, "running_mean")]
    n_running = sum(m.running_mean.numel() + m.running_var.numel() for m in norms)
    assert n_learnt + n_running == 338_970


@pytest.mark.slow
@pytest.mark.filterwarnings(LARGER)
def test_both_students_and_their_teacher_in_a_table(
    script, photos, weights, monkeypatch, run, tmp_path
):
    files = ["--data", photos, "--weights", weights, "--start", weights]
    common = [*files, "--quick", "--seeds", 1, "--resume", tmp_path / "fits.jsonl"]
    out = run(script, *common)
    assert "2 training images that are in the test set: dropped" in out
    assert [(title, size) for title, _, size in table(out)] == [
        ("plain student", "335,954"),  # of two classes, not ten
        ("distilled student", "335,954"),
        ("teacher", "74,770"),
        ("plain student", "74,770"),
        ("distilled student", "74,770"),
        ("teacher", "74,770"),
    ]
    assert "1 seed x 1 fold, 40 test rows" in out
    # What is in the files is not trained again; one of both may be asked for.
    monkeypatch.setattr("skkd.report._gain._jobs.fit_jobs", lambda *_: iter(()))
    assert table(run(script, *common)) == table(out)
    one = run(script, *common, "--only", "resnet")
    assert table(one) == table(out)[3:]


@pytest.mark.slow
@pytest.mark.filterwarnings(LARGER)
def test_a_teacher_is_fine_tuned(script, photos, weights, run):
    files = ["--data", photos, "--weights", weights, "--only", "published"]
    options = [*files, "--seeds", 1, "--quick", "--fine-tune", 6, "--start", weights]
    out = run(script, *options)
    assert table(out)[-1][1] > 90


@pytest.mark.slow
def test_on_the_data_itself(script, real_data, run, tmp_path):
    with tarfile.open(real_data / "cifar10_jpeg.tar.xz") as archive:
        for member in archive:
            # train/<class>/0000.jpg and the 19 that follow
            if member.isfile() and int(Path(member.name).stem) < 20:
                archive.extract(member, tmp_path, filter="data")
    weights = real_data / "weights"
    files = ["--data", tmp_path, "--start", weights / "resnet20-12fca82f.th"]
    teacher = ["--weights", weights / "resnet56-cifar10jpeg-8977.pt"]
    out = run(script, *files, *teacher, "--quick", "--seeds", 1)
    found = table(out)
    assert found[2] == found[5] and found[2][1] > 85  # the teacher, twice
    assert found[3][2] == "269,722" and found[3][1] > 50  # was trained before
