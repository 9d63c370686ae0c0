"""Rows by key in the memory of a process: segments of sorted keys, and their store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from skkd._utils.checksum import row_checksums

# Rows are dropped in pieces, of which this many fill the bound.
_PIECES = 16


class Segment(NamedTuple):
    """Rows that were written together, sorted by the first word of their key."""

    keys: np.ndarray  # (m, 2), uint64: 128 bits of a hash
    rows: Any  # (m, ...), an array, or a RowFile
    checks: np.ndarray  # (m,), uint64

    @classmethod
    def of(cls, keys: np.ndarray, rows: np.ndarray) -> Segment:
        """Sort the rows and compute checksums; of equal keys the first stays."""
        order = np.unique(keys, axis=0, return_index=True)[1]
        keys, rows = keys[order], rows[order]
        return cls(keys, rows, row_checksums(keys, rows))

    @property
    def nbytes(self) -> int:
        """Bytes of keys, rows and checksums."""
        return self.keys.nbytes + self.rows.nbytes + self.checks.nbytes

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of `keys` are here, and where."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=bool), np.zeros(0, dtype=np.intp)
        places = np.searchsorted(self.keys[:, 0], keys[:, 0])
        places = np.minimum(places, len(self.keys) - 1)
        here = (self.keys[places] == keys).all(axis=1)
        return here, places[here]


def merged(older: Segment, newer: Segment) -> Segment:
    """Return one segment of two, their checksums as they were."""
    keys = np.concatenate([older.keys, newer.keys])
    order = np.unique(keys, axis=0, return_index=True)[1]
    pairs = zip(older, newer, strict=True)
    return Segment(*(np.concatenate(pair)[order] for pair in pairs))


class ProcessStore:
    """The cache of a process: segments of all tables, in the order of their use."""

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
        """Drop everything."""
        with self.lock:
            self.segments.clear()

    def __reduce__(self) -> Any:
        return ProcessStore, ()  # each process has its own


class ProcessTable:
    """Rows by key, in a :class:`ProcessStore`; used as a DiskTable is.

    `max_bytes` is a bound on all tables of the store.
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

    def writing(self) -> AbstractContextManager[Any]:
        """Keep other threads from computing the same rows."""
        return self.store.lock

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
            # Many small additions become few segments to search.
            for i, old in reversed(self.store.of_table(self.name)):
                if old.nbytes > 2 * new.nbytes or old.nbytes + new.nbytes > limit:
                    break
                new = merged(old, new)
                del self.store.segments[i]
            step = max(1, limit * len(new.keys) // new.nbytes)
            # More rows than the bound allows: the first would be dropped at once.
            first = max(0, len(new.keys) - _PIECES * step)
            for start in range(first, len(new.keys), step):
                part = slice(start, start + step)
                # Copies, since a view would keep all of the rows alive.
                piece = Segment(*(values[part].copy() for values in new))
                self.store.put(self.name, piece, self.max_bytes)
