"""Images are read as for the fit, pixel for pixel, from paths and from bytes."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from student_files import write_images

from skkd import ImageReader
from skkd.images import ImageFolderWarning, UnreadableImageError
from skkd.runtime import OnnxClassifier
from skkd.runtime._images import files_of, read_batches


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.onnx"


@pytest.fixture
def photos(tmp_path):
    """Files of several formats, one turned by its EXIF tag, one with alpha."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 30, 4), np.uint8)
    color, alpha = Image.fromarray(pixels[..., :3]), Image.fromarray(pixels)
    exif = Image.Exif()
    exif[274] = 6
    color.save(tmp_path / "turned.jpg", exif=exif)
    alpha.save(tmp_path / "alpha.png")
    color.convert("CMYK").save(tmp_path / "cmyk.jpg")
    color.convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(rng.integers(0, 2**16, (9, 9), np.uint16)).save(tmp_path / "x.tiff")
    return sorted(str(p) for p in tmp_path.glob("*.*") if p.suffix != ".onnx")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("levels", [None, (0, 4000), "minmax"])
def test_paths_and_bytes_give_the_pixels_of_the_reader(photos, path, mode, levels):
    student = OnnxClassifier(write_images(path, mode=mode, levels=levels))
    images = ImageReader((6, 5), mode, levels=levels).transform(photos)
    (read,) = read_batches(files_of(photos), student.metadata_.image, 100)
    np.testing.assert_array_equal(read, images)
    expected = student.predict_proba(images)
    contents = [Path(photo).read_bytes() for photo in photos]
    for files in (photos, np.array(photos)[:, None], [*map(bytearray, contents)]):
        np.testing.assert_array_equal(student.predict_proba(files), expected)
    mixed = [photos[0], *contents[1:]]
    np.testing.assert_array_equal(student.predict_proba(mixed), expected)


def test_images_in_memory_are_read_too(path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (9 + i, 8, 3), np.uint8) for i in range(3)]
    student = OnnxClassifier(write_images(path))
    expected = student.predict_proba(ImageReader((6, 5)).transform(arrays))
    images = [Image.fromarray(array) for array in arrays]
    for X in (arrays, images, [images[0], *arrays[1:]], [a[:, :, ::1] for a in arrays]):
        np.testing.assert_array_equal(student.predict_proba(X), expected)


def test_data_frames_and_series_of_paths(photos, path):
    pd = pytest.importorskip("pandas")
    student = OnnxClassifier(write_images(path))
    expected = student.predict_proba(photos)
    for files in (pd.Series(photos, index=range(5, 10)), pd.DataFrame({"p": photos})):
        np.testing.assert_array_equal(student.predict_proba(files), expected)


def test_all_unreadable_files_are_named(photos, path, tmp_path, monkeypatch):
    student = OnnxClassifier(write_images(path))
    monkeypatch.setattr(student._file, "batch_size", 2)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    with pytest.raises(UnreadableImageError) as told:
        student.predict([broken, *photos, b"", "absent.png"])
    names = [name for name, _ in told.value.failures]
    assert names == [str(broken), "bytes of X[6]", "absent.png"]
    assert "Cannot read 3 of 8 images" in str(told.value)


def test_what_is_doubtful_is_warned_of(path, tmp_path):
    dark = tmp_path / "dark.png"
    Image.fromarray(np.full((9, 9), 900, np.uint16)).save(dark)
    student = OnnxClassifier(write_images(path))
    with pytest.warns(ImageFolderWarning, match="no gray level is above 900"):
        student.predict([dark])


@pytest.mark.parametrize(
    "wrong, told",
    [
        ("cat.jpg", "a single str"),
        (b"\xff\xd8", "a single bytes"),
        (["cat.jpg", 3], r"X\[1\]=3 is of type int"),
        ([], "shape"),
    ],
)
def test_what_is_no_list_of_files(path, wrong, told):
    student = OnnxClassifier(write_images(path))
    with pytest.raises(ValueError, match=told):
        student.predict(wrong)


@pytest.mark.slow
def test_road_photographs(real_data, tmp_path, path):
    with tarfile.open(real_data / "road_clean_dirty.tar") as archive:
        archive.extractall(tmp_path / "road", filter="data")
    files = sorted((tmp_path / "road").glob("*/*"))
    student = OnnxClassifier(write_images(path, size=(64, 48)))
    images = ImageReader((64, 48), n_jobs=2).transform(files)
    read = [*read_batches(files_of(files), student.metadata_.image, 50)]
    np.testing.assert_array_equal(np.concatenate(read), images)
    contents = [file.read_bytes() for file in files[:20]]
    np.testing.assert_array_equal(
        student.predict(contents), student.predict(images[:20])
    )
