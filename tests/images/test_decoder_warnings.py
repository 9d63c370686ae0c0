"""What decoders warn of is said of the file that it is about."""

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from image_files import RED, save, save_pets
from PIL import Image

from skkd.images import ImageFolderWarning, ImageReader, load_image_folder
from skkd.images._decoder_warnings import catching_warnings

# A directory of tags that ends within its first entry.
CORRUPT = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0"


@pytest.fixture
def root(tmp_path):
    root = save_pets(tmp_path)
    for name in ("a", "z"):
        save(root / "cat" / f"{name}.jpg", (9, 2, 2 * ord(name)), exif=CORRUPT)
    return root


def test_pillow_warns_without_a_name(root):
    with pytest.warns(UserWarning) as record, Image.open(root / "cat" / "a.jpg") as im:
        im.getexif()
    assert "a.jpg" not in str(record[0].message)


def test_a_folder_names_each_file_once(root):
    with pytest.warns(ImageFolderWarning, match="2 image.s. can be read") as record:
        photos = load_image_folder(root)
    assert len(photos.data) == 5
    (text,) = [str(w.message) for w in record]
    assert "cat/a.jpg: Corrupt EXIF data" in text
    assert "cat/z.jpg: Corrupt EXIF data" in text


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("lazy", [False, True])
def test_a_reader_names_each_file(root, n_jobs, lazy):
    paths = [str(root / "cat" / f"{name}.jpg") for name in "az"]
    many = [*paths, *[str(root / "dog" / "1.png")] * 20]
    reader = ImageReader(8, n_jobs=n_jobs, lazy=lazy)
    with pytest.warns(ImageFolderWarning) as record:
        images = np.asarray(reader.transform(many))
    assert images.shape == (22, 3, 8, 8)
    (text,) = [str(w.message) for w in record]
    for path in paths:
        assert f"{path!r}: its decoder warns: Corrupt EXIF" in text
    assert "1.png" not in text


def test_images_in_memory_are_named_by_their_row(root):
    content = (root / "cat" / "a.jpg").read_bytes()
    with pytest.warns(ImageFolderWarning, match=r"'bytes of X\[0\]': its decoder"):
        ImageReader(8).transform([content])


def test_whoever_wants_errors_gets_one_with_the_name(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageFolderWarning, match=r"a\.jpg"):
            ImageReader(8).transform([root / "cat" / "a.jpg"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ImageReader(8).transform([root / "cat" / "a.jpg"])


def test_filters_and_what_shows_warnings_are_put_back(root):
    before = warnings.filters[:], warnings.showwarning
    ImageReader(8, n_jobs=2).transform([root / "dog" / "1.png"] * 30)
    with pytest.raises(OSError), catching_warnings:
        raise OSError
    assert (warnings.filters[:], warnings.showwarning) == before


def test_warnings_of_other_threads_pass(root):
    """And two readers at once do not get in each other's way."""
    before = warnings.filters[:]
    path, shown = save(root / "dog" / "2.png", RED), []

    def read():
        for _ in range(30):
            ImageReader(8, n_jobs=2).transform([path] * 10)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *args, **kwargs: shown.append(message)
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(50):
            warnings.warn(f"mine {i}", UserWarning, stacklevel=1)
        for thread in threads:
            thread.join()
    assert [str(m) for m in shown] == [f"mine {i}" for i in range(50)]
    assert warnings.filters[:] == before
    assert Path(path).exists()
