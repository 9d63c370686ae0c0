"""Images in memory are read as the files that they come from."""

import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from skkd import DistilledClassifier, ImageReader
from skkd.images import UnreadableImageError

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (13, 9, 3), np.uint8)


def content_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def from_file(tmp_path, content, **params):
    path = tmp_path / "file"
    path.write_bytes(content)
    return ImageReader(8, **params).transform([path])


def test_every_form_of_an_image_gives_the_same_pixels(tmp_path):
    image = Image.fromarray(PIXELS)
    expected = from_file(tmp_path, content_of(image))[0]
    forms = [
        *(content_of(image), bytearray(content_of(image)), image),
        *(PIXELS, PIXELS.transpose(2, 0, 1), torch.from_numpy(PIXELS)),
        np.asfortranarray(PIXELS),
        np.dstack([PIXELS, np.full((13, 9), 255, np.uint8)]),
        str(tmp_path / "file"),
    ]
    for found in (
        ImageReader(8).fit_transform(forms),
        ImageReader(8, n_jobs=2).transform([[form] for form in forms]),
        ImageReader(8, memory=tmp_path / "cache").transform(forms),
        ImageReader(8, memory=tmp_path / "cache").transform(forms),
        np.asarray(ImageReader(8, lazy=True).transform(forms)),
        pickle.loads(pickle.dumps(ImageReader(8))).transform(forms),
    ):
        assert found.shape == (len(forms), 3, 8, 8)
        assert (found == expected).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "1", "RGBA"])
def test_modes_of_pil_are_those_of_their_files(tmp_path, mode):
    image = Image.fromarray(PIXELS).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(PIXELS[:, :, 0]))
    kind = "TIFF" if mode == "CMYK" else "PNG"
    expected = from_file(tmp_path, content_of(image, kind))
    np.testing.assert_array_equal(ImageReader(8).transform([image]), expected)


def test_images_stay_as_they_are_and_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = content_of(Image.fromarray(PIXELS), exif=exif)
    image = Image.open(io.BytesIO(content))
    expected = from_file(tmp_path, content)
    np.testing.assert_array_equal(ImageReader(8).transform([image]), expected)
    assert image.size == (9, 13) and image.getexif()[0x0112] == 6
    other = from_file(tmp_path, content_of(Image.fromarray(PIXELS)))
    assert (expected != other).any()


def test_sixteen_bits(tmp_path):
    levels = rng.integers(0, 65536, (13, 9), np.uint16)
    expected = from_file(tmp_path, content_of(Image.fromarray(levels)))
    for form in (levels, Image.fromarray(levels)):
        np.testing.assert_array_equal(ImageReader(8).transform([form]), expected)
    tiff = Image.open(io.BytesIO(content_of(Image.fromarray(levels), "TIFF")))
    tiff.tag_v2[262] = 0  # zero is white
    found = ImageReader(8).transform([tiff]).astype(int)
    assert np.abs(255 - found - expected).max() <= 1


def test_floats_need_their_levels():
    image = rng.random((13, 9))
    with pytest.raises(UnreadableImageError, match=r"ImageReader\(levels="):
        ImageReader(8, "L").transform([image])
    found = ImageReader(8, "L", levels=(0, 1)).transform([image])
    eight = (255 * image).round().astype(np.uint8)
    assert np.abs(found - ImageReader(8, "L").transform([eight]).astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (rng.random((9, 9, 3)), r"float64.*\(255 \* image\).round"),
        (PIXELS.astype(int), r"int64.*image.astype"),
        (np.zeros((9, 9, 2), np.uint8), r"shape \(9, 9, 2\); expected"),
        (np.zeros((0, 9), np.uint8), r"shape \(0, 9\)"),
        (np.zeros((3, 9, 4), np.uint8), "first or last"),
        (b"nothing", "not an image"),
    ],
)
def test_what_is_not_clear_is_refused_by_its_place(array, message):
    with pytest.raises(UnreadableImageError, match=message) as caught:
        ImageReader(8).transform([PIXELS, array])
    ((name, _),) = caught.value.failures
    assert name.endswith("X[1]")


def test_the_cache_tells_images_in_memory_apart(tmp_path):
    reader = ImageReader(8, memory=tmp_path)
    first, second = reader.transform([PIXELS, PIXELS[::-1]])
    assert (first != second).any()
    np.testing.assert_array_equal(reader.transform([PIXELS[::-1]])[0], second)


def test_a_student_of_images_answers_about_images_of_any_size():
    from sklearn.pipeline import make_pipeline

    images = [rng.integers(0, 256, (9 + i, 20 - i, 3), np.uint8) for i in range(8)]
    student = make_pipeline(ImageReader(8), DistilledClassifier(max_epochs=1))
    student.fit(images, [0, 1] * 4)
    asked = [
        images[0],
        Image.fromarray(images[0]),
        content_of(Image.fromarray(images[0])),
    ]
    proba = student.predict_proba(asked)
    assert (proba == proba[0]).all()
