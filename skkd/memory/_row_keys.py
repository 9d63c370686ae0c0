"""Keys of rows: a hash of the content of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from numbers import Number
from typing import Any

import numpy as np
import torch

from skkd._data.frames import columns_of, names_of
from skkd._data.rows import LAZY, len_of, row_of
from skkd.memory._fingerprint import FingerprintError, fingerprint

# Rows of a lazy X that are fetched at a time.
_BATCH_SIZE = 256
_KEY_BYTES = 16
# Rows of a list that an array holds without loss.
_NUMBERS = (Number, np.ndarray, np.generic, list, tuple)


def row_keys(X: Any) -> tuple[np.ndarray, str]:
    """Return keys (n, 2), 128 bits of SHA-256 for each row of `X`, and the rows' kind.

    Keys depend on the content of a row, not on its place in `X`. A row that names a
    file is identified by its path and by the file's size and times of change. The kind
    is dtype and shape of a row; only keys of the same kind can be compared.
    """
    if hasattr(X, "row_keys"):  # images that need not be read for it
        return X.row_keys()
    try:
        if isinstance(X, LAZY):
            kind, parts = "fetched", []
            for part, raw in _parts(X):  # each part may be of another kind
                prefix = part.encode()
                parts.append(_digests(prefix + bytes(row) for row in raw))
            digests = b"".join(parts)
        else:
            kind, raw = _raw_rows(X)
            digests = _digests(raw)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, FingerprintError):
            raise
        raise FingerprintError(
            f"memory= cannot tell one row of X, a {type(X).__name__}, from another: "
            f"{error}. Pass memory=False."
        ) from error
    return np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2), kind


def view_seeds(keys: np.ndarray, n_views: int) -> np.ndarray:
    """Return seeds (n, n_views) of each row's views, by the keys of the rows."""
    return (keys[:, :1] + np.arange(n_views, dtype=np.uint64)).view(np.int64)


def _parts(X: Any) -> Iterator[tuple[str, Any]]:
    """Fetch a lazy `X` a part at a time, and yield kind and bytes of its rows."""
    for start in range(0, len(X), _BATCH_SIZE):
        rows = range(start, min(start + _BATCH_SIZE, len(X)))
        yield _raw_rows(_columns([row_of(X, i) for i in rows]))


def _columns(rows: list[Any]) -> Any:
    """Collate rows that consist of several inputs, input by input."""
    if isinstance(rows[0], Mapping):
        return {key: _columns([row[key] for row in rows]) for key in rows[0]}
    if isinstance(rows[0], (tuple, list)):
        return {i: _columns([*c]) for i, c in enumerate(zip(*rows, strict=True))}
    if isinstance(rows[0], torch.Tensor):
        return torch.stack(rows)
    return rows


def _digests(rows: Iterable[Any]) -> bytes:
    """Return the digests of rows, given as bytes or arrays of bytes, end to end."""
    sha256 = hashlib.sha256
    return b"".join([sha256(row).digest()[:_KEY_BYTES] for row in rows])


def _raw_rows(X: Any) -> tuple[str, Any]:
    """Return kind and bytes of the rows of an `X` in memory."""
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):  # scipy's DOK is a dict
        return _joined({repr(key): value for key, value in X.items()})
    if hasattr(X, "columns"):
        named = enumerate(zip(names_of(X), columns_of(X), strict=True))
        # An array does not tell categories from the numbers or texts that they are.
        columns = {f"{i} {n!r} {_dtype(c)}": c for i, (n, c) in named}
        return _joined(columns | _nulls(columns))
    if hasattr(X, "tocsr"):
        return _sparse_rows(X.tocsr())
    if isinstance(X, torch.Tensor):
        tensor = X.detach().cpu().contiguous()
        tensor = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
        return f"{X.dtype} {tuple(X.shape[1:])}", tensor.view(torch.uint8).numpy()
    if isinstance(X, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(X)
        return _joined({"masked": X.filled(0), "mask": mask})
    values = X if isinstance(X, np.ndarray) else _as_array(X)
    if values.dtype.hasobject or values.dtype.kind in "USV":
        return f"object {values.shape[1:]}", map(_object_bytes, values)
    raw = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    return f"{values.dtype} {values.shape[1:]}", raw


def _dtype(column: Any) -> Any:
    dtype: Any = getattr(column, "dtype", getattr(column, "type", None))
    if not (hasattr(dtype, "ordered") and hasattr(dtype, "categories")):
        return dtype
    # pandas's: its text is "category", whatever their codes stand for.
    categories = repr([*dtype.categories]).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(categories).hexdigest()[:_KEY_BYTES]
    return f"{dtype} {dtype.categories.dtype} {dtype.ordered} {digest}"


def _nulls(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return where columns of polars have no value, which an array shows as NaN."""
    return {
        f"{name} null": column.is_null().to_numpy()
        for name, column in columns.items()
        if hasattr(column, "fill_nan")  # neither of pandas nor of pyarrow
        and column.dtype.is_float()
    }


def _as_array(X: Any) -> np.ndarray:
    values = np.empty(0, dtype=object)
    X = X.to_pylist() if hasattr(X, "to_pylist") else X  # pyarrow's own scalars
    # Of an image, say, an array has the numbers alone, without palette or mode.
    if not isinstance(X, (list, tuple)) or all(isinstance(row, _NUMBERS) for row in X):
        with suppress(ValueError):  # rows of several lengths
            values = np.asarray(X)
    if len(values) != len_of(X) or values.dtype.kind in "OUSV":
        values = np.empty(len_of(X), dtype=object)
        for i in range(len(values)):
            values[i] = X.iloc[i] if hasattr(X, "iloc") else X[i]
    return values


def _joined(columns: Mapping[str, Any]) -> tuple[str, np.ndarray]:
    """Concatenate the bytes of several columns, row by row."""
    kinds, raws = [], []
    for name, column in columns.items():
        kind, raw = _raw_rows(column)
        if not isinstance(raw, np.ndarray):
            raw = np.frombuffer(_digests(raw), dtype=np.uint8).reshape(-1, _KEY_BYTES)
        kinds.append(f"{name}: {kind}")
        raws.append(raw)
    return "; ".join(kinds), np.concatenate(raws, axis=1)


def _sparse_rows(X: Any) -> tuple[str, Iterator[bytes]]:
    if not X.has_canonical_format:
        X = X.copy()  # it is the user's
        X.sum_duplicates()  # sorts the columns of each row as well
    if not X.data.all():
        X = X.copy()
        X.eliminate_zeros()
    starts = X.indptr
    rows = (
        X.indices[a:b].astype(np.int64).tobytes() + X.data[a:b].tobytes()
        for a, b in pairwise(starts)
    )
    return f"sparse {X.dtype} {X.shape[1:]}", rows


def _object_bytes(row: Any) -> bytes:
    if isinstance(row, os.PathLike):
        row = os.fspath(row)
    if not isinstance(row, str):
        return b"object " + fingerprint(row).encode()
    try:
        found = os.stat(row)
    except (OSError, ValueError):  # a text, not a path
        return b"text " + row.encode("utf-8", "surrogatepass")
    # The second time cannot be set, and shows a file that was moved into place.
    times = f"{found.st_mtime_ns} {found.st_ctime_ns}"
    path = f"file {found.st_size} {times} {os.path.abspath(row)}"
    return path.encode("utf-8", "surrogatepass")
