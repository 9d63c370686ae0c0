"""Images from files or memory, read as for the fit, pixel for pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from skkd._formats.onnx_metadata import ImageReading
from skkd.images._decoder_warnings import catching_warnings
from skkd.images._errors import UnreadableImageError, describe_unreadable
from skkd.images._reading import read_image, warn_of_doubts
from skkd.images._sources import Source, as_source, is_source, name_of
from skkd.images._storage import Doubt


def files_of(X: Any, arrays: bool = False) -> list[Source] | None:
    """Return paths, bytes and images; None if X holds numbers.

    With `arrays`, a list of uint8 arrays, such as images of several sizes, is one of
    images too.
    """
    if is_source(X):
        raise ValueError(
            f"X is a single {type(X).__name__}; pass a list of them, even of one."
        )
    if getattr(getattr(X, "dtype", None), "kind", None) in ("b", "i", "u", "f"):
        return None  # an array of numbers, not looked into
    if hasattr(X, "columns"):  # one column of paths may be a data frame
        X = np.asarray(X, dtype=object) if len(X.columns) == 1 else None
    if X is None or isinstance(X, Mapping) or not hasattr(X, "__len__"):
        return None
    # Not by np.asarray, which would cut bytes at their last zeros.
    items = [*X.ravel()] if isinstance(X, np.ndarray) else [*X]
    items = [item[0] if _is_row_of_one(item) else item for item in items]
    is_images = arrays and bool(items) and all(map(_is_image, items))
    if not is_images and not any(map(is_source, items)):
        return None
    return [as_source(item, i) for i, item in enumerate(items)]


def read_batches(
    files: list[Source], reading: ImageReading, size: int
) -> Iterator[np.ndarray]:
    """Yield images (size, C, H, W), uint8; at the end raise if some were unreadable."""
    shape = (3 if reading.mode == "RGB" else 1, *reading.size)
    levels: Any = reading.levels
    failures: list[tuple[str, str]] = []
    doubts: dict[str, list[Doubt]] = {}
    for start in range(0, len(files), size):
        some = files[start : start + size]
        images = np.empty((len(some), *shape), dtype=np.uint8)
        with catching_warnings:  # and not while the caller has the images
            read = [
                read_image(file, image, reading.mode, levels)
                for file, image in zip(some, images, strict=True)
            ]
        for i, (reason, found) in enumerate(read):
            name = name_of(some[i], start + i)
            if reason:
                failures.append((name, reason))
            if found:
                doubts[name] = found
        if not failures:  # else all files are still read, to name all of those
            yield images
    if failures:
        message = describe_unreadable(failures, len(files))
        raise UnreadableImageError(message, failures)
    if doubts:
        warn_of_doubts(doubts)


def _is_row_of_one(item: Any) -> bool:
    return isinstance(item, (list, tuple, np.ndarray)) and len(item) == 1


def _is_image(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.ndim > 1 and item.dtype == np.uint8
