"""Rows by key in the memory of this process, the least recently used out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from skkd._store.segments import Segment, merged

# Rows are dropped in pieces: so many of them fill the bound.
_PIECES = 16


class ProcessStore:
    """All that a process remembers: segments by table, in the order of their use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.segments: OrderedDict[int, tuple[str, Segment]] = OrderedDict()
        self._next = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        with self.lock:
            return sum(segment.nbytes for _, segment in self.segments.values())

    def of_table(self, table: str) -> list[tuple[int, Segment]]:
        """Return the segments of a table with their numbers, oldest use first."""
        return [(i, s) for i, (name, s) in self.segments.items() if name == table]

    def put(self, table: str, segment: Segment, max_bytes: int) -> None:
        """Drop segments until a new one fits into `max_bytes`, and add it."""
        total = self.nbytes + segment.nbytes
        while self.segments and total > max_bytes:
            _, (_, dropped) = self.segments.popitem(last=False)
            total -= dropped.nbytes
        if total <= max_bytes:
            self.segments[self._next] = table, segment
            self._next += 1

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.segments.clear()

    def __reduce__(self) -> Any:
        # What a process remembers is its own.
        return ProcessStore, ()


class ProcessTable:
    """Rows by key, in a :class:`ProcessStore`; used as a DiskTable is.

    Parameters
    ----------
    store : ProcessStore
    name : str
        Of the table in the store.
    dtype : dtype
    shape : tuple of int
        Dtype and shape of one row.
    max_bytes : int
        Bound on all that the store holds, kept whenever rows are added.
    """

    def __init__(
        self,
        store: ProcessStore,
        name: str,
        dtype: Any,
        shape: tuple[int, ...],
        max_bytes: int,
    ) -> None:
        self.store, self.name, self.max_bytes = store, name, max_bytes
        self.dtype, self.shape = np.dtype(dtype), shape

    @property
    def nbytes(self) -> int:
        """Bytes of this table."""
        with self.store.lock:
            return sum(segment.nbytes for _, segment in self.store.of_table(self.name))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other threads from computing the same rows."""
        with self.store.lock:
            yield

    def lookup(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of `keys` (n, 2) are here, and the rows of these."""
        found = np.zeros(len(keys), dtype=bool)
        rows = np.empty((len(keys), *self.shape), dtype=self.dtype)
        with self.store.lock:
            for i, segment in self.store.of_table(self.name):
                missing = np.flatnonzero(~found)
                here, places = segment.find(keys[missing])
                if places.size:
                    rows[missing[here]] = segment.rows[places]
                    found[missing[here]] = True
                    self.store.segments.move_to_end(i)
        return found, rows if found.all() else rows[found]

    def add(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Store `rows` (m, *shape) under `keys` (m, 2)."""
        if not len(keys):
            return
        limit = self.max_bytes // _PIECES
        with self.store.lock:
            new = Segment.of(keys, np.asarray(rows, dtype=self.dtype))
            # Many small additions become few segments to look into.
            for i, old in reversed(self.store.of_table(self.name)):
                if old.nbytes > 2 * new.nbytes or old.nbytes + new.nbytes > limit:
                    break
                new = merged(old, new)
                del self.store.segments[i]
            step = max(1, limit * len(new.keys) // new.nbytes)
            # Of what exceeds the bound the first rows would be dropped at once.
            first = max(0, len(new.keys) - _PIECES * step)
            for start in range(first, len(new.keys), step):
                part = slice(start, start + step)
                # Copies, since a view would keep all of the rows alive.
                piece = Segment(*(values[part].copy() for values in new))
                self.store.put(self.name, piece, self.max_bytes)
