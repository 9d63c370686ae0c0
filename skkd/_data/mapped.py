"""Arrays that lie in a file, which somebody may cut while it is open."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np


def is_mapped(X: Any) -> bool:
    """Tell whether an array, or a view of one, lies in a file."""
    return _map_of(X) is not None


def check_mapped(X: Any) -> None:
    """Raise OSError if a file lacks a part of the array, or the arrays, that it holds.

    To read there would end the process without a word (SIGBUS). Called whenever some
    rows are taken, as a file may be cut at any time.
    """
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):
        for part in X.values():
            check_mapped(part)
        return
    array = _map_of(X)
    if array is None:
        return
    mapped: Any = array._mmap
    end = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
    size = mapped.size()
    if size < end:
        raise OSError(
            f"An array lies in the file {str(array.filename)!r}, which was cut from "
            f"{end:,} to {size:,} bytes while it was open. Restore the file, and open "
            "it again; who writes such a file gives it its name when it is complete."
        )


def in_memory(X: np.ndarray) -> np.ndarray:
    """Return an array that lies in no file: a copy if need be."""
    if not is_mapped(X):
        return X
    check_mapped(X)
    return np.array(X)


def _map_of(X: Any) -> Any:
    """Return the memory map that an array, or a view of one, belongs to."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and isinstance(X._mmap, mmap.mmap):  # type: ignore[attr-defined]
            return X
        X = X.base
    return None
