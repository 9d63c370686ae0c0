"""What an image may be: a path, the bytes of a file, a PIL image, or an array."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

Source: TypeAlias = str | bytes | Image.Image | np.ndarray

_BYTES = (bytes, bytearray, memoryview)
_N_BANDS = (1, 3, 4)
_EXPECTED = (
    "expected paths, bytes of image files, PIL images, or arrays (height, width) or "
    "(height, width, 3)"
)


def is_source(item: Any) -> bool:
    """Tell whether this is one image by itself, and not a list of them."""
    return isinstance(item, (str, os.PathLike, *_BYTES, Image.Image))


def as_sources(X: Any) -> list[Source]:
    """Return the images of X, one for each row.

    Raises ValueError for a single image, and for what is none.
    """
    if is_source(X):
        shown = repr(X) if isinstance(X, (str, os.PathLike)) else type(X).__name__
        kind = "path" if isinstance(X, (str, os.PathLike)) else "image"
        raise ValueError(
            f"X={shown} is a single {kind}; pass a list of {kind}s, [{shown}]."
        )
    items = _items_of(X)
    if not len(items):
        raise ValueError("X is empty; expected at least one image.")
    return [as_source(item, i) for i, item in enumerate(items)]


def as_source(item: Any, row: int) -> Source:
    """Return what is known to be one image as it is read."""
    if isinstance(item, (list, tuple)) and len(item) == 1:
        item = item[0]
    if isinstance(item, (str, os.PathLike)):
        # str() because NumPy's own strings would show as np.str_('...') in messages.
        return str(os.fspath(item))
    if isinstance(item, _BYTES):
        return bytes(item)
    if isinstance(item, Image.Image):
        return item
    if hasattr(item, "__array__") and getattr(item, "ndim", 0) in (2, 3):
        return np.asarray(item)
    raise ValueError(
        f"X[{row}]={item!r:.80} is of type {type(item).__name__}; {_EXPECTED}."
    )


def name_of(source: Source, row: int) -> str:
    """Return what a source is called in messages."""
    if isinstance(source, str):
        return source
    if isinstance(source, bytes):
        return f"bytes of X[{row}]"
    return f"X[{row}]"


def key_of(source: Any, n_bytes: int) -> bytes:
    """Return a digest of an image in memory, of everything its pixels depend on."""
    digest = hashlib.blake2b(digest_size=n_bytes)
    if isinstance(source, bytes):
        digest.update(b"bytes\0" + source)
    elif isinstance(source, np.ndarray):
        digest.update(f"array\0{source.shape} {source.dtype}\0".encode())
        digest.update(np.ascontiguousarray(source).tobytes())
    else:
        said = source.mode, source.size, source.format, source.info.get("transparency")
        orientation = source.getexif().get(0x0112)
        digest.update(f"PIL\0{said} {orientation} {source.getpalette()}\0".encode())
        digest.update(source.tobytes())
    return digest.digest()


def image_of(array: np.ndarray) -> Image.Image:
    """Return an array as an image; raise ValueError for one that has no agreed form."""
    if array.ndim == 3 and array.shape[0] in _N_BANDS:
        if array.shape[2] not in _N_BANDS:
            array = array.transpose(1, 2, 0)
        elif array.shape[2] != array.shape[0]:
            raise ValueError(
                f"an array of shape {array.shape}, with channels that are first or "
                "last; pass PIL.Image.fromarray(array)"
            )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    good = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _N_BANDS)
    if not good or not array.size:
        raise ValueError(
            f"an array of shape {array.shape}; expected (height, width), or "
            "(height, width, 3), or channels first"
        )
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array))
    if array.ndim == 2 and array.dtype == np.uint16:
        return Image.fromarray(np.ascontiguousarray(array))
    if array.ndim == 2 and array.dtype.kind == "f":  # `levels` say what is white
        return Image.fromarray(array.astype(np.float32))
    raise ValueError(
        f"an array of {array.dtype}, levels {array.min():g} ... {array.max():g}; "
        "expected uint8, 0 ... 255: (255 * image).round().astype('uint8') for levels "
        "of 0 ... 1, image.astype('uint8') for those of 0 ... 255"
    )


def _items_of(X: Any) -> list[Any]:
    if hasattr(X, "columns") or (
        isinstance(X, np.ndarray) and (X.dtype.kind in "OUS" or X.ndim < 3)
    ):
        table = np.asarray(X, dtype=object)
        if table.ndim == 2 and table.shape[1] == 1:
            table = table[:, 0]
        if table.ndim != 1:
            raise ValueError(
                f"X has shape {table.shape} (type {type(X).__name__}); {_EXPECTED}, "
                "in a 1-D array or one column. From load_image_folder, pass "
                "`photos.data`."
            )
        return [*table]
    if X is None or isinstance(X, Mapping) or not hasattr(X, "__len__"):
        raise ValueError(
            f"X is of type {type(X).__name__}; expected a 1-D array or list: "
            f"{_EXPECTED}. From load_image_folder, pass `photos.data`."
        )
    if isinstance(X, np.ndarray) and X.ndim > 4:
        raise ValueError(f"X has shape {X.shape}; {_EXPECTED}.")
    return [*X]
