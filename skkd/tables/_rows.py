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
        for j in range(X.shape[1]):
            mixed.isetitem(j, X.iloc[:, j].array.take(index[:, j]))
        return mixed
    columns = [*zip(columns_of(X), index.T, strict=True)]
    if hasattr(X, "column_names"):  # of pyarrow
        arrays = [column.take(rows) for column, rows in columns]
        return type(X).from_arrays(arrays, names=names_of(X))
    return type(X)([column[rows] for column, rows in columns])
