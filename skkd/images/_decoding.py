"""Decode one image file, the same way wherever skkd reads an image."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skkd.images._errors import (
    NotAnImageError,
    UnsupportedImageError,
    check_n_pixels,
)
from skkd.images._levels import (
    Levels,
    doubts_of_alpha,
    doubts_of_white,
    to_8_bits,
)
from skkd.images._storage import Doubt, Storage, read_storage, storage_in_memory
from skkd.images._unsupported import describe_unsupported

# An allow-list, because Pillow would otherwise run Ghostscript for EPS files and read
# many kinds of binary files as TGA. HEIF is available once pillow-heif registers it.
_FORMATS = (
    *("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF"),
    *("PPM", "JPEG2000", "AVIF", "HEIF"),
)

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
    storage = storage_in_memory(image)
    opaque, doubts = _shown(ImageOps.exif_transpose(image), storage, levels)
    return _resized(opaque, size[::-1], mode), doubts


def _resized(image: Image.Image, size: tuple[int, int], mode: str) -> np.ndarray:
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


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


def _identify(file: BinaryIO) -> Image.Image:
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        known = describe_unsupported(file)
        if known:
            raise UnsupportedImageError(known) from None
        file.seek(0)
        start = file.read(16)
        message = f"not an image, it begins with {start!r}" if start else "empty file"
        raise NotAnImageError(message) from None
    check_n_pixels(*image.size)
    return image


def _without_alpha(image: Image.Image, storage: Storage) -> Image.Image:
    """Return the image in mode RGB or L, with transparent pixels over white."""
    if not storage.has_alpha and image.mode == "RGBA":
        image = image.convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode in {"RGB", "L"} else image.convert("RGB")
