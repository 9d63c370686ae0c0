"""Rows in a ``.npy`` file, read when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

# Bytes between two rows that are read along, rather than in two steps; bytes that are
# read in one step.
_GAP, _STEP = 2**14, 2**24
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class RowFile:
    """The rows of an array in a file.

    It is not mapped into memory: where another process cuts a mapped file, to read on
    would end this one without a word.

    Parameters
    ----------
    path : Path
        As :func:`numpy.save` writes it.

    Raises
    ------
    ValueError
        If it is no such file, or has another size than it says.
    OSError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open(path, "rb") as file:
            read_header = _HEADERS.get(npy.read_magic(file))
            if read_header is None:
                raise ValueError(f"{path.name} is of an unknown version")
            self.shape, by_column, self.dtype = read_header(file)
            self._start, size = file.tell(), os.fstat(file.fileno()).st_size
        n_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        is_odd = by_column or self.dtype.hasobject or not self.shape
        if is_odd or size != self._start + n_bytes:
            raise ValueError(
                f"{path.name} has {size} bytes, for rows {self.dtype} {self.shape}"
            )

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return the rows at these places.

        Raises
        ------
        ValueError
            If the file ends before them.
        OSError
            If it cannot be read.
        """
        rows = np.empty((len(places), *self.shape[1:]), self.dtype)
        if not rows.nbytes:
            return rows
        row_bytes = rows[:1].nbytes
        order = np.argsort(places, kind="stable")
        in_order = places[order]
        with open(self.path, "rb", buffering=0) as file:
            for part in _steps(in_order, row_bytes):
                first, last = int(in_order[part][0]), int(in_order[part][-1])
                block = np.empty((last - first + 1, *self.shape[1:]), self.dtype)
                file.seek(self._start + first * row_bytes)
                _read_into(file, block)
                rows[order[part]] = block[in_order[part] - first]
        return rows


def _steps(places: np.ndarray, row_bytes: int) -> Iterator[slice]:
    """Yield which of the sorted `places` are read in one step."""
    far = np.flatnonzero(np.diff(places) * row_bytes > _GAP) + 1
    per_step = max(1, _STEP // row_bytes)
    for start, stop in zip([0, *far], [*far, len(places)], strict=True):
        while start < stop:
            end = start + np.searchsorted(places[start:stop], places[start] + per_step)
            yield slice(int(start), int(end))
            start = end


def _read_into(file: Any, block: np.ndarray) -> None:
    view = memoryview(block.reshape(-1).view(np.uint8).data)
    while view:
        n_read = file.readinto(view)
        if not n_read:
            raise ValueError(f"{Path(file.name).name} ends within its rows")
        view = view[n_read:]
