"""Folders of images and the transformer that reads them, on files made here."""

import os
import pickle
import struct
import sys
import tarfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from PIL import Image, ImageFile
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skkd.images import (
    ImageFolderWarning,
    ImageReader,
    UnreadableImageError,
    load_image_folder,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def save(path, color=RED, size=(12, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)
    return path


def save_noise(path, size=(60, 50), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def truncate(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def read(path, size=8, mode="RGB"):
    return ImageReader(size, mode=mode).transform([path])[0]


def names(photos, root):
    return [Path(path).relative_to(root).as_posix() for path in photos.data]


@pytest.fixture
def root(tmp_path):
    """Two classes, three different images."""
    save(tmp_path / "pets" / "cat" / "1.png", RED)
    save(tmp_path / "pets" / "cat" / "2.jpg", GREEN)
    save(tmp_path / "pets" / "dog" / "1.png", BLUE)
    return tmp_path / "pets"


# --- load_image_folder -----------------------------------------------------------


@pytest.mark.parametrize("as_type", [str, Path])
def test_folder_gives_paths_and_class_names(root, as_type):
    photos = load_image_folder(as_type(root))
    assert names(photos, root) == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    assert photos.data.shape == photos.target.shape == (3,)
    assert photos.data.dtype.kind == photos.target.dtype.kind == "U"
    assert photos.target.tolist() == ["cat", "cat", "dog"]
    assert photos.target_names == ["cat", "dog"]
    assert photos.skipped == []
    assert photos.groups.tolist() == [0, 1, 2]


def test_order_is_by_name_parts_whatever_the_system_lists(tmp_path, monkeypatch):
    for i, name in enumerate(
        ["b/x/1.png", "b/B.png", "b/a.png", "a.b/1.png", "a/1.png"]
    ):
        save(tmp_path / name, (i, 0, 0))
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda e: e.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *args):
            return None

    expected = ["a/1.png", "a.b/1.png", "b/B.png", "b/a.png", "b/x/1.png"]
    assert names(load_image_folder(tmp_path), tmp_path) == expected
    monkeypatch.setattr("skkd.images._files.os.scandir", Reversed)
    photos = load_image_folder(tmp_path)
    assert names(photos, tmp_path) == expected
    assert photos.target_names == ["a", "a.b", "b"]


def test_class_is_the_first_level_at_any_depth(root):
    save(root / "cat" / "indoor" / "night" / "3.png", (9, 9, 9))
    photos = load_image_folder(root)
    assert photos.target.tolist() == ["cat", "cat", "cat", "dog"]


def test_blanks_and_unicode_in_names(tmp_path):
    save(tmp_path / "grüne Äpfel" / "Foto 1 é.png", RED)
    save(tmp_path / "梨" / "写真.jpg", BLUE)
    photos = load_image_folder(tmp_path)
    assert photos.target_names == ["grüne Äpfel", "梨"]
    assert ImageReader(4).fit_transform(photos.data).shape == (2, 3, 4, 4)


def test_home_is_expanded(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    assert len(load_image_folder("~/pets").data) == 3


def test_hidden_and_system_files_are_left_out_in_silence(root):
    (root / "cat" / ".gitkeep").touch()
    (root / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (root / "cat" / "desktop.ini").write_text("ini")
    save(root / "cat" / "._1.png")
    save(root / ".cache" / "1.png")
    save(root / "__MACOSX" / "1.png")
    (root / "metadata.csv").write_text("file,label")
    assert load_image_folder(root).target_names == ["cat", "dog"]


def test_content_decides_what_is_an_image(root):
    save(root / "cat" / "a.jpg", (1, 2, 3), format="WEBP")
    save(root / "cat" / "no_suffix", (4, 5, 6), format="PNG")
    save(root / "cat" / "odd.txt", (7, 8, 9), format="PNG")
    assert len(load_image_folder(root).data) == 6


def test_other_files_are_ignored_and_named(root):
    (root / "cat" / "notes.txt").write_text("a note")
    (root / "dog" / "empty").touch()
    with pytest.warns(
        ImageFolderWarning, match=r"2 file\(s\) that are not images"
    ) as record:
        photos = load_image_folder(root)
    assert len(photos.data) == 3
    assert photos.skipped == []
    assert "cat/notes.txt" in str(record[0].message)
    assert "dog/empty" in str(record[0].message)
    assert record[0].filename == __file__


def test_images_directly_in_the_root_are_named(root):
    save(root / "lost.jpg")
    with pytest.warns(ImageFolderWarning, match=r"directly in the root(.|\n)*lost.jpg"):
        assert len(load_image_folder(root).data) == 3


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent' does not exist"):
        load_image_folder(tmp_path / "absent")


def test_root_is_a_file(root):
    with pytest.raises(NotADirectoryError, match="is a file; expected a folder"):
        load_image_folder(root / "cat" / "1.png")


def test_root_without_class_folders_shows_the_layout(tmp_path):
    with pytest.raises(ValueError, match=r"no class folders.*cat/1\.jpg"):
        load_image_folder(tmp_path)
    save(tmp_path / "1.png")
    with pytest.raises(ValueError, match=r"directly in it: 1"):
        load_image_folder(tmp_path)


def test_all_classes_without_images_are_named(root):
    (root / "bird").mkdir()
    (root / "fish" / "sub").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"2 of 4 class folders.*\['bird', 'fish'\]"):
        load_image_folder(root)


def test_skipping_may_not_empty_a_class(root):
    truncate(root / "dog" / "1.png")
    with pytest.raises(ValueError, match=r"\['dog'\]"):
        load_image_folder(root, on_error="skip")


@pytest.mark.parametrize("on_error", ["ignore", None, True])
def test_wrong_on_error(root, on_error):
    with pytest.raises(ValueError, match="expected 'raise' or 'skip'"):
        load_image_folder(root, on_error)


@pytest.fixture
def damaged(root):
    """Add a broken file of every kind; return their names."""
    truncate(save_noise(root / "cat" / "t1.jpg"))
    truncate(save_noise(root / "cat" / "t2.png"))
    truncate(save_noise(root / "cat" / "t3.webp"))
    # The last bytes only: a decoder that stops early would not see it.
    truncate(save_noise(root / "cat" / "t4.jpg", size=(900, 800)), keep=0.999)
    (root / "dog" / "zero.JPG").touch()
    (root / "dog" / "page.jpg").write_text("<html>404</html>")
    (root / "dog" / "gone.png").symlink_to(root / "absent.png")
    return [
        *(f"cat/t{i}" for i in (1, 2, 3, 4)),
        *("dog/gone.png", "dog/page.jpg", "dog/zero.JPG"),
    ]


def test_all_damaged_files_are_in_one_error(root, damaged):
    with pytest.raises(UnreadableImageError, match="Cannot read 7 of 10") as info:
        load_image_folder(root)
    message = str(info.value)
    for name in damaged:
        assert name in message
    for reason in ("truncated", "empty file", "begins with b'<html>", "No such file"):
        assert reason in message
    assert "on_error='skip'" in message
    assert len(info.value.failures) == 7
    assert pickle.loads(pickle.dumps(info.value)).failures == info.value.failures


def test_damaged_files_are_skipped_on_request(root, damaged):
    with pytest.warns(ImageFolderWarning, match="Cannot read 7 of 10") as record:
        photos = load_image_folder(root, on_error="skip")
    assert len(record) == 1
    assert names(photos, root) == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    skipped = [Path(path).relative_to(root).as_posix() for path, _ in photos.skipped]
    assert [
        name.startswith(start) for name, start in zip(skipped, damaged, strict=True)
    ]
    assert dict(photos.skipped)[str(root / "dog" / "zero.JPG")] == "empty file"


def test_long_lists_are_shortened_in_the_message_only(root):
    for i in range(25):
        (root / "cat" / f"zero{i:02}.png").touch()
    with pytest.raises(UnreadableImageError, match="and 5 more") as info:
        load_image_folder(root)
    assert "zero19" in str(info.value)
    assert "zero20" not in str(info.value)
    assert len(info.value.failures) == 25


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("n_pixels", [100, 10_000])
def test_decompression_bombs_are_refused(root, monkeypatch, action, n_pixels):
    """120 and 40,000 pixels: beyond the limit, and beyond twice the limit."""
    path = root / "cat" / "1.png"
    if n_pixels == 10_000:
        save(path, size=(200, 200))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", n_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        for call in (
            lambda: load_image_folder(root),
            lambda: ImageReader(4).transform([path]),
        ):
            with pytest.raises(UnreadableImageError, match=f"PIXELS={n_pixels} ") as e:
                call()
            assert "cat/1.png" in Path(e.value.failures[0][0]).as_posix()
            assert "raise that limit" in str(e.value)


def test_identical_files_across_classes_are_named(root):
    save(root / "dog" / "copy.png", RED)
    expected = r"1 group.s. of .* more than one class(.|\n)*cat/1.png = dog/copy.png"
    with pytest.warns(ImageFolderWarning, match=expected) as record:
        photos = load_image_folder(root)
    assert len(record) == 1
    assert photos.groups.tolist() == [0, 1, 2, 0]


def test_identical_files_within_a_class_are_counted(root):
    for i in (3, 4):
        save(root / "cat" / f"{i}.png", RED)
    expected = r"1 group.s. of .* within one class \(3 files\).*StratifiedGroupKFold"
    with pytest.warns(ImageFolderWarning, match=expected):
        photos = load_image_folder(root)
    assert photos.groups.tolist() == [0, 1, 0, 0, 2]


def test_leaks_between_two_folders(root, tmp_path):
    save(tmp_path / "test" / "cat" / "leak.png", RED)
    save(tmp_path / "test" / "dog" / "new.png", (1, 1, 1))
    train = load_image_folder(root)
    for other in (train, root, str(root)):
        with pytest.warns(ImageFolderWarning, match="1 of 2 images") as record:
            test = load_image_folder(tmp_path / "test", compare_with=other)
        assert f"cat/leak.png = {train.data[0]}" in str(record[0].message)
    assert np.isin(test.sha256, train.sha256).tolist() == [True, False]


def test_no_leak_no_warning(root, tmp_path):
    save(tmp_path / "test" / "cat" / "new.png", (1, 1, 1))
    load_image_folder(tmp_path / "test", compare_with=root)


def test_wrong_compare_with(root, tmp_path):
    with pytest.raises(ValueError, match=r"a folder or a Bunch .* got int"):
        load_image_folder(root, compare_with=3)
    with pytest.raises(FileNotFoundError, match="compare_with"):
        load_image_folder(root, compare_with=tmp_path / "absent")


@pytest.mark.parametrize("folders", [["data"], ["train", "test"]])
def test_root_one_level_too_high(tmp_path, folders):
    for i, folder in enumerate(folders):
        for j, name in enumerate(["cat", "dog"]):
            save(tmp_path / folder / name / "1.png", (i, j, 0))
    with pytest.warns(ImageFolderWarning, match="all images lie deeper"):
        load_image_folder(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_and_cycles_end(root, tmp_path):
    elsewhere = save(tmp_path / "elsewhere" / "3.png", (3, 3, 3))
    (root / "cat" / "link.png").symlink_to(elsewhere)
    (root / "bird").symlink_to(save(tmp_path / "birds" / "1.png", (4, 4, 4)).parent)
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    photos = load_image_folder(root)
    assert names(photos, root) == [
        *("bird/1.png", "cat/1.png", "cat/2.jpg", "cat/link.png", "dog/1.png"),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_does_not_hang(root):
    os.mkfifo(root / "cat" / "pipe.jpg")
    with pytest.warns(ImageFolderWarning, match=r"cat/pipe\.jpg"):
        assert len(load_image_folder(root).data) == 3


# --- what a reader makes of each kind of file ------------------------------------


def test_pixels_equal_an_independent_area_mean(tmp_path):
    """Halving by the antialiased triangle: weights 1, 3, 3, 1 over 8 each way."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    result = read(tmp_path / "a.png", size=(8, 12)).transpose(1, 2, 0)
    weights = np.array([1, 3, 3, 1]) / 8
    inner = pixels[1:-1, 1:-1].astype(float)  # rows 2i-1 ... 2i+2 of output row i
    windows = np.lib.stride_tricks.sliding_window_view(inner, (4, 4), axis=(0, 1))
    expected = np.einsum("ijcab,a,b->ijc", windows[::2, ::2], weights, weights)
    np.testing.assert_allclose(result[1:-1, 1:-1], expected, atol=1.01)


@pytest.mark.parametrize("size", [16, (7, 31), [31, 7], (np.int64(90), 120)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_equal_plain_pillow(tmp_path, size, mode):
    path = save_noise(tmp_path / "a.jpg")
    height, width = (size, size) if isinstance(size, int) else size
    with Image.open(path) as image:
        resized = image.convert(mode).resize((width, height), Image.BILINEAR)
    expected = np.asarray(resized).reshape(height, width, -1).transpose(2, 0, 1)
    result = ImageReader(size, mode).transform([path])
    assert result.dtype == np.uint8
    assert result.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(result[0], expected)


def test_reduced_scale_stays_within_the_documented_tolerance(tmp_path):
    """A photo-like JPEG of 25 times the output size, against a full decode."""
    coarse = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = Image.fromarray(coarse).resize((1000, 800), Image.BICUBIC)
    image.save(tmp_path / "big.jpg", quality=90)
    with Image.open(tmp_path / "big.jpg") as image:
        full = np.asarray(image.resize((32, 32), Image.BILINEAR)).transpose(2, 0, 1)
    result = read(tmp_path / "big.jpg", 32)
    assert np.abs(result.astype(int) - full).mean() < 4
    assert (result != full).any(), "not decoded at a reduced scale: test is void"


GRAY = (90, 90, 90)


@pytest.mark.parametrize(
    ("mode", "color", "file", "expected"),
    [
        ("L", 90, "a.png", GRAY),
        ("L", 90, "a.jpg", GRAY),
        ("LA", (90, 255), "a.png", GRAY),
        ("LA", (90, 0), "a.png", WHITE),
        ("1", 1, "a.png", WHITE),
        ("1", 0, "a.tif", (0, 0, 0)),
        ("RGBA", (*RED, 255), "a.png", RED),
        ("RGBA", (*RED, 0), "a.png", WHITE),
        ("RGBA", (*RED, 128), "a.webp", (255, 127, 127)),
        ("P", 1, "a.gif", RED),
        ("CMYK", (0, 255, 255, 0), "a.jpg", RED),
        ("CMYK", (255, 0, 255, 0), "a.tif", GREEN),
        ("YCbCr", (76, 85, 255), "a.tif", RED),
        ("RGB", BLUE, "a.bmp", BLUE),
        ("RGB", BLUE, "a.ppm", BLUE),
        ("RGB", BLUE, "a.jp2", BLUE),
    ],
)
def test_colors_of_every_mode(tmp_path, mode, color, file, expected):
    image = Image.new(mode, (20, 20), color)
    if mode == "P":
        image.putpalette([*BLUE, *RED])
    image.save(tmp_path / file)
    np.testing.assert_allclose(read(tmp_path / file)[:, 4, 4], expected, atol=3)
    luma = np.dot(expected, [0.299, 0.587, 0.114])
    gray = read(tmp_path / file, mode="L")
    assert gray.shape == (1, 8, 8)
    np.testing.assert_allclose(gray[0, 4, 4], luma, atol=3)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_palette_with_transparency(tmp_path, transparency):
    image = Image.fromarray(
        np.repeat([[0], [1]], 8, axis=0).astype(np.uint8).repeat(16, 1)
    )
    image.putpalette([*BLUE, *RED])
    image.save(tmp_path / "a.png", transparency=transparency)
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.mode == "P"
    pixels = read(tmp_path / "a.png", 16)
    assert tuple(pixels[:, 1, 1]) == WHITE
    assert tuple(pixels[:, 14, 1]) == RED


def test_transparent_color_key(tmp_path):
    save(tmp_path / "a.png", BLUE, transparency=BLUE)
    assert tuple(read(tmp_path / "a.png")[:, 4, 4]) == WHITE


@pytest.mark.parametrize("file", ["a.png", "a.tif", "a.pgm", "a.jp2"])
@pytest.mark.parametrize(
    ("level", "expected"), [(0, 0), (255, 1), (257, 1), (32896, 128), (65535, 255)]
)
def test_16_bit_is_scaled_not_clipped(tmp_path, file, level, expected):
    Image.fromarray(np.full((20, 20), level, np.uint16)).save(tmp_path / file)
    np.testing.assert_array_equal(read(tmp_path / file), expected)
    np.testing.assert_array_equal(read(tmp_path / file, mode="L"), expected)


def test_16_bit_big_endian_tiff(tmp_path):
    image = Image.frombytes("I;16B", (8, 8), struct.pack(">H", 514) * 64)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), 2)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_pixels_are_refused(tmp_path, dtype):
    Image.fromarray(np.ones((8, 8), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=r"no agreed range; save .* 8 or 16"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("n", [80, 1600])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation(tmp_path, n, orientation, turn):
    """Four colours in the quadrants of a wide image, small and at a reduced scale."""
    quadrants = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
    image = Image.fromarray(quadrants).resize((n, n // 2), Image.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = read(tmp_path / "a.jpg", 20)[:, 5::10, 5::10]
    expected = turn(quadrants).transpose(2, 0, 1)
    np.testing.assert_allclose(pixels, expected, atol=4)


@pytest.mark.parametrize("file", ["a.gif", "a.webp", "a.png"])
def test_animation_gives_the_first_frame(tmp_path, file):
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    options = {"lossless": True} if file == "a.webp" else {}
    frames[0].save(
        tmp_path / file, save_all=True, append_images=frames[1:], duration=9, **options
    )
    with Image.open(tmp_path / file) as image:
        assert image.n_frames == 3
    assert tuple(read(tmp_path / file)[:, 4, 4]) == RED


def test_multi_picture_jpeg_gives_the_first(tmp_path):
    first, second = (Image.new("RGB", (400, 300), color) for color in (RED, BLUE))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    np.testing.assert_allclose(read(tmp_path / "a.jpg")[:, 4, 4], RED, atol=3)


def test_webp_named_jpg(tmp_path):
    save(tmp_path / "a.jpg", BLUE, format="WEBP", lossless=True)
    assert tuple(read(tmp_path / "a.jpg")[:, 4, 4]) == BLUE


def test_eps_is_no_image_here(tmp_path):
    """Pillow would run Ghostscript on it."""
    save(tmp_path / "a.jpg", format="EPS")
    with pytest.raises(UnreadableImageError, match="not an image"):
        read(tmp_path / "a.jpg")


# --- ImageReader: errors ---------------------------------------------------------


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
        (np.zeros(3), r"X\[0\]=.*expected a path"),
        (np.zeros((3, 1)), r"X\[0\]=.*expected a path"),
        (np.zeros((3, 2)), r"shape \(3, 2\).*expected a 1-D"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"shape \(2, 3, 8, 8\)"),
        (["a.png", None], r"X\[1\]=None is of type NoneType"),
        (pd.Series(["a.png", None]), r"X\[1\]"),
        ([b"a.png"], r"X\[0\]=b'a.png' is of type bytes"),
        (pd.DataFrame({"a": ["a.png"], "b": ["b.png"]}), r"shape \(1, 2\)"),
        ({"data": ["a.png"]}, "photos.data"),
        (None, "expected a 1-D"),
    ],
)
def test_wrong_X(X, message):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(ImageReader(8), method)(X)


# --- ImageReader: a scikit-learn transformer -------------------------------------


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
    params = {"size": (8, 6), "mode": "L", "n_jobs": 2, "memory": None, "lazy": False}
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


# --- real photographs ------------------------------------------------------------


@pytest.mark.skipif(
    not (REAL_DATA / "brain_mri_yes_no.tar").exists(), reason="no shared data here"
)
def test_brain_mri(tmp_path):
    with tarfile.open(REAL_DATA / "brain_mri_yes_no.tar") as archive:
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
