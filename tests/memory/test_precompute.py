"""The teacher's pass by itself: a fit afterwards asks the teacher nothing."""

import os
import signal
import subprocess
import sys
import textwrap

import counted_teachers
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from counted_teachers import ASKED, DISTINCT, Counted, asked, nb, student, taught
from PIL import Image
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from skorch.helper import SliceDataset
from torch.utils.data import TensorDataset

from skkd import ImageReader
from skkd.memory import (
    FingerprintError,
    LogitMemory,
    LogitPlan,
    plan_logits,
    precompute_logits,
)
from skkd.memory import _blocks as blocks
from skkd.memory._precompute import compute
from skkd.memory._requirements import Requirements
from skkd.teachers import as_teacher

# Teachers in here are asked; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(chance-level|random-head|one-sided)\]:skkd.TeacherWarning"
)

X, y = counted_teachers.X, counted_teachers.y


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "memory")


def test_each_distinct_sample_is_asked_once(folder, monkeypatch):
    monkeypatch.setattr(blocks, "_AT_LEAST", 1)
    monkeypatch.setattr(blocks, "_ROWS", 20)
    teacher = nb()
    ASKED.clear()
    done = precompute_logits(teacher, X, folder)
    assert (done.misses, done.hits) == (DISTINCT, 1)
    assert done.nbytes > DISTINCT * 12
    assert sum(ASKED) == DISTINCT and max(ASKED) == 20
    assert asked(lambda: precompute_logits(teacher, X, folder)) == 0
    assert precompute_logits(teacher, X, folder)[:2] == (0, len(X))


KINDS = {
    "array": lambda: X,
    "float32": lambda: X.astype(np.float32),
    "in Fortran's order": lambda: np.asfortranarray(X),
    "list": lambda: X.tolist(),
    "tensor": lambda: torch.from_numpy(X),
    "frame": lambda: pd.DataFrame(X, columns=[*"abcd"]),
    "sparse": lambda: scipy.sparse.csr_array(X),
}


class Sparse(GaussianNB):
    """Takes whatever rows there are, named or not."""

    def predict_proba(self, X):
        ASKED.append(X.shape[0])
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        return super().predict_proba(X)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_asks_nothing_more(kind, folder):
    rows, teacher = KINDS[kind](), Sparse().fit(X, y)
    precompute_logits(teacher, rows, folder)
    assert asked(lambda: student(teacher, memory=folder).fit(rows, y)) == 0


def test_a_dataset(folder):
    rows = torch.from_numpy(X.astype(np.float32))
    data, net = TensorDataset(rows, torch.from_numpy(y)), Counted().eval()
    precompute_logits(net, data, folder, classes=[0, 1, 2])
    assert asked(lambda: student(net, memory=folder).fit(data)) == 0
    sliced = SliceDataset(data)
    assert asked(lambda: student(net, memory=folder).fit(sliced, y)) == 0


def test_a_network_gives_what_a_fit_gets(folder, tmp_path):
    net, rows = Counted().eval(), X.astype(np.float32)
    precompute_logits(net, rows, folder, classes=y)
    logits, info = taught(net, rows, y, memory=folder)
    other = taught(net, rows, y, memory=str(tmp_path / "other"))[0]
    assert info.misses == 0
    np.testing.assert_array_equal(logits, other)


def test_options_of_the_memory_are_those_of_the_fit(folder):
    memory = LogitMemory(folder, dtype="float16", top_k=2)
    teacher = nb()
    precompute_logits(teacher, X, memory)
    assert asked(lambda: student(teacher, memory=memory).fit(X, y)) == 0
    assert asked(lambda: student(teacher, memory=folder).fit(X, y)) == DISTINCT


def test_a_transform_is_part_of_the_teacher(folder):
    net, rows = Counted().eval(), X.astype(np.float32)
    transform = torch.nn.Hardtanh()
    given = as_teacher(net, transform=transform)
    precompute_logits(given, rows, folder, classes=[0, 1, 2])
    same = student(net, teacher_transform=transform, memory=folder)
    assert asked(lambda: same.fit(rows, y)) == 0


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(12):
        paths.append(str(tmp_path / f"{i}.png"))
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    return np.array(paths)


@pytest.mark.parametrize("lazy", [False, True])
def test_images_are_read_block_by_block(photos, lazy, folder, monkeypatch):
    monkeypatch.setattr(blocks, "_FILES", 5)
    reader, net = ImageReader(2, lazy=lazy), Counted(n_in=12).eval()
    labels = np.arange(12) % 3
    precompute_logits(net, photos, folder, classes=labels, reader=reader)
    assert sum(ASKED) >= 12
    pipeline = make_pipeline(reader, student(net, memory=folder))
    assert asked(lambda: pipeline.fit(photos, labels)) == 0


class OfFiles(GaussianNB):
    """Reads the files itself."""

    def predict_proba(self, X):
        ASKED.append(len(X))
        return super().predict_proba(ImageReader(2).transform(X).reshape(len(X), -1))


def test_a_teacher_that_reads_the_files_itself(photos, folder):
    images, labels = ImageReader(2).transform(photos), np.arange(12) % 3
    teacher = OfFiles().fit(images.reshape(12, -1), labels)
    precompute_logits(teacher, photos, folder)
    fitted = student(teacher, memory=folder)
    assert asked(lambda: fitted.fit(images, labels, teacher_X=photos)) == 0


def test_labels_that_a_meta_estimator_encodes(folder):
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    teacher = counted_teachers.CountedNB().fit(X, names)
    precompute_logits(teacher, X, folder, classes=[0, 1, 2])
    assert asked(lambda: student(teacher, memory=folder).fit(X, y)) == 0


class Failing(counted_teachers.CountedNB):
    """Cannot be asked for ever."""

    def predict_proba(self, X):
        if sum(ASKED) >= 100:
            raise OSError("no power")
        return super().predict_proba(X)


def test_what_was_computed_when_it_failed_is_kept(folder, monkeypatch):
    monkeypatch.setattr(blocks, "_AT_LEAST", 1)
    monkeypatch.setattr(blocks, "_ROWS", 50)
    teacher = Failing().fit(X, y)
    ASKED.clear()
    with pytest.raises(OSError, match="no power"):
        precompute_logits(teacher, X, folder)
    assert asked(lambda: precompute_logits(teacher, X, folder)) == DISTINCT - 100


SCRIPT = """
    import os, signal, sys
    sys.path[:0] = {paths}
    import numpy as np
    from counted_teachers import LoggedNB, X, y
    from skkd.memory import _blocks, precompute_logits
    _blocks._ROWS = _blocks._AT_LEAST = 10
    teacher = LoggedNB().fit(X, y)
    teacher.log_ = {log!r}
    if {dies}:
        from skkd._store.disk import DiskTable
        add, done = DiskTable.add, []
        def add_and_die(table, keys, rows):
            add(table, keys, rows)
            done.append(len(keys))
            if len(done) == 4:
                os.kill(os.getpid(), signal.SIGKILL)
        DiskTable.add = add_and_die
    print(precompute_logits(teacher, X, {folder!r}).misses)
"""


@pytest.mark.slow
def test_a_pass_that_is_killed_goes_on(folder, tmp_path):
    log = tmp_path / "rows"

    def run(dies):
        paths = [p for p in sys.path if p]
        text = SCRIPT.format(paths=paths, log=str(log), folder=folder, dies=dies)
        command = [sys.executable, "-c", textwrap.dedent(text)]
        return subprocess.run(command, capture_output=True, text=True)

    assert run(True).returncode == -signal.SIGKILL
    assert sum(map(int, log.read_text().split())) == 40
    done = run(False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == DISTINCT - 40
    assert sum(map(int, log.read_text().split())) == DISTINCT


def test_what_cannot_be_done_is_refused(folder):
    with pytest.raises(ValueError, match=r"memory=None keeps nothing"):
        precompute_logits(nb(), X, None)
    with pytest.raises(ValueError, match=r"memory=False keeps nothing"):
        precompute_logits(nb(), X, False)
    with pytest.raises(ValueError, match=r"Counted.* does not tell the labels"):
        precompute_logits(Counted(), X, folder)
    with pytest.raises(FingerprintError, match=r"name the teacher"):
        precompute_logits(
            counted_teachers.counted_function, X, folder, classes=[0, 1, 2]
        )
    with pytest.raises(TypeError, match=r"client=3: expected None, a dask"):
        precompute_logits(nb(), X, folder, client=3)
    with pytest.raises(ValueError, match=r"ray\.init\(\) before"):
        precompute_logits(nb(), X, folder, client="ray")
    assert not os.path.exists(folder)


def test_a_worker_of_other_versions_computes_nothing():
    here = dict(Requirements.of().versions)
    required = Requirements(tuple({**here, "torch": "1.13.1"}.items()))
    with pytest.raises(RuntimeError, match=r"has torch 1\.13\.1 and not \d"):
        compute(b"a pickle", "content", required, X, None, np.arange(3), None)


def test_a_plan(folder):
    memory = LogitMemory(folder, dtype="float16", top_k=1)
    teacher = nb()
    plan = plan_logits(teacher, X, 1_000_000, memory)
    assert not os.path.exists(folder)
    done = precompute_logits(teacher, X, memory)
    assert plan.nbytes / 1e6 == pytest.approx(done.nbytes / DISTINCT, rel=0.1)
    assert 0 < plan.seconds < 1e6
    assert 120 < plan.n_measured < 150
    text = "2,000 samples: 0.5 hours (1 a second), 0.1 MB (34 bytes each)"
    assert str(LogitPlan(2000, 1800.0, 68_000, 100)) == text
    with pytest.raises(ValueError, match=r"X has 3 samples"):
        plan_logits(teacher, X[:3], 1000)
