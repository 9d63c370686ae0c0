"""How many pixels an image may have, and how much memory it may take."""

from __future__ import annotations

import math

from PIL import Image

# An image may take as much as one of 16-bit colours with as many pixels as Pillow
# allows: 537 MB.
_BYTES_OF_PIXEL = 6
# A low limit on pixels is about pixels, not about the headers of small files.
_LEAST = 2**26


class TooLargeError(ValueError):
    """To read this image would take more memory than is allowed."""


def max_bytes() -> float:
    """Return how many bytes a file, or an image while it is decoded, may take."""
    limit = Image.MAX_IMAGE_PIXELS
    return math.inf if limit is None else max(_LEAST, _BYTES_OF_PIXEL * limit)


def check_n_pixels(width: int, height: int) -> None:
    """Raise if an image is larger than Pillow's limit."""
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow itself raises only above twice the limit, and warns below that.
    if limit is not None and width * height > limit:
        raise Image.DecompressionBombError


def check_n_bytes(n_bytes: int, what: str) -> None:
    """Raise if `what`, such as "a file", takes more memory than is allowed."""
    if n_bytes > max_bytes():
        raise TooLargeError(
            f"{what} of {n_bytes / 1e6:,.0f} MB, and {max_bytes() / 1e6:,.0f} MB are "
            f"allowed, {_BYTES_OF_PIXEL} bytes for each pixel of "
            f"PIL.Image.MAX_IMAGE_PIXELS={Image.MAX_IMAGE_PIXELS}; raise that limit if "
            "you trust the file, or store a smaller image"
        )
