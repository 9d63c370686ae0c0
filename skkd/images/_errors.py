"""Errors and warnings about image files, and their messages."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


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
