"""Rows found by key: immutable segments of sorted keys, with a checksum a row."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

# Bytes of rows that are summed up at a time.
_CHUNK = 2**24


class Segment(NamedTuple):
    """Rows that were written together, sorted by the first word of their key."""

    keys: np.ndarray  # (m, 2), uint64: 128 bits of a hash
    rows: np.ndarray  # (m, ...)
    checks: np.ndarray  # (m,), uint64

    @classmethod
    def of(cls, keys: np.ndarray, rows: np.ndarray) -> Segment:
        """Sort the rows and sum them up; of equal keys the first stays."""
        order = np.unique(keys, axis=0, return_index=True)[1]
        keys, rows = keys[order], rows[order]
        return cls(keys, rows, checksums(keys, rows))

    @property
    def nbytes(self) -> int:
        """Bytes of keys, rows and checksums."""
        return self.keys.nbytes + self.rows.nbytes + self.checks.nbytes

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell which of `keys` are here, and the place of those that are."""
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


def checksums(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return a sum over each key and its row that no changed bits leave alone.

    Of a single one that is certain; of several, all but one in 2^60 or so.

    Parameters
    ----------
    keys : ndarray of shape (m, 2), uint64
    rows : ndarray of shape (m, ...)

    Returns
    -------
    ndarray of shape (m,), uint64
    """
    sums = np.empty(len(rows), dtype=np.uint64)
    n_bytes = rows[:1].nbytes
    n_words = -(-n_bytes // 8)
    factors = _factors(n_words + 2)
    step = max(1, _CHUNK // max(1, n_bytes))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        raw = np.ascontiguousarray(rows[part]).view(np.uint8).reshape(-1, n_bytes)
        if n_bytes % 8:
            raw = np.pad(raw, ((0, 0), (0, -n_bytes % 8)))
        key_sum = _spread(keys[part]) @ factors[:2]
        sums[part] = key_sum + _spread(raw.view(np.uint64)) @ factors[2:] + np.uint64(1)
    return sums


def _spread(words: np.ndarray) -> np.ndarray:
    # The top bit times any odd number is the top bit: two signs would cancel.
    return words ^ (words >> np.uint64(32))


@functools.lru_cache(maxsize=16)
def _factors(n: int) -> np.ndarray:
    # Odd factors are invertible modulo 2**64, so that each changed word shows.
    factors = np.random.default_rng(0).integers(2**63, size=n, dtype="u8")
    return factors * np.uint64(2) + np.uint64(1)
