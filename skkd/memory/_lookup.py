"""What a teacher computes of rows, or of views of them, by way of the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from skorch.utils import to_numpy

from skkd._data.rows import iter_inputs, len_of, pick
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._logits import CacheInfo, as_memory
from skkd.memory._row_keys import row_keys

# Rows that are augmented at a time.
_BATCH_SIZE = 1024


def lookup_or_compute(
    forward: Callable[[Any], np.ndarray],
    content: Any,
    columns: np.ndarray,
    X: Any,
    *,
    memory: Any,
    n_samples: int | None = None,
    view_seeds: np.ndarray | None = None,
    augment: Callable[[Any, np.ndarray], Any] | None = None,
    cast: Callable[[Any], Any] | None = None,
) -> tuple[Any, CacheInfo]:
    """Return ``forward`` of all rows, or of all views of them, from the cache or anew.

    Parameters
    ----------
    forward : callable
        From rows to an array (m, n_columns), float32.
    content : object
        Identifies what is computed: the teacher, and which of its outputs.
    columns : ndarray of shape (n_columns,)
        Names of the columns, such as the classes.
    X : array-like of n rows
        As the teacher takes them.
    memory : None, False, str, path, joblib.Memory or LogitMemory
    n_samples : int, default=None
        Number of rows of `X`; None counts them.
    view_seeds : ndarray of shape (n, n_views), int64, default=None
        If given, view `v` of some rows is ``augment(cast(rows), view_seeds[:, v])``.
    augment : callable, default=None
        From rows and seeds to a view of them.
    cast : callable, default=None
        Applied to the rows before `augment`, so that the student's views are the same
        to the last digit.

    Returns
    -------
    values : array-like of shape (n, n_columns) or (n, n_views, n_columns)
    info : CacheInfo
    """
    n = len_of(X) if n_samples is None else n_samples

    def compute(rows: np.ndarray) -> np.ndarray:
        return forward(X if len(rows) == n else pick(X, rows))

    def compute_view(rows: np.ndarray, view: int) -> np.ndarray:
        parts, start = [], 0
        for batch in iter_inputs(pick(X, rows), _BATCH_SIZE):
            part = rows[start : start + len_of(batch)]
            start += len(part)
            images = batch if cast is None else cast(batch)
            images = augment(images, view_seeds[part, view])  # type: ignore
            parts.append(forward(to_numpy(images)))
        return np.concatenate(parts)

    passes: list[tuple[Any, Any]] = [(compute, (content, ()))]
    if view_seeds is not None:
        passes = [
            (partial(compute_view, view=view), (content, (augment, view)))
            for view in range(view_seeds.shape[1])
        ]
    cache, note = as_memory(memory), ""
    if cache is not None:
        try:
            contents = [fingerprint(content) for _, content in passes]
            keys = row_keys(X)
        except FingerprintError as error:
            if memory is not None:
                raise
            cache, note = None, str(error)
    if cache is None:
        values = [compute(np.arange(n)) for compute, _ in passes]
        info = CacheInfo(misses=n * len(passes), note=note)
    else:
        found = [
            cache._lookup_or_compute(compute, content, keys, columns)
            for (compute, _), content in zip(passes, contents, strict=True)
        ]
        values, infos = [one for one, _ in found], [info for _, info in found]
        info = sum_cache_infos(infos)
    return values[0] if view_seeds is None else Views(values), info


def sum_cache_infos(infos: list[CacheInfo]) -> CacheInfo:
    """Return several passes as one: sums of the numbers, and each note once."""
    if len(infos) == 1:
        return infos[0]
    misses, hits, verified, nbytes, notes = zip(*infos, strict=True)
    note = " ".join(filter(None, dict.fromkeys(notes)))
    return CacheInfo(sum(misses), sum(hits), sum(verified), sum(nbytes), note)


class Views:
    """The logits of several views of each row, as one array (n, n_views, ...).

    Parameters
    ----------
    views : list of n_views array-likes of n rows
    """

    def __init__(self, views: list[Any]) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.stack([view[rows] for view in self.views], axis=-2)
