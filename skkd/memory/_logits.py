"""Teachers' logits, computed once for each row and cached by content."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_memory

from skkd._store.process import ProcessStore
from skkd._utils.checks import check_number

_STORE = ProcessStore()


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
        For many classes: keep the `top_k` largest logits of a row, and give the other
        classes equal logits of the same total probability.
    max_bytes : int, default=2**30
        Bound on the cache of this process in all; the least recently used logits are
        dropped first. Without effect on a folder.
    verify : int, default=0
        In each fit, so many cached rows, picked at random, are computed again; if they
        differ, an error is raised.

    Notes
    -----
    A function, or an object that cannot be pickled, has no content that can be
    identified. The logits of such a teacher are computed in every fit, and
    ``cache_info_.note`` tells why; where a memory was asked for, so does a
    DistillationWarning. ``as_teacher(model, name="v1")`` caches them under that name.

    The code of a class counts as content, with its defaults and attributes; global
    variables that the code uses do not. The code of an installed package is identified
    by its version. What a class of one's own leaves out of its pickle counts as well,
    and so do the size and times of change of files that are named there. A row that is
    the path of a file counts as another if the file's size or times of change do.

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
        if self.top_k is not None:
            check_number("top_k", self.top_k, Integral, low=1)
        check_number("max_bytes", self.max_bytes, Integral, low=0)
        check_number("verify", self.verify, Integral, low=0)

    def _folder(self) -> Path | None:
        """Return the folder, next to joblib's own files; None for this process."""
        location = self.location
        if location is None:
            return None
        if not isinstance(location, (str, os.PathLike)):
            memory = check_memory(location)
            if getattr(memory, "store_backend", None) is None:
                return None  # Memory(None) keeps no files either
            if getattr(memory, "backend", "local") != "local":
                raise ValueError(
                    f"memory={location!r} keeps no files: expected a folder."
                )
            # Not store_backend.location, which has no "joblib" if this is a Path.
            location = memory.location
        return Path(location) / "joblib" / "skkd-logits"


def as_memory(memory: Any) -> LogitMemory | None:
    """Return the checked LogitMemory that `memory` stands for; None for False."""
    if memory is False:
        return None
    if not isinstance(memory, LogitMemory):
        memory = LogitMemory(memory)
    memory.check()
    memory._folder()
    return memory
