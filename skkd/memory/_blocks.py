"""Samples block by block: in memory, in the chunks of a Dask array, or in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_array
from skorch.utils import to_numpy

from skkd._data.inputs import check_numbers
from skkd._data.rows import is_lazy, len_of, pick, sliceable, take_rows
from skkd.memory._cluster import Here
from skkd.memory._known import known_row_keys
from skkd.memory._row_keys import row_keys

# Samples of a block: at most so many, so many bytes of them, and of their logits; of
# files that are read, so many.
_ROWS, _BYTES, _LOGIT_BYTES, _FILES = 2**14, 2**26, 2**24, 2**8
_AT_LEAST = 64


class Block(NamedTuple):
    """Some samples.

    Attributes
    ----------
    keys : callable
        Waits for their keys, and returns them and the kind of these.
    take : callable
        From the numbers of some of them to what stands for samples, and which of
        these are meant, None for all.
    """

    keys: Callable[[], tuple[np.ndarray, str]]
    take: Callable[[np.ndarray], tuple[Any, np.ndarray | None]]


class Blocks(NamedTuple):
    """All samples, and how many they are; None if that is not known yet."""

    n_samples: int | None
    blocks: Iterator[Block]


def blocks_of(X: Any, reader: Any, cluster: Here, n_classes: int) -> Blocks:
    """Split samples into blocks, which come into being as they are asked for.

    Parameters
    ----------
    X : object
        As of ``precompute_logits``.
    reader : transformer or None
    cluster : Here
        Who reads what is not in memory.
    n_classes : int
    """
    n_rows = max(_AT_LEAST, min(_ROWS, _LOGIT_BYTES // (4 * n_classes)))
    if reader is not None:
        if not getattr(reader, "lazy", False):
            return Blocks(len_of(X), _of_files(X, reader, cluster))
        X = reader.transform(X)
    if type(X).__module__.startswith("dask.array"):
        n_samples = None if np.isnan(X.shape[0]) else int(X.shape[0])
        return Blocks(n_samples, _of_chunks(X, cluster, n_rows))
    X = as_in_a_fit(X)
    n_bytes = getattr(X, "nbytes", 0) if isinstance(X, np.ndarray) else 0
    if n_bytes:
        n_rows = min(n_rows, max(_AT_LEAST, _BYTES * len(X) // n_bytes))
    return Blocks(len_of(X), _in_memory(X, cluster, n_rows))


def as_in_a_fit(X: Any) -> Any:
    """Return samples as a fit looks for them in its memory."""
    if is_lazy(X) or isinstance(X, Mapping) or hasattr(X, "columns"):
        return X
    if isinstance(X, torch.Tensor):
        X = to_numpy(X)
    if not hasattr(X, "toarray"):
        values = X if hasattr(X, "dtype") else np.asarray(X[:1])
        if values.dtype.kind not in "biufc":  # paths, which the teacher reads itself
            return X
    options = {"allow_nd": True, "accept_sparse": "csr", "input_name": "X"}
    return check_numbers(check_array(X, ensure_all_finite="allow-nan", **options))


def _in_memory(X: Any, cluster: Here, n_rows: int) -> Iterator[Block]:
    all_keys, kind = known_row_keys(X)
    X = sliceable(X)

    def keys(start: int) -> tuple[np.ndarray, str]:
        return all_keys[start : start + n_rows], kind

    def take(start: int, rows: np.ndarray) -> tuple[Any, None]:
        rows = start + rows
        part = X[rows] if isinstance(X, np.ndarray) else pick(X, rows)
        return cluster.send(part), None

    for start in range(0, len(all_keys), n_rows):
        yield Block(partial(keys, start), partial(take, start))


def _of_chunks(X: Any, cluster: Here, n_rows: int) -> Iterator[Block]:
    X = X.rechunk({axis: -1 for axis in range(1, X.ndim)})
    if not np.isnan(X.shape[0]) and max(X.chunks[0]) > n_rows:
        X = X.rechunk({0: n_rows})
    for i in range(X.numblocks[0]):
        yield _remote(cluster.compute(X.blocks[i]), cluster)


def _of_files(X: Any, reader: Any, cluster: Here) -> Iterator[Block]:
    for start in range(0, len_of(X), _FILES):
        rows = np.arange(start, min(start + _FILES, len_of(X)))
        yield _remote(cluster.submit(_read, reader, take_rows(X, rows)), cluster)


def _remote(samples: Any, cluster: Here) -> Block:
    """Return a block whose samples stay with the worker that has them."""

    def take(rows: np.ndarray) -> tuple[Any, np.ndarray]:
        return samples, rows

    return Block(partial(cluster.result, cluster.submit(row_keys, samples)), take)


def _read(reader: Any, X: Any) -> Any:
    return reader.transform(X)
