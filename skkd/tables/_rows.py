"""Rows of a table put together of the values of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd._data.frames import columns_of, is_frame, names_of


def mix_rows(X: Any, index: np.ndarray) -> Any:
    """Return rows whose values come from the rows of an index, column by column.

    Parameters
    ----------
    X : array or table of shape (n_samples, n_columns)
    index : ndarray of int, shape (m, n_columns)
        The row of X that each value comes from.

    Returns
    -------
    array or table of shape (m, n_columns)
        Of the type of X; columns keep their dtypes.
    """
    if not is_frame(X):
        return np.take_along_axis(np.asarray(X), index, axis=0)
    if hasattr(X, "iloc"):
        mixed = X.iloc[index[:, 0]].reset_index(drop=True)
        for j, column in enumerate(columns_of(X)):
            # A Series keeps its dtype, where an array of objects may get another.
            mixed.isetitem(j, column.iloc[index[:, j]].reset_index(drop=True))
        return mixed
    columns = [*zip(columns_of(X), index.T, strict=True)]
    if hasattr(X, "column_names"):  # of pyarrow
        arrays = [column.take(rows) for column, rows in columns]
        return type(X).from_arrays(arrays, names=names_of(X))
    return type(X)([column[rows] for column, rows in columns])


def set_values(X: Any, column: int, rows: np.ndarray, numbers: np.ndarray) -> Any:
    """Return a table with other numbers in some rows of a column, of the same dtype.

    Parameters
    ----------
    X : array or table of shape (n_samples, n_columns)
        Its own memory may be changed.
    column : int
    rows : ndarray of int, shape (n,)
    numbers : ndarray of float64, shape (n,)
        Whole ones, if the column has whole numbers.
    """
    if not is_frame(X):
        X[rows, column] = numbers
        return X
    old = columns_of(X)[column]
    whole = "int" in str(getattr(old, "dtype", getattr(old, "type", ""))).lower()
    values = numbers.astype(np.int64) if whole else numbers
    if hasattr(X, "iloc"):
        X.isetitem(column, _with_values(old, rows, values))
        return X
    if hasattr(X, "column_names"):  # of pyarrow
        import pyarrow
        from pyarrow.compute import replace_with_mask

        is_new = np.zeros(len(old), dtype=bool)
        is_new[rows] = True
        new = pyarrow.array(values[np.argsort(rows)], type=old.type)
        array = replace_with_mask(old.combine_chunks(), pyarrow.array(is_new), new)
        return X.set_column(column, X.field(column), array)
    return X.with_columns(old.clone().scatter(rows, values))


def _with_values(old: Any, rows: np.ndarray, values: np.ndarray) -> Any:
    """Return a Series of pandas with other values in some rows."""
    array = np.array(old) if isinstance(old.dtype, np.dtype) else old.array.copy()
    try:
        array[rows] = values
    except TypeError:  # a sparse one is never changed
        array = np.array(old)
        array[rows] = values
    return type(old)(array, index=old.index, dtype=old.dtype)
