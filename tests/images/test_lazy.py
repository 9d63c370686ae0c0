"""LazyImages: slices, students and searches of them, and the memory they take."""

import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import save_photos, spy_on_decoding
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.helper import SliceDataset
from torch import nn

from skkd import DistilledClassifier, ImageReader
from skkd.images import LazyImages, UnreadableImageError


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path)


@pytest.fixture
def decoded(monkeypatch):
    return spy_on_decoding(monkeypatch)


@pytest.fixture(params=["files", "memory"])
def lazy_reader(request, tmp_path):
    memory = tmp_path / "memory" if request.param == "memory" else None
    return ImageReader(4, lazy=True, memory=memory)


def flatten(images):
    return np.asarray(images).reshape(len(images), -1)


def segments(memory):
    return sorted(Path(memory).rglob("rows-*"))


def test_lazy_images_are_the_eager_ones(photos, lazy_reader):
    paths, _ = photos
    expected = ImageReader(4).transform(paths)
    images = lazy_reader.fit_transform(paths)
    assert isinstance(images, LazyImages)
    assert images.shape == expected.shape
    assert images.ndim == 4
    assert images.dtype == expected.dtype
    assert len(images) == 24
    assert repr(images) == "LazyImages(shape=(24, 3, 4, 4))"
    np.testing.assert_array_equal(np.asarray(images), expected)
    np.testing.assert_array_equal(np.asarray(images, dtype=float), expected)
    np.testing.assert_array_equal(np.stack([*images]), expected)
    for i in (0, -1, np.int64(7)):
        np.testing.assert_array_equal(images[i], expected[i])


@pytest.mark.parametrize(
    "rows",
    [
        slice(3, 20, 4),
        [5, 2, 2],
        np.array([1, 0]),
        np.arange(24) % 5 == 0,
        (np.array([4, 2]), ...),
    ],
)
def test_lazy_images_are_sliced_without_reading(photos, lazy_reader, decoded, rows):
    paths, _ = photos
    images = lazy_reader.transform(paths)
    expected = ImageReader(4).transform(paths)[rows]
    decoded.clear()
    part = images[rows]
    again = pickle.loads(pickle.dumps(part[::-1]))[::-1]
    assert decoded == []
    assert part.shape == again.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(part), expected)
    np.testing.assert_array_equal(np.asarray(again), expected)
    np.testing.assert_array_equal(again.__getitems__([1, 0]), expected[[1, 0]])


def test_wrong_index_of_lazy_images(photos, lazy_reader):
    images = lazy_reader.transform(photos[0])
    for rows in (24, -25, [0, 24]):
        with pytest.raises(IndexError):
            images[rows]
    for rows in (None, [[0, 1]]):
        with pytest.raises(IndexError, match="expected a number, a slice"):
            images[rows]
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(images, copy=False)


@pytest.mark.parametrize("lazy", ["yes", None, 1])
def test_wrong_lazy(photos, lazy):
    with pytest.raises(ValueError, match=r"lazy=.*expected True or False"):
        ImageReader(4, lazy=lazy).fit(photos[0])


def test_row_keys_follow_the_files(photos, lazy_reader, decoded, tmp_path):
    paths, _ = photos
    images = lazy_reader.transform(paths)
    decoded.clear()
    keys, kind = images.row_keys()
    assert keys.shape == (24, 2)
    assert keys.dtype == np.uint64
    assert len(np.unique(keys, axis=0)) == 24
    part_keys, part_kind = images[3::7].row_keys()
    np.testing.assert_array_equal(part_keys, keys[3::7])
    assert part_kind == kind
    other = ImageReader(4, "L", lazy=True).transform(paths)
    assert other.row_keys()[1] != kind
    assert decoded == []
    gone = ImageReader(4, lazy=True).transform([tmp_path / "absent.png"])
    with pytest.raises(UnreadableImageError, match=r"absent\.png"):
        gone.row_keys()


def test_unreadable_file_is_named_when_it_is_reached(photos, tmp_path):
    paths, y = photos
    Path(paths[20]).write_bytes(b"none")
    images = ImageReader(4, lazy=True).transform(paths)
    images[:20].__array__()
    for reached in (lambda: images[20], lambda: np.asarray(images[8:])):
        with pytest.raises(UnreadableImageError, match=r"20\.png") as info:
            reached()
        assert [path for path, _ in info.value.failures] == [paths[20]]
    with pytest.raises(UnreadableImageError, match=r"20\.png"):
        make_pipeline(ImageReader(4, lazy=True), student()).fit(paths, y)


def test_lazy_with_memory_decodes_at_transform_only(photos, tmp_path, decoded):
    paths, y = photos
    reader = ImageReader(4, lazy=True, memory=tmp_path / "memory")
    images = reader.transform(paths)
    assert len(decoded) == len(paths)
    make_pipeline(reader, student()).fit(paths, y).predict(paths)
    assert len(decoded) == len(paths)
    expected = np.asarray(images)
    for folder in segments(tmp_path / "memory"):
        folder.rename(tmp_path / folder.name)
    np.testing.assert_array_equal(np.asarray(images), expected)


def test_a_batch_is_decoded_in_parallel(photos, monkeypatch):
    seen = []

    def spy(n_threads, pool=ThreadPoolExecutor):
        seen.append(n_threads)
        return pool(n_threads)

    monkeypatch.setattr("skkd.images._rows.ThreadPoolExecutor", spy)
    images = ImageReader(4, n_jobs=2, lazy=True).transform(photos[0])
    assert images.__getitems__(range(20)).shape == (20, 3, 4, 4)
    assert seen == [2]


class Brightness(nn.Module):
    """A teacher that tells dark from light."""

    def forward(self, X):
        return torch.stack([110 - X.float().mean((1, 2, 3))] * 2, 1) * torch.tensor(
            [1.0, -1.0]
        )


def student(**params):
    params = {"max_epochs": 3, "batch_size": 8, "random_state": 0, **params}
    return DistilledClassifier(teacher=Brightness(), device="cpu", **params)


def fitted_with(reader, photos, **params):
    return make_pipeline(reader, student(**params)).fit(*photos)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_student_of_lazy_images_is_the_same(photos, lazy_reader, n_workers):
    expected = fitted_with(ImageReader(4), photos)
    workers = {
        "iterator_train__num_workers": n_workers,
        "iterator_valid__num_workers": n_workers,
    }
    found = fitted_with(lazy_reader, photos, **workers)
    check_same_student(found, expected, photos[0], photos[0])


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search_over_lazy_images(photos, lazy_reader, n_jobs):
    paths, y = photos
    grid = {"distilledclassifier__alpha": [0.0, 0.9]}
    scores = []
    for reader in (ImageReader(4), lazy_reader):
        pipeline = make_pipeline(reader, student(lr=0.01, max_epochs=4))
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise")
        scores.append(search.fit(paths, y).cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def test_lazy_images_are_rows_for_scikit_learn(photos, lazy_reader):
    paths, y = photos
    images = lazy_reader.transform(paths)
    assert isinstance(images, SliceDataset)  # what skkd and skorch know as lazy
    eager = ImageReader(4).transform(paths)
    parts = train_test_split(images, eager, y, random_state=0)
    assert isinstance(parts[0], LazyImages)
    fitted = student().fit(parts[0], parts[4])
    assert fitted.input_shape_ == (3, 4, 4)
    expected = student().fit(parts[2], parts[4])
    check_same_student(fitted, expected, parts[1], parts[3])
    check_same_student(fitted, expected, parts[3], parts[3])
    scores = [cross_val_score(student(), X, y, cv=2) for X in (images, eager)]
    np.testing.assert_array_equal(*scores)


def test_a_scikit_learn_teacher_of_lazy_images(photos, lazy_reader):
    paths, y = photos
    teacher = make_pipeline(FunctionTransformer(flatten), LogisticRegression(C=1e-4))
    teacher.fit(ImageReader(4).transform(paths), y)
    fits = [
        make_pipeline(reader, student().set_params(teacher=teacher)).fit(paths, y)
        for reader in (ImageReader(4), lazy_reader)
    ]
    check_same_student(*fits, paths, paths)


def check_same_student(fitted, expected, X, same):
    """Compare parameters bit by bit, and answers to rounding: batches may differ."""
    nets = [est[-1] if hasattr(est, "steps") else est for est in (fitted, expected)]
    states = [net.module_.state_dict() for net in nets]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    answers = fitted.predict_proba(X), expected.predict_proba(same)
    np.testing.assert_allclose(*answers, rtol=0, atol=1e-6)


# What a process may allocate beyond what it has after its imports, what the images of
# the folder would take, and their size: few and large ones, since each file takes its
# time.
LIMIT, N_BYTES, SIZE = 200 * 2**20, 230 * 2**20, 448
BOUNDED = f"""
    import resource, sys
    from pathlib import Path
    import torch
    from sklearn.pipeline import make_pipeline
    from skkd import DistilledClassifier, ImageReader

    folder, memory = sys.argv[1], sys.argv[2] or None
    torch.set_num_threads(1)

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        def forward(self, X):
            return self.linear(X[:, :, ::64, ::64].float().mean((2, 3)) / 255)

    def fit_and_predict(paths):
        net = DistilledClassifier(
            Mean, teacher=Mean(), max_epochs=1, batch_size=4, device="cpu"
        )
        reader = ImageReader({SIZE}, lazy=True, memory=memory)
        y = [i % 2 for i in range(len(paths))]
        assert len(make_pipeline(reader, net).fit(paths, y).predict(paths)) == len(y)

    paths = sorted(map(str, Path(folder).iterdir()))
    assert len(paths) * 3 * {SIZE}**2 > {N_BYTES}
    fit_and_predict(paths[:20])  # what torch allocates once
    status = dict(
        line.split(":", 1) for line in open("/proc/self/status") if ":" in line
    )
    used = int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + {LIMIT},) * 2)
    fit_and_predict(paths)
    try:
        ImageReader({SIZE}).transform(paths)
    except MemoryError:
        print("too large without lazy=True")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize("memory", ["", "memory"])
def test_memory_is_bounded(tmp_path, memory):
    (tmp_path / "photos").mkdir()
    for i in range(N_BYTES // (3 * SIZE**2) + 1):
        image = Image.new("RGB", (24, 24), (i % 256, 9, 99))
        image.save(tmp_path / "photos" / f"{i}.jpg")
    script = textwrap.dedent(BOUNDED)
    memory = tmp_path / memory if memory else ""
    command = [sys.executable, "-c", script, tmp_path / "photos", memory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for folder in segments(tmp_path):  # not to be kept on the disk
        (folder / "rows.npy").unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "too large without lazy=True\n"
