"""Decode one image file, the same way wherever skkd reads an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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
    """The content has none of the supported image formats."""


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
    return suffixes | {".heic", ".heif", ".avif", ".jxl", ".tga", ".ico", ".psd"}


def decode_image(file: BinaryIO, size: tuple[int, int], mode: str) -> np.ndarray:
    """Decode the first frame of an open file completely, and resize it.

    Returns uint8 pixels of shape (height, width, 3) for mode RGB, (height, width) for
    L.
    """
    height, width = size
    with _identify(file) as image:
        if image.format in {"JPEG", "MPO"}:
            # The decoder does not know the orientation: request the longer side for
            # both.
            side = _DRAFT_FACTOR * max(size)
            image.draft(None, (side, side))
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(
            _to_mode(image, mode).resize((width, height), Image.Resampling.BILINEAR)
        )


def _identify(file: BinaryIO) -> Image.Image:
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(16)
        message = f"not an image, it begins with {start!r}" if start else "empty file"
        raise NotAnImageError(message) from None
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow itself raises only above twice the limit, and warns below that.
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError
    return image


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16") or (
        # Pillow scales the gray levels of these two formats to 0 ... 65535.
        image.mode == "I" and image.format in {"PNG", "PPM"}
    ):
        # convert("L") would clip everything above 255 to white.
        levels = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    elif image.mode in {"I", "F"}:
        raise ValueError(
            f"32-bit pixels (Pillow mode {image.mode!r}) have no agreed range; "
            "save the image with 8 or 16 bits"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in {"RGB", "L"}:
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


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
