"""ImageReader as a transformer of scikit-learn, and its errors."""

import pickle
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from image_files import add_damaged, save, save_pets
from PIL import Image, ImageFile
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

import skkd.images
from skkd.images import (
    ImageFolderWarning,
    ImageReader,
    UnreadableImageError,
    load_image_folder,
)


@pytest.fixture
def root(tmp_path):
    return save_pets(tmp_path)


@pytest.fixture
def damaged(root):
    return add_damaged(root)


def test_all_unreadable_paths_are_named(root, damaged):
    paths = sorted(path for path in root.rglob("*.*") if not path.is_dir())
    assert len(paths) == 10
    with pytest.raises(UnreadableImageError, match="Cannot read 7 of 10") as info:
        ImageReader(8, n_jobs=2).transform(paths)
    assert [path for path, _ in info.value.failures] == [
        str(path) for path in paths if path.name not in {"1.png", "2.jpg"}
    ]
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_file_deleted_since_and_folder(root):
    photos = load_image_folder(root)
    (root / "cat" / "2.jpg").unlink()
    with pytest.raises(OSError, match=r"2\.jpg'?: No such file") as info:
        ImageReader(8).transform([*photos.data, str(root / "dog")])
    assert [path for path, _ in info.value.failures] == [
        *(str(root / "cat" / "2.jpg"), str(root / "dog"))
    ]


@pytest.mark.parametrize(
    "size", [0, -3, True, 2.0, "64", None, (8,), (8, 8, 3), (8, 0), (8, True), [8, 2.5]]
)
def test_wrong_size(root, size):
    for method in ("fit", "transform"):
        with pytest.raises(
            ValueError, match=r"size=.*positive int or a tuple \(height"
        ):
            getattr(ImageReader(size), method)([root / "cat" / "1.png"])


@pytest.mark.parametrize("mode", ["rgb", "RGBA", None, 3])
def test_wrong_mode(root, mode):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=r"mode=.*expected 'RGB' or 'L'"):
            getattr(ImageReader(8, mode), method)([root / "cat" / "1.png"])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("cat/1.png", "single path; pass a list"),
        (Path("cat/1.png"), "single path; pass a list"),
        ([], "X is empty"),
        (np.empty((0, 1)), "X is empty"),
        (np.zeros(3), r"X\[0\]=.*expected paths"),
        (np.zeros((3, 1)), r"X\[0\]=.*expected paths"),
        (np.zeros((3, 2)), r"shape \(3, 2\).*in a 1-D"),
        (np.zeros((1, 2, 3, 8, 8), np.uint8), r"shape \(1, 2, 3, 8, 8\)"),
        (["a.png", None], r"X\[1\]=None is of type NoneType"),
        (pd.Series(["a.png", None]), r"X\[1\]"),
        (b"GIF89a", "single image; pass a list"),
        (Image.new("L", (2, 2)), "single image; pass a list"),
        (pd.DataFrame({"a": ["a.png"], "b": ["b.png"]}), r"shape \(1, 2\)"),
        ({"data": ["a.png"]}, "photos.data"),
        (None, "expected a 1-D"),
    ],
)
def test_wrong_X(X, message):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(ImageReader(8), method)(X)


def test_every_kind_of_column_is_read(root):
    photos = load_image_folder(root)
    expected = ImageReader(8).transform(photos.data)
    assert expected.shape == (3, 3, 8, 8)
    column = photos.data[:, np.newaxis]
    for X in (
        photos.data.tolist(),
        [Path(path) for path in photos.data],
        tuple(photos.data),
        photos.data.astype(object),
        column,
        pd.Series(photos.data, index=[7, 8, 9]),
        pd.DataFrame({"path": photos.data}),
    ):
        np.testing.assert_array_equal(ImageReader(8).fit_transform(X), expected)


def test_jobs_change_nothing(tmp_path):
    paths = [save(tmp_path / f"{i}.png", (i, 0, 0)) for i in range(30)]
    expected = ImageReader(8).transform(paths)
    assert expected[:, 0, 0, 0].tolist() == list(range(30))
    np.testing.assert_array_equal(ImageReader(8, n_jobs=2).transform(paths), expected)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        np.testing.assert_array_equal(ImageReader(8).transform(paths), expected)


def test_n_jobs_says_how_many_threads(tmp_path, monkeypatch):
    paths = [save(tmp_path / f"{i}.png") for i in range(20)]
    seen = []

    def spy(n_threads, pool=ThreadPoolExecutor):
        seen.append(n_threads)
        return pool(n_threads)

    monkeypatch.setattr("skkd.images._rows.ThreadPoolExecutor", spy)
    ImageReader(8).transform(paths)
    assert seen == []
    ImageReader(8, n_jobs=3).transform(paths)
    with joblib.parallel_config(n_jobs=2):
        ImageReader(8).transform(paths)
    assert seen == [3, 2]


def test_clone_pickle_and_params(root):
    reader = ImageReader((8, 6), mode="L", n_jobs=2)
    params = {"size": (8, 6), "mode": "L", "n_jobs": 2}
    params |= {"memory": None, "lazy": False, "levels": None}
    assert clone(reader).get_params() == params
    assert pickle.loads(pickle.dumps(reader)).get_params() == params
    assert reader.set_params(size=4).transform([root / "cat" / "1.png"]).shape[2:] == (
        4,
        4,
    )


def test_stateless_tags(root):
    reader = ImageReader(8)
    tags = get_tags(reader)
    assert not tags.requires_fit
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    before = dict(vars(reader))
    assert reader.fit([root / "absent.png"]) is reader
    assert vars(reader) == before
    check_is_fitted(ImageReader(8))


def test_set_output_is_not_offered(root):
    reader = ImageReader(8)
    assert not hasattr(reader, "set_output")
    assert not hasattr(reader, "get_feature_names_out")
    with pytest.raises(ValueError, match=r"Unable to configure output for ImageReader"):
        make_pipeline(reader).set_output(transform="pandas")
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(reader.fit_transform([root / "cat" / "1.png"]), np.ndarray)


def flatten(images):
    return images.reshape(len(images), -1)


def test_grid_search_over_size(tmp_path):
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 150)):
        for i in range(6):
            save(tmp_path / name / f"{i}.png", tuple(rng.integers(low, low + 100, 3)))
    photos = load_image_folder(tmp_path)
    pipeline = make_pipeline(ImageReader(2), FunctionTransformer(flatten), GaussianNB())
    grid = {"imagereader__size": [2, (3, 4)], "imagereader__mode": ["RGB", "L"]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise")
    search.fit(photos.data, photos.target)
    assert search.best_score_ == 1
    np.testing.assert_array_equal(search.predict(photos.data), photos.target)


def test_brain_mri(real_data, tmp_path):
    with tarfile.open(real_data / "brain_mri_yes_no.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    with pytest.warns(
        ImageFolderWarning, match=r"22 group.s. of .* \(47 files\)"
    ) as record:
        scans = load_image_folder(tmp_path)
    assert len(record) == 1
    labels, counts = np.unique(scans.target, return_counts=True)
    assert dict(zip(labels, counts, strict=True)) == {"no": 98, "yes": 155}
    assert len(np.unique(scans.groups)) == 253 - 25
    images = ImageReader(32, mode="L").transform(scans.data)
    assert images.shape == (253, 1, 32, 32)
    assert images.std(axis=(1, 2, 3)).min() > 5, "an image came out blank"


def test_images_are_read_without_torch(root):
    script = f"""if True:
        import sys, types
        sys.modules["skkd"] = types.ModuleType("skkd")
        sys.modules["skkd"].__path__ = [{str(Path(skkd.__file__).parent)!r}]

        class Absent:
            def find_spec(name, path, target):
                if name.partition(".")[0] in ("torch", "skorch"):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Absent)
        from skkd.images import ImageReader, load_image_folder
        photos = load_image_folder({str(root)!r})
        reader = ImageReader(4, memory={str(root / ".memory")!r})
        print(reader.transform(photos.data).shape, reader.transform(photos.data).shape)
        try:
            ImageReader(4, lazy=True).transform(photos.data)
        except ImportError:
            print("lazy=True needs torch")
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 3, 4, 4) (3, 3, 4, 4)\nlazy=True needs torch\n"


def test_public_names():
    for name in skkd.images.__all__:
        assert getattr(skkd.images, name).__name__ == name
    with pytest.raises(AttributeError, match=r"'skkd.images' has no attribute 'Lazy'"):
        _ = skkd.images.Lazy


def test_threads_share_a_reader(root):
    reader, paths = ImageReader(4), load_image_folder(root).data
    expected = reader.transform(paths)
    paths.flags.writeable = False
    with ThreadPoolExecutor(4) as threads:
        for images in threads.map(reader.transform, [paths] * 8):
            np.testing.assert_array_equal(images, expected)
