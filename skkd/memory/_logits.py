"""Teachers' logits, computed once for each row and cached by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_memory

from skkd._store.disk import DiskTable
from skkd._store.process import ProcessStore, ProcessTable
from skkd._version import __version__
from skkd.memory._codecs import EncodedLogits, codec_for

_STORE = ProcessStore()
# Rows, and bytes of logits, that are computed at a time: if a long pass is interrupted,
# what was computed is kept, and no second copy of all logits is made.
_ROWS, _BYTES = 2**14, 2**24
# How far logits may differ that were computed in another batch.
_TOLERANCE = 1e-3


class CacheInfo(NamedTuple):
    """How many of a teacher's outputs were computed, and how many were cached.

    Attributes
    ----------
    misses : int
        Rows (or views of rows) that went through the teacher's forward pass.
    hits : int
        Rows whose logits were cached, or equal to another row's.
    verified : int
        Cached rows that were computed again and found the same.
    nbytes : int
        Size of the cache of this teacher and this kind of rows.
    note : str
        Why nothing is cached, if so.

    Examples
    --------
    >>> from skkd.memory import CacheInfo
    >>> CacheInfo(misses=100, hits=20)
    CacheInfo(misses=100, hits=20, verified=0, nbytes=0, note='')
    """

    misses: int = 0
    hits: int = 0
    verified: int = 0
    nbytes: int = 0
    note: str = ""


def clear_cache() -> None:
    """Drop all logits that are cached in this process.

    Those on disk stay: delete the folder.

    Examples
    --------
    >>> from skkd.memory import clear_cache
    >>> clear_cache()
    """
    _STORE.clear()


class LogitMemory(BaseEstimator):
    """Where and how teachers' logits are cached.

    Logits are found by content: that of the teacher, of the row, and of the seeded
    view of it. So the folds, candidates and repeats of a search share one pass over
    the data; a teacher whose weights changed is another teacher. Cached logits are
    those of the first forward pass: in another batch the last digits may differ.

    Parameters
    ----------
    location : str, path, joblib.Memory or None, default=None
        A folder, shared by processes and kept. None: the memory of this process.
    dtype : {"float32", "float16"}, default="float32"
        float16 takes half of the space and keeps three digits.
    top_k : int or None, default=None
        Keep the `top_k` largest logits of a row and give the other classes equal
        logits of the same total probability. For many classes.
    max_bytes : int, default=2**30
        Bound on the cache of this process in all; the least recently used logits are
        dropped first. Without effect on a folder.
    verify : int, default=0
        In each fit, compute as many cached rows again, picked at random, and raise if
        they differ.

    Notes
    -----
    A function, or an object that cannot be pickled, has no content that can be
    identified. With ``DistilledClassifier(memory=None)`` the logits of such a teacher
    are computed in every fit, with any other memory it is an error. The code of a class
    counts as content, with its defaults and attributes; global variables that the code
    uses do not. A row that is the path of a file counts as another if the file's size
    or times of change do.

    In a folder each row has a checksum; a damaged file is reported, removed, and its
    rows are computed again.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd import DistilledClassifier
    >>> from skkd.memory import LogitMemory, clear_cache
    >>> clear_cache()  # logits of other fits of this process
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DistilledClassifier(
    ...     teacher=teacher, max_epochs=1, memory=LogitMemory(verify=5), random_state=0
    ... )
    >>> student.fit(X[::2], y[::2]).cache_info_.misses
    75
    >>> student.fit(X, y).cache_info_[:3]  # misses, hits, verified
    (74, 76, 5)
    """

    def __init__(
        self,
        location: Any = None,
        *,
        dtype: str = "float32",
        top_k: int | None = None,
        max_bytes: int = 2**30,
        verify: int = 0,
    ) -> None:
        self.location = location
        self.dtype = dtype
        self.top_k = top_k
        self.max_bytes = max_bytes
        self.verify = verify

    def check(self) -> None:
        """Raise ValueError if a parameter has a wrong value."""
        if self.dtype not in ("float32", "float16"):
            raise ValueError(f"dtype={self.dtype!r}: expected 'float32' or 'float16'.")
        least = {"top_k": 1, "max_bytes": 0, "verify": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if (name != "top_k" or value is not None) and not (
                whole and value >= bound
            ):
                raise ValueError(
                    f"{name}={value!r}: expected a whole number of at least {bound}."
                )

    def _lookup_or_compute(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        content: str,
        rows: tuple[np.ndarray, str],
        columns: np.ndarray,
    ) -> tuple[Any, CacheInfo]:
        """Return the logits of all rows, computing those that are not cached.

        Parameters
        ----------
        compute : callable
            From an array of row numbers to their logits, (m, n_columns) float32.
        content : str
            Fingerprint of the teacher, and of the view.
        rows : tuple of (keys, kind)
            As :func:`skkd.memory._row_keys.row_keys` returns them.
        columns : ndarray of shape (n_columns,)

        Returns
        -------
        logits : ndarray of shape (n, n_columns), or EncodedLogits
            As they are cached, so that the first fit gets what later ones get.
        info : CacheInfo
        """
        keys, kind = rows
        dtype, shape = np.dtype(self.dtype), (len(columns),)
        all_columns = self.top_k is None or self.top_k >= len(columns)
        codec = None
        if self.dtype != "float32" or not all_columns:
            codec = codec_for(self.dtype, self.top_k, len(columns))
            dtype, shape = codec.dtype, codec.shape
        table = self._table(f"{content} {kind} {columns.tolist()}", dtype, shape)
        found, stored = table.lookup(keys)
        if not found.all():
            known = stored
            stored = np.empty((len(keys), *shape), dtype=dtype)
            stored[found] = known
            del known
        verified = self._verify(compute, codec, np.flatnonzero(found), stored)
        misses = 0
        if not found.all():
            fresh = np.flatnonzero(~found)
            step = max(1, min(_ROWS, _BYTES // (4 * len(columns))))
            with table.writing():
                misses = _fill(compute, codec, table, keys, fresh, stored, step)
        logits = stored if codec is None else EncodedLogits(stored, codec)
        return logits, CacheInfo(misses, len(keys) - misses, verified, table.nbytes)

    def _table(self, content: str, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        versions = f"{__version__} {torch.__version__} {np.__version__}"
        name = f"{content} {dtype} {shape} {versions}"
        name = hashlib.sha256(name.encode()).hexdigest()[:32]
        folder = self._folder()
        if folder is None:
            return ProcessTable(_STORE, name, dtype, shape, self.max_bytes)
        return DiskTable(folder / f"teacher-{name}", dtype, shape)

    def _folder(self) -> Path | None:
        """Return the folder, next to joblib's own files; None for this process."""
        location = self.location
        if location is None:
            return None
        if isinstance(location, (str, os.PathLike)):
            return Path(location) / "joblib" / "skkd-logits"
        memory = check_memory(location)
        if getattr(memory, "store_backend", None) is None:
            return None  # Memory(None) keeps no files either
        if getattr(memory, "backend", "local") != "local":
            raise ValueError(f"memory={location!r} keeps no files: expected a folder.")
        # Not its store_backend's, which has no "joblib" where the location is a Path.
        return Path(memory.location) / "joblib" / "skkd-logits"

    def _verify(self, compute: Any, codec: Any, found: np.ndarray, stored: Any) -> int:
        if not self.verify or not found.size:
            return 0
        # A generator of its own: nobody's random numbers depend on it.
        n = min(self.verify, len(found))
        picked = np.sort(np.random.default_rng().choice(found, n, replace=False))
        cached, again = stored[picked], compute(picked)
        if codec is not None:
            again = codec.decode(codec.encode(again, like=cached))
            cached = codec.decode(cached)
        scale = np.abs(cached).max(axis=1, keepdims=True)
        differs = ~(np.abs(again - cached) <= _TOLERANCE * (1 + scale)).all(axis=1)
        if differs.any():
            raise ValueError(
                f"verify={self.verify}: of {n} rows, {int(differs.sum())} have other "
                "logits than those cached. The teacher gives others each time, or "
                "depends on the rest of the batch, or on something outside of it: "
                "pass memory=False."
            )
        return n


def as_memory(memory: Any) -> LogitMemory | None:
    """Return the LogitMemory that `memory` stands for; None if nothing is cached.

    Parameters
    ----------
    memory : None, False, str, path, joblib.Memory or LogitMemory

    Returns
    -------
    LogitMemory or None
    """
    if memory is False:
        return None
    if not isinstance(memory, LogitMemory):
        memory = LogitMemory(memory)
    memory.check()
    memory._folder()
    return memory


def _fill(
    compute: Callable[[np.ndarray], np.ndarray],
    codec: Any,
    table: Any,
    keys: np.ndarray,
    fresh: np.ndarray,
    out: np.ndarray,
    step: int,
) -> int:
    """Complete `out` in the rows `fresh`, and return how many were computed."""
    # Another process, or thread, may have computed them while this one waited.
    found, known = table.lookup(keys[fresh])
    out[fresh[found]] = known
    fresh = fresh[~found]
    if not fresh.size:
        return 0
    _, first, inverse = np.unique(
        keys[fresh], axis=0, return_index=True, return_inverse=True
    )
    rows = fresh[np.sort(first)]  # one of each content, in their own order
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = compute(part)
        if not np.isfinite(values).all():
            raise ValueError(
                "The teacher's outputs hold infinities or NaN, which cannot be cached: "
                "check the teacher."
            )
        out[part] = values if codec is None else codec.encode(values)
        table.add(keys[part], out[part])
    if len(rows) < len(fresh):
        out[fresh] = out[fresh[first[inverse.ravel()]]]
    return len(rows)
