"""Images that are remembered on disk, and images that stay in their files."""

import os
import pickle
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import PIL
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.helper import SliceDataset
from torch import nn

import skkd.images._rows
from skkd import DistillationWarning, DistilledClassifier, ImageReader
from skkd.images import LazyImages, UnreadableImageError


@pytest.fixture
def photos(tmp_path):
    """Twenty-four small photographs, dark ones and light ones."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(24):
        low = 120 * (i % 2)
        pixels = rng.integers(low, low + 100, (14, 18, 3), np.uint8)
        paths.append(str(tmp_path / f"{i:02}.{'png' if i % 3 else 'jpg'}"))
        Image.fromarray(pixels).save(paths[-1])
    return np.array(paths), np.array(["dark", "light"] * 12)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names = []
    decode = skkd.images._rows.decode_image

    def spy(file, *args):
        names.append(Path(file.name).name)
        return decode(file, *args)

    monkeypatch.setattr("skkd.images._rows.decode_image", spy)
    return names


def flatten(images):
    return np.asarray(images).reshape(len(images), -1)


def on_bayes(reader):
    return make_pipeline(reader, FunctionTransformer(flatten), GaussianNB())


def segments(memory):
    return sorted(Path(memory).rglob("rows-*"))


def stored_keys(memory):
    parts = [np.load(folder / "keys.npy") for folder in segments(memory)]
    return np.concatenate(parts)


# --- memory= ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_memory_changes_no_pixel(photos, tmp_path, mode, n_jobs):
    paths, _ = photos
    expected = ImageReader((9, 7), mode).transform(paths)
    reader = ImageReader((9, 7), mode, n_jobs, memory=tmp_path / "memory")
    order = np.random.default_rng(0).permutation(len(paths))
    for rows in (np.arange(10), np.arange(24), order, np.array([5, 5, 1, 5])):
        images = reader.transform(paths[rows])
        np.testing.assert_array_equal(images, expected[rows])
        assert images.dtype == np.uint8
        assert images.flags["C_CONTIGUOUS"]
        assert images.flags["WRITEABLE"]


def test_grid_search_decodes_each_file_once(photos, tmp_path, decoded):
    paths, y = photos
    pipeline = on_bayes(ImageReader(4, memory=tmp_path / "memory"))
    grid = {"gaussiannb__var_smoothing": [1e-9, 1e-3, 1e-1]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(paths, y)
    search.predict(paths)
    assert sorted(decoded) == sorted(Path(path).name for path in paths)


def test_processes_share_one_decoding(photos, tmp_path):
    paths, y = photos
    pipeline = on_bayes(ImageReader(4, memory=tmp_path / "memory"))
    grid = {"gaussiannb__var_smoothing": [1e-9, 1e-3]}
    search = GridSearchCV(pipeline, grid, cv=4, n_jobs=2, error_score="raise")
    search.fit(paths, y)
    keys = stored_keys(tmp_path / "memory")
    assert len(keys) == len(np.unique(keys, axis=0)) == len(paths)


def test_known_files_are_not_opened(photos, tmp_path, monkeypatch):
    paths, _ = photos
    reader = ImageReader(4, memory=tmp_path / "memory")
    expected = reader.transform(paths)

    def refuse(*args):
        raise AssertionError(f"opened {args}")

    monkeypatch.setattr("skkd.images._rows.open", refuse, raising=False)
    np.testing.assert_array_equal(reader.transform(paths), expected)


def test_a_file_named_twice_is_decoded_once(photos, tmp_path, decoded):
    path = photos[0][0]
    ImageReader(4, memory=tmp_path / "memory").transform([path, path, path])
    assert decoded == [Path(path).name]


def test_other_content_is_decoded_again(tmp_path, decoded):
    """Of the same size, and dated back, as an archive does."""
    path = tmp_path / "a.bmp"
    reader = ImageReader(4, memory=tmp_path / "memory")
    found = []
    for level in (10, 20):
        Image.new("L", (8, 8), level).save(path)
        os.utime(path, ns=(10**18, 10**18))
        found.append(reader.transform([path])[0, 0, 0, 0])
        time.sleep(0.05)  # beyond the resolution of the file system's clock
    assert found == [10, 20]
    assert len(decoded) == 2


def test_settings_and_decoders_are_remembered_apart(
    photos, tmp_path, decoded, monkeypatch
):
    paths, _ = photos
    memory = tmp_path / "memory"
    for reader in (
        ImageReader(4, memory=memory),
        ImageReader((4, 8), memory=memory),
        ImageReader(4, "L", memory=memory),
    ):
        expected = clone(reader).set_params(memory=None).transform(paths[:1])
        decoded.clear()
        for _ in range(2):
            np.testing.assert_array_equal(reader.transform(paths[:1]), expected)
        assert len(decoded) == 1
    decoded.clear()
    monkeypatch.setattr(PIL, "__version__", "99.0")
    reader.transform(paths[:1])
    assert len(decoded) == 1


def test_every_kind_of_memory(photos, tmp_path, decoded):
    paths, _ = photos
    joblib_memory = joblib.Memory(str(tmp_path / "memory"), verbose=0)
    for memory in (str(tmp_path / "memory"), tmp_path / "memory", joblib_memory):
        reader = ImageReader(4, memory=memory)
        for copy in (reader, clone(reader), pickle.loads(pickle.dumps(reader))):
            copy.transform(paths)
    assert len(decoded) == len(paths), "they do not share one folder"
    joblib_memory.clear(warn=False)
    ImageReader(4, memory=joblib.Memory(None)).fit(paths).transform(paths)
    assert segments(tmp_path) == []


@pytest.mark.parametrize("lazy", [False, True])
def test_wrong_memory(photos, lazy):
    with pytest.raises(ValueError, match="'memory' should be None"):
        ImageReader(4, memory=3, lazy=lazy).fit(photos[0])

    class Elsewhere:
        def cache(self, function):
            return function

    with pytest.raises(ValueError, match=r"keeps no files; expected a folder"):
        ImageReader(4, memory=Elsewhere(), lazy=lazy).fit(photos[0])


def test_memory_that_cannot_be_written(photos, tmp_path):
    (tmp_path / "memory" / "joblib").mkdir(parents=True)
    (tmp_path / "memory" / "joblib" / "skkd-images").touch()
    with pytest.raises(OSError, match=r"cannot be written.*leave out memory="):
        ImageReader(4, memory=tmp_path / "memory").transform(photos[0])


@pytest.mark.parametrize("lazy", [False, True])
def test_failures_are_named_and_never_remembered(photos, tmp_path, decoded, lazy):
    paths, _ = photos
    content = Path(paths[3]).read_bytes()
    Path(paths[3]).write_bytes(content[:-30])
    X = [*paths, str(tmp_path / "absent.png"), paths[3]]
    reader = ImageReader(4, memory=tmp_path / "memory", lazy=lazy)
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match="Cannot read 3 of 26") as info:
            reader.transform(X)
        assert [path for path, _ in info.value.failures] == [X[3], *X[-2:]]
    assert len(stored_keys(tmp_path / "memory")) == len(paths) - 1
    Path(paths[3]).write_bytes(content)
    decoded.clear()
    expected = ImageReader(4).transform(paths)
    decoded.clear()
    np.testing.assert_array_equal(np.asarray(reader.transform(paths)), expected)
    assert decoded == ["03.jpg"]


def flip_bit(file):
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    file.write_bytes(content)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("damage", [flip_bit, truncate, os.remove])
def test_damage_is_reported_and_repaired(photos, tmp_path, decoded, damage, lazy):
    paths, _ = photos
    reader = ImageReader(4, memory=tmp_path / "memory", lazy=lazy)
    expected = np.asarray(reader.transform(paths))
    (folder,) = segments(tmp_path / "memory")
    damage(folder / "rows.npy")
    with pytest.warns(DistillationWarning, match="is damaged"):
        images = np.asarray(reader.transform(paths))
    np.testing.assert_array_equal(images, expected)
    reader.transform(paths)  # writes what was only read again
    decoded.clear()
    np.testing.assert_array_equal(np.asarray(reader.transform(paths)), expected)
    assert decoded == []


def test_a_process_killed_while_writing_leaves_nothing_wrong(photos, tmp_path):
    paths, _ = photos
    script = """
        import os, sys
        import numpy as np
        from skkd import ImageReader

        def save(file, values, save=np.save):
            if "checks" in str(file):
                os._exit(9)
            save(file, values)

        np.save = save
        ImageReader(4, memory=sys.argv[1]).transform(sys.argv[2:])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), tmp_path / "memory"]
    assert subprocess.run([*command, *paths], check=False).returncode == 9
    assert len(list((tmp_path / "memory").rglob("tmp-*"))) == 1
    images = ImageReader(4, memory=tmp_path / "memory").transform(paths)
    np.testing.assert_array_equal(images, ImageReader(4).transform(paths))
    assert not list((tmp_path / "memory").rglob("tmp-*"))


def test_many_files_make_few(photos, tmp_path):
    paths, _ = photos
    for path in paths:
        ImageReader(4, memory=tmp_path / "memory").transform([path])
    assert len(segments(tmp_path / "memory")) == 1


def test_pieces(photos, tmp_path, decoded, monkeypatch):
    """Of five rows each, two of which are there, and some named twice."""
    paths, _ = photos
    expected = ImageReader(4).transform(paths)
    decoded.clear()
    monkeypatch.setattr("skkd.images._rows._PIECE_ROWS", 5)
    reader = ImageReader(4, memory=tmp_path / "memory")
    reader.transform(paths[[1, 7]])
    rows = np.r_[0:24, 3, 20, 3]
    np.testing.assert_array_equal(reader.transform(paths[rows]), expected[rows])
    assert len(decoded) == len(set(decoded)) == len(paths)


# --- lazy=True -------------------------------------------------------------------


@pytest.fixture(params=["files", "memory"])
def lazy_reader(request, tmp_path):
    memory = tmp_path / "memory" if request.param == "memory" else None
    return ImageReader(4, lazy=True, memory=memory)


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


# --- lazy images and a student ---------------------------------------------------


class Brightness(nn.Module):
    """A teacher that tells dark from light."""

    def forward(self, X):
        return torch.stack([110 - X.float().mean((1, 2, 3))] * 2, 1) * torch.tensor(
            [1.0, -1.0]
        )


def student(**params):
    params = {"max_epochs": 3, "batch_size": 8, "random_state": 0, **params}
    return DistilledClassifier(teacher=Brightness(), device="cpu", **params)


def proba_of(reader, photos, **params):
    pipeline = make_pipeline(reader, student(**params)).fit(*photos)
    return pipeline.predict_proba(photos[0])


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_student_of_lazy_images_is_the_same(photos, lazy_reader, n_workers):
    expected = proba_of(ImageReader(4), photos)
    workers = {
        "iterator_train__num_workers": n_workers,
        "iterator_valid__num_workers": n_workers,
    }
    found = proba_of(lazy_reader, photos, **workers)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_lazy_images(photos, lazy_reader, n_jobs):
    paths, y = photos
    grid = {"distilledclassifier__alpha": [0.0, 0.9]}
    scores = []
    for reader in (ImageReader(4), lazy_reader):
        pipeline = make_pipeline(reader, student(lr=0.01, max_epochs=8))
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
    expected = student().fit(parts[2], parts[4]).predict_proba(parts[3])
    np.testing.assert_array_equal(fitted.predict_proba(parts[1]), expected)
    np.testing.assert_array_equal(fitted.predict_proba(parts[3]), expected)
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
    np.testing.assert_array_equal(*(fit.predict_proba(paths) for fit in fits))


# --- a folder larger than memory -------------------------------------------------

# What a process may allocate beyond what it has after its imports, and what the
# images of the folder would take.
LIMIT, N_BYTES = 200 * 2**20, 300 * 2**20
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
            return self.linear(X[:, :, ::32, ::32].float().mean((2, 3)) / 255)

    def fit_and_predict(paths):
        net = DistilledClassifier(
            Mean, teacher=Mean(), max_epochs=1, batch_size=16, device="cpu"
        )
        reader = ImageReader(224, lazy=True, memory=memory)
        y = [i % 2 for i in range(len(paths))]
        assert len(make_pipeline(reader, net).fit(paths, y).predict(paths)) == len(y)

    paths = sorted(map(str, Path(folder).iterdir()))
    assert len(paths) * 3 * 224 * 224 > {N_BYTES}
    fit_and_predict(paths[:40])  # what torch allocates once
    status = dict(
        line.split(":", 1) for line in open("/proc/self/status") if ":" in line
    )
    used = int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + {LIMIT},) * 2)
    fit_and_predict(paths)
    try:
        ImageReader(224).transform(paths)
    except MemoryError:
        print("too large without lazy=True")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize("memory", ["", "memory"])
def test_memory_is_bounded(tmp_path, memory):
    (tmp_path / "photos").mkdir()
    for i in range(N_BYTES // (3 * 224 * 224) + 1):
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
