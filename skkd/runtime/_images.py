"""Images from paths or bytes, read as for the fit, pixel for pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from skkd._formats.onnx_metadata import ImageReading
from skkd.images._errors import UnreadableImageError, describe_unreadable
from skkd.images._reading import read_image, warn_of_doubts
from skkd.images._storage import Doubt

_FILE = (str, os.PathLike, bytes, bytearray, memoryview)


def files_of(X: Any) -> list[str | bytes] | None:
    """Return paths and bytes of images; None if X holds numbers."""
    if isinstance(X, _FILE):
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
    if not any(isinstance(item, _FILE) for item in items):
        return None
    for i, item in enumerate(items):
        if not isinstance(item, _FILE):
            raise ValueError(
                f"X[{i}] is a {type(item).__name__}, and others are texts or bytes: "
                "expected paths of images or their bytes, all of them."
            )
    return [_plain(item) for item in items]


def read_batches(
    files: list[str | bytes], reading: ImageReading, size: int
) -> Iterator[np.ndarray]:
    """Yield images (size, C, H, W), uint8; at the end raise if some were unreadable."""
    shape = (3 if reading.mode == "RGB" else 1, *reading.size)
    levels: Any = reading.levels
    failures: list[tuple[str, str]] = []
    doubts: dict[str, list[Doubt]] = {}
    for start in range(0, len(files), size):
        some = files[start : start + size]
        images = np.empty((len(some), *shape), dtype=np.uint8)
        for i, file in enumerate(some):
            reason, found = read_image(file, images[i], reading.mode, levels)
            name = file if isinstance(file, str) else f"bytes of X[{start + i}]"
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


def _plain(item: Any) -> str | bytes:
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return str(os.fspath(item))
