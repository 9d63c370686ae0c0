"""Rows of whatever holds them: arrays, tables, mappings, lazy datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from skorch.dataset import get_len
from skorch.helper import SliceDataset, SliceDict
from skorch.utils import is_dataset
from torch.utils.data import Subset, default_collate

from skkd._data.frames import frame_like
from skkd._data.mapped import check_mapped, in_memory

# Types whose samples are fetched one by one, on demand.
LAZY = (torch.utils.data.Dataset, SliceDataset)


def is_lazy(X: Any) -> bool:
    """Tell whether the samples of `X` are fetched one by one, on demand."""
    return isinstance(X, LAZY)


def reads_batches(X: Any) -> bool:
    """Tell whether a lazy `X` reads several rows together, as LazyImages do."""
    return isinstance(X, SliceDataset) and hasattr(X, "__getitems__")


def pair_of(dataset: Any, i: int) -> tuple[Any, Any]:
    """Return input and label of row `i` of a torch Dataset."""
    item = dataset[i]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        size = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
        raise ValueError(
            f"Row {i} of the {type(dataset).__name__} is a {type(item).__name__}{size}"
            ", expected a pair, input and label."
        )
    return item[0], item[1]


def row_of(X: Any, i: int) -> Any:
    """Return the input of row `i` of a lazy `X`."""
    return pair_of(X, i)[0] if is_dataset(X) else X[i]


def iter_inputs(X: Any, batch_size: int) -> Iterator[Any]:
    """Yield the rows of `X` in order, `batch_size` at a time."""
    for start in range(0, len_of(X), batch_size):
        stop = start + batch_size
        if is_lazy(X):
            rows = range(start, min(stop, len(X)))
            if reads_batches(X):
                yield torch.as_tensor(X.__getitems__(np.asarray(rows)))
            else:
                yield default_collate([row_of(X, i) for i in rows])
        elif isinstance(X, Mapping):
            check_mapped(X)
            yield {key: value[start:stop] for key, value in X.items()}
        elif hasattr(X, "iloc"):
            yield X.iloc[start:stop]
        else:
            part = X[start:stop]
            is_own = getattr(X, "base", None) is None
            yield part if is_own else in_memory(part)


def len_of(X: Any) -> int:
    """Return the number of rows of `X`, whatever holds them."""
    if isinstance(X, Mapping):
        return get_len(X)
    # Sparse matrices have a shape and no length, lists the reverse.
    return X.shape[0] if hasattr(X, "shape") else len(X)


def take_rows(X: Any, rows: Sequence[int] | np.ndarray) -> Any:
    """Return some rows of `X`, whatever holds them; lazy images as an array."""
    rows = np.asarray(rows, dtype=np.intp)
    check_mapped(X)
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):
        return {key: take_rows(value, rows) for key, value in X.items()}
    if is_dataset(X):
        return Subset(X, rows.tolist())
    if is_lazy(X):
        return np.asarray(X[rows])
    return _safe_indexing(X, rows)


def sliceable(X: Any) -> Any:
    """Let rows be picked out of what is no array."""
    if is_dataset(X):
        return SliceDataset(X)
    plain = isinstance(X, Mapping) and not isinstance(X, SliceDict)
    return SliceDict(**X) if plain else X


def pick(X: Any, numbers: np.ndarray) -> Any:
    """Return the rows of these numbers."""
    if getattr(X, "base", None) is not None:  # a view, maybe of a file
        check_mapped(X)
    if is_dataset(X):
        return Subset(X, numbers.tolist())
    return _safe_indexing(sliceable(X), numbers)


def with_columns(values: np.ndarray, like: Any) -> Any:
    """Return `values` as a data frame with the columns of `like`, if that is one."""
    if not hasattr(like, "columns") or values.ndim != 2:
        return values
    return frame_like(values, like)
