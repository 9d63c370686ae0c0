"""Decode one image file, the same way wherever skkd reads an image."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import BinaryIO, NoReturn

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skkd.images._errors import NotAnImageError, UnsupportedImageError
from skkd.images._levels import (
    Levels,
    doubts_of_alpha,
    doubts_of_white,
    to_8_bits,
)
from skkd.images._limits import check_n_bytes, check_n_pixels
from skkd.images._storage import Doubt, Storage, read_storage, storage_in_memory
from skkd.images._unsupported import describe_unsupported

# An allow-list, because Pillow would otherwise run Ghostscript for EPS files and read
# many kinds of binary files as TGA. HEIF is available once pillow-heif registers it.
_FORMATS = (
    *("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF"),
    *("PPM", "JPEG2000", "AVIF", "HEIF"),
)

# Bytes that Pillow holds a pixel in; those of colours have four.
_HELD = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# What decoders need beside it: a whole image in their own form.
_DECODERS = {"WEBP": 12, "AVIF": 8, "HEIF": 8, "JPEG2000": 16}
_ORIENTATION = 0x0112
# Pixels of transparent images that are shown over white at a time.
_STRIP = 2**20

# A JPEG is decoded at a reduced scale that is still this many times the output size:
# with less, single pixels differ visibly from those of a full decode.
_DRAFT_FACTOR = 4


def get_image_suffixes() -> set[str]:
    """Return the suffixes of files that are meant to be images, readable or not."""
    known = Image.registered_extensions()
    suffixes = {suffix for suffix, name in known.items() if name in _FORMATS}
    others = {".heic", ".heif", ".avif", ".jxl", ".tga", ".ico", ".psd", ".dcm"}
    return suffixes | others


def decode_image(
    file: BinaryIO, size: tuple[int, int], mode: str, levels: Levels = None
) -> tuple[np.ndarray, list[Doubt]]:
    """Decode the first frame of an open file completely, and resize it.

    Returns uint8 pixels of shape (height, width, 3) for mode RGB, (height, width) for
    L, and what is doubtful about them.
    """
    height, width = size
    doubts: list[Doubt] = []
    if is_dicom(file):
        # Entered for these files alone: pydicom is optional.
        from skkd.images._dicom import read_dicom

        image = read_dicom(file, levels)
    else:
        image, doubts = _read_with_pillow(file, max(size), levels)
    return _resized(image, (width, height), mode), doubts


def decode_in_memory(
    image: Image.Image, size: tuple[int, int], mode: str, levels: Levels = None
) -> tuple[np.ndarray, list[Doubt]]:
    """Do the same with an image in memory, which is not changed."""
    check_n_pixels(*image.size)
    _check_n_bytes(image)
    storage = storage_in_memory(image)
    opaque, doubts = _shown(ImageOps.exif_transpose(image), storage, levels)
    return _resized(opaque, size[::-1], mode), doubts


def _resized(image: Image.Image, size: tuple[int, int], mode: str) -> np.ndarray:
    if image.mode == "RGB" and mode == "L":
        image = image.convert(mode)
    small = image.resize(size, Image.Resampling.BILINEAR)
    # Three channels of a gray image, of which each would be resized as the one is.
    return np.asarray(small if small.mode == mode else small.convert(mode))


def check_start(file: BinaryIO) -> None:
    """Raise unless a file begins as an image of a known format."""
    if is_dicom(file):
        return
    start = file.read(16)
    file.seek(0)
    for name in _known_formats():
        accept = Image.OPEN[name][1]
        # What Pillow takes for a "no" of a short file.
        with suppress(SyntaxError, IndexError, TypeError, struct.error):
            if accept is None or accept(start):
                return
    _refuse(file)


def is_dicom(file: BinaryIO) -> bool:
    """Tell whether a file begins as DICOM files do."""
    file.seek(128)
    magic = file.read(4)
    file.seek(0)
    return magic == b"DICM"


def _read_with_pillow(
    file: BinaryIO, side: int, levels: Levels
) -> tuple[Image.Image, list[Doubt]]:
    with _identify(file) as image:
        storage = read_storage(image, file)
        if image.format in {"JPEG", "MPO"}:
            # The decoder does not know the orientation: request the longer side for
            # both.
            image.draft(None, (_DRAFT_FACTOR * side,) * 2)
        _check_n_bytes(image)
        ImageOps.exif_transpose(image, in_place=True)
        return _shown(image, storage, levels)


def _shown(
    image: Image.Image, storage: Storage, levels: Levels
) -> tuple[Image.Image, list[Doubt]]:
    """Return an upright image with 8 bits a channel and without transparency."""
    gray_or_color, doubts = to_8_bits(image, storage, levels)
    doubts += [*storage.doubts, *doubts_of_alpha(gray_or_color, storage)]
    opaque = _without_alpha(gray_or_color, storage)
    if gray_or_color.has_transparency_data:
        doubts += doubts_of_white(gray_or_color, opaque)
    return opaque, doubts


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _identify(file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file, formats=_known_formats())
    except UnidentifiedImageError:
        _refuse(file)
    check_n_pixels(*image.size)
    return image


def _refuse(file: BinaryIO) -> NoReturn:
    """Raise the error of a file that is no image, or none that can be read."""
    known = describe_unsupported(file)
    if known:
        raise UnsupportedImageError(known) from None
    file.seek(0)
    start = file.read(16)
    message = f"not an image, it begins with {start!r}" if start else "empty file"
    raise NotAnImageError(message) from None


def _check_n_bytes(image: Image.Image) -> None:
    """Raise if an image would take too much memory once it is decoded."""
    per_pixel = held = _HELD.get(image.mode, 4)
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        per_pixel = 3 * held + 2  # as it is, as an array, and in 8 bits
    elif image.mode not in {"RGB", "L"} or "transparency" in image.info:
        per_pixel = held + 4
    if _is_turned(image):
        per_pixel = max(per_pixel, 2 * held)
    per_pixel += _DECODERS.get(image.format or "", 0)
    width, height = image.size
    check_n_bytes(width * height * per_pixel, "an image that is decoded in memory")


def _is_turned(image: Image.Image) -> bool:
    if hasattr(image, "tag_v2"):
        return image.tag_v2.get(_ORIENTATION, 1) != 1
    # Of a PNG without this chunk at its begin, Pillow would look behind the pixels.
    return "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1


def _without_alpha(image: Image.Image, storage: Storage) -> Image.Image:
    """Return the image in mode RGB or L, with transparent pixels over white."""
    if not storage.has_alpha and image.mode == "RGBA":
        image = image.convert("RGB")
    if image.has_transparency_data:
        return _over_white(image)
    return image if image.mode in {"RGB", "L"} else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """Show an image over white, a strip at a time: it may be large."""
    width, height = image.size
    shown = Image.new("RGB", image.size)
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        strip = image.crop((0, top, width, min(top + step, height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        shown.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return shown
