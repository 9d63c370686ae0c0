"""The teacher's pass over the workers of Dask: each sample once in all."""

import os

import numpy as np
import pytest
from logged_teacher import N, data
from PIL import Image
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from test_search_on_dask import Locked

from skkd import ImageReader
from skkd.memory import LogitMemory, plan_logits, precompute_logits
from skkd.memory import _blocks as blocks

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,  # half a minute; tests/memory has the same without a cluster
    pytest.mark.filterwarnings("ignore::skkd.TeacherWarning"),
]

X, y = data()


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_AT_LEAST", 1)
    monkeypatch.setattr(blocks, "_ROWS", 8)


def test_workers_share_the_pass(client, teacher, student, folder):
    twice = np.concatenate([X, X[::-1]])
    done = precompute_logits(teacher, twice, folder, client=client)
    assert (done.misses, done.hits) == (N, N)
    assert teacher.n_rows == N
    asked = {*teacher.noted("rows")}
    assert len(asked) == 2 and os.getpid() not in asked
    assert len(teacher.noted("load")) == 2
    assert student.fit(X, y).cache_info_.misses == 0
    assert teacher.n_rows == N


def test_logits_are_those_of_this_process(client, teacher, folder, tmp_path):
    precompute_logits(teacher, X, folder, client=client)
    precompute_logits(teacher, X, tmp_path / "here")
    rows = [
        np.concatenate([np.load(f) for f in sorted(place.glob("**/rows.npy"))])
        for place in (tmp_path / "memory", tmp_path / "here")
    ]
    for part in rows:
        part.sort(axis=0)
    np.testing.assert_array_equal(*rows)


def test_what_is_there_is_not_asked_again(client, teacher, folder):
    precompute_logits(teacher, X[:30], folder)
    done = precompute_logits(teacher, X, folder, client=client)
    assert (done.misses, teacher.n_rows) == (N - 30, N)


@pytest.mark.parametrize("with_client", [True, False])
def test_a_dask_array(client, teacher, student, folder, with_client):
    array = pytest.importorskip("dask.array")
    rows = array.from_array(X, chunks=(20, 3))
    using = client if with_client else None
    done = precompute_logits(teacher, rows, folder, client=using)
    assert (done.misses, teacher.n_rows) == (N, N)
    assert student.fit(X, y).cache_info_.misses == 0


class OfPixels(GaussianNB):
    """Takes images."""

    def predict_proba(self, X):
        with open(self.log_, "a") as file:
            file.write(f"{os.getpid()} {len(X)}\n")
        return super().predict_proba(X.reshape(len(X), -1))


@pytest.mark.parametrize("lazy", [True, False])
def test_images_are_read_by_the_workers(client, student, folder, tmp_path, lazy):
    rng, paths = np.random.default_rng(0), []
    for i in range(24):
        paths.append(str(tmp_path / f"{i}.png"))
        pixels = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    labels, reader = np.arange(24) % 3, ImageReader(4, lazy=lazy)
    images = ImageReader(4).transform(paths)
    teacher = OfPixels().fit(images.reshape(24, -1), labels)
    teacher.log_ = str(tmp_path / "pixels")
    options = {"reader": reader, "client": client}
    done = precompute_logits(teacher, paths, folder, **options)
    assert done.misses == 24
    with open(teacher.log_) as file:
        noted = [tuple(map(int, line.split())) for line in file]
    assert sum(n for _, n in noted) == 24
    assert os.getpid() not in {pid for pid, _ in noted}
    student.set_params(teacher=teacher)
    fitted = make_pipeline(reader, student).fit(paths, labels)
    assert fitted[-1].cache_info_.misses == 0


def test_a_plan_of_what_two_workers_take(client, teacher):
    memory = LogitMemory(dtype="float16")
    plan = plan_logits(teacher, X, 10**6, memory, client=client)
    assert plan.n_measured == N - N // 8
    assert plan.seconds > 0


def test_a_teacher_that_cannot_be_sent_is_refused(client, folder):
    from skkd.teachers import as_teacher

    with pytest.raises(TypeError, match=r"The teacher Locked cannot be sent"):
        precompute_logits(as_teacher(Locked(), name="v1"), X, folder, client=client)
    assert not os.path.exists(folder)


@pytest.mark.slow  # the process that takes its place
def test_a_worker_that_dies_is_replaced(client, teacher, folder):
    teacher.deadly_beyond = os.getpid()
    assert precompute_logits(teacher, X, folder, client=client).misses == N
