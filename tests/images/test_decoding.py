"""The pixels of each kind of image file."""

import struct

import numpy as np
import pytest
from image_files import BLUE, GREEN, RED, WHITE, read, save, save_noise
from PIL import Image

from skkd.images import (
    ImageReader,
    UnreadableImageError,
)


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
    for mode in ("RGB", "L"):
        pixels = read(tmp_path / file, mode=mode, levels=(0, 65535))
        np.testing.assert_array_equal(pixels, expected)


def test_16_bit_big_endian_tiff(tmp_path):
    image = Image.frombytes("I;16B", (8, 8), struct.pack(">H", 51400) * 64)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), 200)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_pixels_are_refused(tmp_path, dtype):
    Image.fromarray(np.ones((8, 8), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=r"no agreed range(.|\n)*levels="):
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
