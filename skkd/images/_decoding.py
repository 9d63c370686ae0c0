"""Decode one image file, the same way wherever skkd reads an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skkd.images._levels import Levels, to_8_bits
from skkd.images._storage import Doubt, Storage, read_storage
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


class NotAnImageError(ValueError):
    """The content has none of the known image formats."""


class UnsupportedImageError(ValueError):
    """The content is an image, of a format that cannot be read as it is."""


class ImageFolderWarning(UserWarning):
    """Something about image files, or a folder of them, that is probably not intended.

    Examples
    --------
    >>> import warnings
    >>> from skkd.images import ImageFolderWarning
    >>> warnings.simplefilter("error", ImageFolderWarning)  # raise instead
    >>> warnings.simplefilter("default", ImageFolderWarning)
    """


class UnreadableImageError(OSError):
    """One or more image files could not be read.

    Parameters
    ----------
    message : str
        The message, with the first twenty files.
    failures : sequence of (str, str), default=()
        Path and reason of every file that could not be read.

    Attributes
    ----------
    failures : list of (str, str)
        Path and reason of every file that could not be read.

    Examples
    --------
    >>> from skkd.images import ImageReader, UnreadableImageError
    >>> try:
    ...     ImageReader(size=8).transform(["absent.jpg"])
    ... except UnreadableImageError as error:
    ...     error.failures
    [('absent.jpg', 'No such file or directory')]
    """

    def __init__(self, message: str, failures: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


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
    if image.mode != mode:
        image = image.convert(mode)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized), doubts


def is_dicom(file: BinaryIO) -> bool:
    """Tell whether a file begins as DICOM files do."""
    file.seek(128)
    magic = file.read(4)
    file.seek(0)
    return magic == b"DICM"


def check_n_pixels(width: int, height: int) -> None:
    """Raise if an image is larger than Pillow's limit."""
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow itself raises only above twice the limit, and warns below that.
    if limit is not None and width * height > limit:
        raise Image.DecompressionBombError


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
        gray_or_color, doubts = to_8_bits(image, storage, levels)
        return _without_alpha(gray_or_color, storage), [*storage.doubts, *doubts]


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


def describe_failure(error: Exception) -> str:
    """Return in one line why a file could not be read, and what would help."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return (
            f"more pixels than PIL.Image.MAX_IMAGE_PIXELS={Image.MAX_IMAGE_PIXELS} "
            "allows, perhaps a decompression bomb; raise that limit if you trust the "
            "file, or store a smaller image"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def shorten(lines: Sequence[str], limit: int = 20) -> str:
    """Join lines for a message; those beyond the limit are only counted."""
    shown = [*lines[:limit]]
    if len(lines) > limit:
        shown.append(f"... and {len(lines) - limit} more")
    return "".join(f"\n  {line}" for line in shown)


def describe_unreadable(failures: Sequence[tuple[str, str]], n_images: int) -> str:
    """List the images that cannot be read, with the reason for each."""
    if not failures:
        return ""
    lines = [f"{path!r}: {reason}" for path, reason in failures]
    return f"Cannot read {len(lines)} of {n_images} images:{shorten(lines)}"
