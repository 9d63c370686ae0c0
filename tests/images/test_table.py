"""Decoded images that are cached on disk."""

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
from image_files import save_photos, spy_on_decoding
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skkd import DistillationWarning, ImageReader
from skkd.images import UnreadableImageError
from skkd.images._table import ImageTable


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path)


@pytest.fixture
def decoded(monkeypatch):
    return spy_on_decoding(monkeypatch)


def flatten(images):
    return np.asarray(images).reshape(len(images), -1)


def on_bayes(reader):
    return make_pipeline(reader, FunctionTransformer(flatten), GaussianNB())


def segments(memory):
    return sorted(Path(memory).rglob("rows-*"))


def stored_keys(memory):
    parts = [np.load(folder / "keys.npy") for folder in segments(memory)]
    return np.concatenate(parts)


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
    # Of one row each, and with NumPy's function: the processes need not import torch.
    reader = ImageReader((1, 4), mode="L", memory=tmp_path / "memory")
    pipeline = make_pipeline(reader, FunctionTransformer(np.squeeze), GaussianNB())
    grid = {"gaussiannb__var_smoothing": [1e-9, 1e-3]}
    search = GridSearchCV(pipeline, grid, cv=4, n_jobs=2, error_score="raise")
    search.fit(paths, y)
    keys = stored_keys(tmp_path / "memory")
    assert len(keys) == len(np.unique(keys, axis=0)) == len(paths)


def test_threads_share_the_cached_images(photos, tmp_path):
    paths, _ = photos
    expected = ImageReader(4).transform(paths)
    reader = ImageReader(4, memory=tmp_path / "memory")
    with ThreadPoolExecutor(8) as threads:
        for images in threads.map(reader.transform, [paths] * 8):
            np.testing.assert_array_equal(images, expected)
    keys = stored_keys(tmp_path / "memory")
    assert len(keys) == len(np.unique(keys, axis=0)) == len(paths)


def test_segments_that_threads_open_while_others_look_for_them(tmp_path):
    """As threads do whose batches are read from one table of lazy images."""
    table = ImageTable(tmp_path, np.uint8, (1,))

    class Meanwhile(type(tmp_path)):
        """A path that is hashed while another thread opens a segment."""

        def __hash__(self):
            table._opened.setdefault(tmp_path / f"rows-{len(table._opened)}", None)
            return super().__hash__()

    table._opened = {Meanwhile(tmp_path / "rows-a"): None, tmp_path / "rows-b": None}
    assert table._folders() == []


def test_known_files_are_not_opened(photos, tmp_path, monkeypatch):
    paths, _ = photos
    reader = ImageReader(4, memory=tmp_path / "memory")
    expected = reader.transform(paths)

    def refuse(*args):
        raise AssertionError(f"opened {args}")

    monkeypatch.setattr("skkd.images._reading.read_image_file", refuse)
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
    with pytest.raises(OSError, match=r"nothing can be written there.*memory=None"):
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
