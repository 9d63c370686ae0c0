"""What a teacher computes of rows, or of views of them, computed or cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.mapped import check_mapped
from skkd._data.rows import iter_inputs, len_of, pick
from skkd._store.disk import DiskTable
from skkd._store.process import ProcessTable
from skkd._utils.warn import warn
from skkd._version import __version__
from skkd.exceptions import DistillationWarning
from skkd.memory._codecs import EncodedLogits, codec_for
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._known import known_fingerprint, known_row_keys
from skkd.memory._logits import _STORE, CacheInfo, LogitMemory, as_memory
from skkd.teachers._base import Teacher
from skkd.teachers._check_logits import check_logits

# Rows that are augmented at a time.
_BATCH_SIZE = 1024
# Rows, and bytes of logits, that are computed at a time: if a long pass is interrupted,
# what was computed is kept, and no second copy of all logits is made.
_ROWS, _BYTES = 2**14, 2**24
# How far logits may differ that were computed in another batch.
_TOLERANCE = 1e-3
_OF_PROCESS = LogitMemory()  # what None stands for


def memory_of(net: Any) -> Any:
    """Return where a net caches logits: beside its checkpoints, if it says no more."""
    checkpoint = getattr(net, "checkpoint", None)
    if net.memory is not None or checkpoint is None:
        return net.memory
    return getattr(checkpoint, "location", checkpoint)


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
    """Return ``forward`` of all rows, or of all views of them, computed or cached.

    `forward` turns rows into float32 numbers (m, n_columns), `content` identifies what
    it computes: the teacher, and which of its outputs. If `view_seeds` (n, n_views) are
    given, view `v` of some rows is ``augment(cast(rows), view_seeds[:, v])``; `cast`
    does what happens to the student's rows before they are augmented, so that both get
    the same views to the last digit. The first of the returned pair, (n, n_columns) or
    (n, n_views, n_columns), is to be indexed by rows.
    """
    n = len_of(X) if n_samples is None else n_samples

    def compute(rows: np.ndarray, view: int | None) -> np.ndarray:
        if getattr(X, "base", None) is not None:  # a view, maybe of a file
            check_mapped(X)
        part = X
        if len(rows) < n:
            part = X[rows] if isinstance(X, np.ndarray) else pick(X, rows)
        if view is None:
            return forward(part)
        values, start = [], 0
        for batch in iter_inputs(part, _BATCH_SIZE):
            seeds = view_seeds[rows[start : start + len_of(batch)], view]  # type: ignore
            start += len(seeds)
            images = augment(batch if cast is None else cast(batch), seeds)  # type: ignore
            values.append(forward(to_numpy(images)))
        return np.concatenate(values)

    views = [None] if view_seeds is None else range(view_seeds.shape[1])
    cache, note = _OF_PROCESS if memory is None else as_memory(memory), ""
    if getattr(X, "base", None) is not None:
        check_mapped(X)
    if cache is not None:
        try:
            contents = [known_fingerprint(content)] * len(views)
            if view_seeds is not None:
                of_views = [fingerprint((augment, view)) for view in views]
                contents = [*map(" ".join, zip(contents, of_views, strict=True))]
            keys = known_row_keys(X)
        except FingerprintError as error:
            cache, note = None, str(error)
            if memory is not None:  # asked for, rather than the default
                warn(f"Nothing is cached: {note}", DistillationWarning)
    if cache is None:
        values = [compute(np.arange(n), view) for view in views]
        info = CacheInfo(misses=n * len(views), note=note)
    else:
        found = [
            _one_pass(cache, partial(compute, view=view), of_view, keys, columns)
            for view, of_view in zip(views, contents, strict=True)
        ]
        values, info = [one for one, _ in found], sum_cache_infos([i for _, i in found])
    return values[0] if view_seeds is None else Views(values), info


def _one_pass(
    memory: LogitMemory,
    compute: Callable[[np.ndarray], np.ndarray],
    content: str,
    keys_and_kind: tuple[np.ndarray, str],
    columns: np.ndarray,
) -> tuple[Any, CacheInfo]:
    """Return the logits of all rows, computing those that are not cached.

    They are returned as they are cached, so that the first fit gets what later ones
    get.
    """
    keys, kind = keys_and_kind
    table, codec = open_table(memory, content, kind, columns)
    found, stored = table.lookup(keys)
    verified = _verify(memory.verify, compute, codec, np.flatnonzero(found), stored)

    def compute_encoded(rows: np.ndarray) -> np.ndarray:
        return encode(codec, compute(rows))

    misses = 0
    if not found.all():
        known = stored
        stored = np.empty((len(keys), *table.shape), dtype=table.dtype)
        stored[found] = known
        del known
        step = max(1, min(_ROWS, _BYTES // (4 * len(columns))))
        with table.writing():
            misses = _fill(stored, ~found, compute_encoded, table, keys, step)
    logits = stored if codec is None else EncodedLogits(stored, codec)
    return logits, CacheInfo(misses, len(keys) - misses, verified, table.nbytes)


def logits_of(adapter: Teacher, classes: np.ndarray, X: Any) -> np.ndarray:
    """Return the logits of a teacher, float32, the same whatever rows there are."""

    def compute(part: Any) -> np.ndarray:
        return adapter.logits(part, classes)

    logits = adapter.in_whole_batches(compute, X)
    return check_logits(logits, len(logits), classes)


def encode(codec: Any, values: np.ndarray) -> np.ndarray:
    """Return what is stored of outputs, which must be finite."""
    if not np.isfinite(values).all():
        raise ValueError(
            "The teacher's outputs hold infinities or NaN, which cannot be cached: "
            "check the teacher."
        )
    return values if codec is None else codec.encode(values)


def open_table(
    memory: LogitMemory, content: str, kind: str, columns: np.ndarray
) -> tuple[Any, Any]:
    """Return the table of a teacher's outputs, and the codec of its rows, or None."""
    codec: Any = None
    dtype, shape = np.dtype("float32"), (len(columns),)
    if memory.dtype != "float32" or (memory.top_k or len(columns)) < len(columns):
        codec = codec_for(memory.dtype, memory.top_k, len(columns))
        dtype, shape = codec.dtype, codec.shape
    content = f"{content} {kind} {columns.tolist()}"
    return _table(memory, content, dtype, shape), codec


def _table(
    memory: LogitMemory, content: str, dtype: np.dtype, shape: tuple[int, ...]
) -> Any:
    versions = f"{__version__} {torch.__version__} {np.__version__}"
    name = f"{content} {dtype} {shape} {versions}"
    name = hashlib.sha256(name.encode()).hexdigest()[:32]
    folder = None if memory.location is None else memory._folder()
    if folder is None:
        return ProcessTable(_STORE, name, dtype, shape, memory.max_bytes)
    return DiskTable(folder / f"teacher-{name}", dtype, shape)


def _verify(
    verify: int, compute: Any, codec: Any, rows: np.ndarray, cached: np.ndarray
) -> int:
    """Compute some of the cached rows again; raise if they have other logits now."""
    n = min(verify, len(rows))
    if not n:
        return 0
    # A generator of its own: nobody's random numbers depend on it.
    picked = np.sort(np.random.default_rng().choice(len(rows), n, replace=False))
    cached, again = cached[picked], compute(rows[picked])
    if codec is not None:
        again = codec.decode(codec.encode(again, like=cached))
        cached = codec.decode(cached)
    scale = np.abs(cached).max(axis=1, keepdims=True)
    differs = ~(np.abs(again - cached) <= _TOLERANCE * (1 + scale)).all(axis=1)
    if differs.any():
        raise ValueError(
            f"verify={verify}: of {n} rows, {int(differs.sum())} have other logits "
            "than those cached. The teacher gives others each time, or depends on the "
            "rest of the batch, or on something outside of it: pass memory=False."
        )
    return n


def _fill(
    stored: np.ndarray,
    missing: np.ndarray,
    compute: Callable[[np.ndarray], np.ndarray],
    table: Any,
    keys: np.ndarray,
    step: int,
) -> int:
    """Fill in the rows of `stored` that are missing; return how many were computed."""
    rows = np.flatnonzero(missing)
    # Another process, or thread, may have computed them while this one waited.
    found, known = table.lookup(keys[rows])
    stored[rows[found]] = known
    rows = rows[~found]
    _, first, inverse = np.unique(
        keys[rows], axis=0, return_index=True, return_inverse=True
    )
    distinct = rows[np.sort(first)]  # one of each content, in their own order
    for start in range(0, len(distinct), step):
        part = distinct[start : start + step]
        stored[part] = compute(part)
        table.add(keys[part], stored[part])
    if len(distinct) < len(rows):
        stored[rows] = stored[rows[first[inverse.ravel()]]]
    return len(distinct)


def sum_cache_infos(infos: list[CacheInfo]) -> CacheInfo:
    """Return several passes as one: sums of the numbers, and each note once."""
    *numbers, notes = zip(*infos, strict=True)
    note = " ".join(filter(None, dict.fromkeys(notes)))
    return CacheInfo._make([*map(sum, numbers), note])


class Views:
    """The logits of several views of each row, as one array (n, n_views, ...)."""

    def __init__(self, views: list[Any]) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.stack([view[rows] for view in self.views], axis=-2)
