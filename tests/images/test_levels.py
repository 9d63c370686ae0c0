"""Gray levels and bands that a format leaves open: asked for, or named."""

import base64
import io
import pickle
import warnings

import numpy as np
import pytest
from image_files import read, save, save_tiff
from PIL import Image
from sklearn.base import clone

from skkd.images import (
    ImageFolderWarning,
    ImageReader,
    UnreadableImageError,
    load_image_folder,
)

JPEG = io.BytesIO()
Image.new("RGB", (8, 8)).save(JPEG, "JPEG")
JPEG = JPEG.getvalue()
RAMP = np.arange(256).repeat(256).reshape(256, 256)  # 256 levels of gray


def save_ramp(path, top):
    Image.fromarray((RAMP * (top / 255)).astype(np.uint16)).save(path)
    return path


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (10, 1023), (12, 4095)])
def test_levels_that_use_few_of_16_bits_are_named_with_the_remedy(tmp_path, bits, top):
    path = save_ramp(tmp_path / "a.png", top)
    with pytest.warns(ImageFolderWarning, match=f"level is above {top} of") as record:
        dark = read(path, 256, "L")
    assert record[0].filename.endswith("image_files.py")
    assert dark.max() == round(top / 257)
    assert f"{bits} bits, pass ImageReader(levels=(0, {top}))" in str(record[0].message)
    np.testing.assert_array_equal(read(path, 256, "L", levels=(0, top))[0], RAMP)


def test_full_range_is_silent_and_a_dark_one_can_be_meant(tmp_path):
    np.testing.assert_array_equal(
        read(save_ramp(tmp_path / "a.png", 65535), 256)[0], RAMP
    )
    dark = save_ramp(tmp_path / "b.png", 2570)
    assert read(dark, 256, levels=(0, 65535)).max() == 10
    save_ramp(tmp_path / "black.png", 0)
    assert read(tmp_path / "black.png").max() == 0


def test_one_scale_for_dark_and_light_files(tmp_path):
    """A dark file of 12 bits stays dark: no scale is guessed from one file."""
    paths = [save_ramp(tmp_path / f"{top}.png", top) for top in (4095, 819)]
    light, dark = ImageReader(8, levels=(0, 4095)).transform(paths)
    assert abs(int(light.max()) - 5 * int(dark.max())) <= 5
    low_high = ImageReader(8, levels="minmax").transform(paths)
    assert low_high[0].max() == low_high[1].max()


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("with_memory", [False, True])
def test_levels_everywhere(tmp_path, lazy, with_memory):
    """A changed option uses no old pixels; what is doubtful is said again."""
    path = save_ramp(tmp_path / "a.png", 4095)
    memory = tmp_path / "memory" if with_memory else None
    reader = ImageReader(256, "L", lazy=lazy, memory=memory)
    for _ in range(2):
        with pytest.warns(ImageFolderWarning, match="4095 of 65535"):
            assert np.asarray(reader.transform([path])).max() == 16
    told = pickle.loads(pickle.dumps(clone(reader).set_params(levels=(0, 4095))))
    for _ in range(2):
        images = told.transform([path])
        np.testing.assert_array_equal(np.asarray(images)[0, 0], RAMP)
    if lazy:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(images))[0][0], RAMP)
        kinds = {
            clone(told).set_params(levels=v).transform([path]).row_keys()[1]
            for v in ((0, 4095), (0, 4094), "minmax")
        }
        assert len(kinds) == 3


@pytest.mark.parametrize(
    "levels", [4095, (1, 1), (2, 1), "max", (0, np.inf), (0,), "01"]
)
def test_wrong_levels(levels):
    with pytest.raises(ValueError, match=r"levels=.*expected None, 'minmax', or"):
        ImageReader(8, levels=levels).fit(["a.png"])


@pytest.mark.parametrize(
    ("dtype", "kind", "name"),
    [
        ("<i2", "i", "16-bit signed"),
        ("i1", "i", "8-bit signed"),
        ("<u4", "u", "32-bit unsigned"),
        ("<i4", "i", "32-bit signed"),
        ("<f4", "f", "32-bit float"),
    ],
)
def test_levels_of_no_agreed_range(tmp_path, dtype, kind, name):
    low = 0 if kind == "u" else -128
    levels = (np.arange(256) + low).astype(dtype).repeat(256).reshape(256, 256)
    if dtype == "<u4":
        levels = levels + np.uint32(2**31)  # which Pillow reads as negative
        low = 2**31
    path = save_tiff(tmp_path / "a.tif", levels, kind=kind)
    with pytest.raises(UnreadableImageError, match=rf"{name} gray levels have no"):
        read(path)
    pixels = read(path, 256, levels=(low, low + 255))
    np.testing.assert_array_equal(pixels[0], RAMP)


def test_nan_is_refused(tmp_path):
    save_tiff(tmp_path / "a.tif", np.full((8, 8), np.nan, "<f4"), kind="f")
    with pytest.raises(UnreadableImageError, match="NaN or infinite"):
        read(tmp_path / "a.tif", levels=(0, 1))


def test_bits_that_the_file_states_are_used(tmp_path):
    levels = np.full((8, 8), 2048, "<u2")
    save_tiff(tmp_path / "stated.tif", levels, more=[(281, [4095])])
    np.testing.assert_array_equal(read(tmp_path / "stated.tif"), 128)
    # 12 bits a level: 0x800 twice is the bytes 80 08 00.
    save_tiff(tmp_path / "packed.tif", b"\x80\x08\x00" * 32, bits=12)
    np.testing.assert_array_equal(read(tmp_path / "packed.tif"), 128)
    # MaxSampleValue of this image alone says nothing of a scale.
    save_tiff(tmp_path / "odd.tif", levels, more=[(281, [2048])])
    with pytest.warns(ImageFolderWarning, match="2048 of 65535"):
        read(tmp_path / "odd.tif")


def test_white_of_a_ppm_file_is_used(tmp_path):
    header = b"P5 8 8 4095\n"
    (tmp_path / "a.pgm").write_bytes(header + (1000).to_bytes(2, "big") * 64)
    np.testing.assert_array_equal(read(tmp_path / "a.pgm"), round(1000 * 255 / 4095))
    pixels = read(tmp_path / "a.pgm", levels=(0, 2000))
    np.testing.assert_allclose(pixels, 127, atol=1)


# A ramp of 8 x 8 levels 0 ... 4095, as OpenJPEG writes 12 bits; Pillow writes 16.
JPEG2000 = (
    "|4;u>04V?f0000800008000000000000008000080000000000009dD0sm3}3;+NC0RR951ONg5TmS?>VE"
    "<$QB>(|Ka%Ew3Wn>^?c_2@4Wo}APMMofZWpZ<AZ*CwmE;TMR|BwI*000000A>II|C8V0R1z#gr<awnLk`v"
    "`Ki=pm#Yng`RubWP4w#XJPeaj|eiEC`JHvUsaY@F7H-chT6}LIgb?Qn$48SM=2SjDnBg|8V3tVT~>nW>*>"
    "ws|BY&IJWhQt5a"
)


def test_jpeg_2000_of_12_bits(tmp_path):
    (tmp_path / "a.j2k").write_bytes(base64.b85decode(JPEG2000))
    for levels in (None, (0, 4095)):
        pixels = read(tmp_path / "a.j2k", 8, "L", levels=levels)[0]
        np.testing.assert_allclose(pixels.ravel(), np.linspace(0, 255, 64), atol=1)


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_tiff_in_which_zero_is_white(tmp_path, dtype):
    top = np.iinfo(dtype).max
    levels = np.full((8, 8), top, dtype)
    levels[:4] = 0
    save_tiff(tmp_path / "a.tif", levels, photometric=0)
    assert read(tmp_path / "a.tif")[0, :, 0].tolist() == [255] * 4 + [0] * 4


@pytest.mark.parametrize("more", [(), [(338, [0])]])
def test_a_fourth_band_that_no_tag_calls_alpha(tmp_path, more):
    bands = np.full((8, 8, 4), 60, "u1")
    bands[..., 3] = 90  # near infrared
    save_tiff(tmp_path / "a.tif", bands, n_bands=4, photometric=2, more=more)
    with pytest.warns(ImageFolderWarning, match="first 3 of 4 bands are read"):
        np.testing.assert_array_equal(read(tmp_path / "a.tif"), 60)
    save_tiff(tmp_path / "b.tif", bands, n_bands=4, photometric=2, more=[(338, [2])])
    with pytest.warns(ImageFolderWarning, match="tagged as alpha, is half transparent"):
        np.testing.assert_allclose(read(tmp_path / "b.tif"), 186, atol=1)  # over white
    bands[..., 3] = [0, 255, 255, 255, 200, 255, 255, 255]
    save_tiff(tmp_path / "c.tif", bands, n_bands=4, photometric=2, more=[(338, [2])])
    assert read(tmp_path / "c.tif")[0, 0].tolist()[:2] == [255, 60]


@pytest.mark.parametrize(("n_bands", "dtype"), [(4, "u1"), (13, "<u2"), (2, "u1")])
def test_many_bands_are_refused_by_their_number(tmp_path, n_bands, dtype):
    bands = np.zeros((8, 8, n_bands), dtype)
    path = tmp_path / "x" / "a.tif"
    path.parent.mkdir()
    extra = [] if n_bands == 2 else [(338, [0] * (n_bands - 1))]
    save_tiff(path, bands, n_bands=n_bands, more=extra)
    for call in (read, lambda path: load_image_folder(path.parents[1])):
        with pytest.raises(UnreadableImageError, match=rf"TIFF of {n_bands} band"):
            call(path)


def test_pages_of_a_tiff(tmp_path):
    pages = [Image.new("L", (8, 8), level) for level in (50, 60, 70)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(ImageFolderWarning, match="first of 3 pages"):
        np.testing.assert_array_equal(read(tmp_path / "a.tif"), 50)
    thumbnail = pages[1].resize((2, 2))
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=[thumbnail])
    np.testing.assert_array_equal(read(tmp_path / "b.tif"), 50)


def test_colors_of_16_bits(tmp_path):
    for level, file in ((4095, "dark.tif"), (65535, "light.tif")):
        save_tiff(
            tmp_path / file, np.full((8, 8, 3), level, "<u2"), n_bands=3, photometric=2
        )
    assert read(tmp_path / "light.tif").min() == 255
    with pytest.warns(ImageFolderWarning, match="no colour level is above 4095"):
        read(tmp_path / "dark.tif")
    with pytest.raises(UnreadableImageError, match="cannot help there"):
        read(tmp_path / "dark.tif", levels=(0, 4095))


def test_a_folder_of_levels_is_not_called_unreadable(tmp_path):
    (tmp_path / "x").mkdir()
    save_tiff(tmp_path / "x" / "a.tif", np.full((8, 8), -5, "<i2"), kind="i")
    save_ramp(tmp_path / "x" / "b.png", 4095)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_image_folder(tmp_path).data) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x18ftypheic", r"HEIC photograph; `pip install pillow-heif`"),
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "JPEG of 12 bits"),
        (b"\xff\x0a", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)
def test_images_that_are_not_read_are_called_what_they_are(tmp_path, content, reason):
    save(tmp_path / "x" / "good.png")
    path = tmp_path / "x" / "a.bin"
    path.write_bytes(content)
    for call in (lambda: read(path), lambda: load_image_folder(tmp_path)):
        with pytest.raises(UnreadableImageError, match=reason):
            call()


def test_transparent_gray_levels_of_16_bits(tmp_path):
    levels = np.array([[20_000, 60_000]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "1.png", transparency=20_000)
    pixels = read(tmp_path / "1.png", size=(1, 2), mode="L")
    assert pixels.ravel().tolist() == [255, 233]


@pytest.mark.parametrize("top", [255, 200])
def test_colors_of_16_bits_that_use_8(tmp_path, top):
    """Pillow drops the lower half: nothing is left of them."""
    levels = np.full((8, 8, 3), top, np.uint16)
    path = save_tiff(tmp_path / "1.tif", levels, n_bands=3, photometric=2)
    with pytest.warns(ImageFolderWarning, match="no colour level is above 255 of"):
        assert read(path).max() == 0


def test_float_colors_are_named(tmp_path):
    levels = np.ones((8, 8, 3), np.float32)
    path = save_tiff(tmp_path / "1.tif", levels, kind="f", n_bands=3, photometric=2)
    with pytest.raises(UnreadableImageError, match=r"does not read; save it with 8 b"):
        read(path)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_white_over_white(tmp_path, suffix):
    """White strokes, or an alpha of 0 everywhere: nothing would be seen."""
    strokes = np.full((8, 8, 4), 255, np.uint8)
    strokes[2:5, :, 3] = 0
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[2:5, :, :3] = 90
    for pixels in (strokes, clear):
        path = tmp_path / f"1.{suffix}"
        options = {"lossless": True, "exact": True} if suffix == "webp" else {}
        Image.fromarray(pixels).save(path, **options)
        with pytest.warns(ImageFolderWarning, match="is white everywhere"):
            assert read(path).min() == 255
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(path, **options)
    assert read(path).min() == 255
    opaque = np.full((8, 8, 4), 255, np.uint8)
    opaque[0, 0, 0] = 0
    Image.fromarray(opaque).save(path, **options)
    assert read(path).min() < 255
