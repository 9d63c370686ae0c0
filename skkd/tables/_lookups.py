"""A linear layer behind a TablePreprocessor, as sums of rows that are looked up.

``(transform(X) - means) @ weights`` is, for each row of X, a sum of a few vectors: of
each category that of its level, of a number those of the two quantiles that it lies
between. To look these up takes a fraction of the time of making the wide matrix and
multiplying it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skkd._data.columns import named_columns
from skkd.tables._preprocessor import TablePreprocessor


def look_up(
    preprocessor: TablePreprocessor, X: Any, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rows of X are sums of.

    Parameters
    ----------
    preprocessor : TablePreprocessor
        Fitted.
    X : array or data frame of shape (n_samples, n_features)
        With the columns of `fit`, which is not checked.
    means : ndarray of shape (n_features_out,)

    Returns
    -------
    index : ndarray of shape (n_samples, n_lookups), int32
        Rows of :func:`rows_of`.
    weight : ndarray of shape (n_samples, n_lookups), float32
        How often each is taken.

    Raises
    ------
    ValueError
        As ``transform`` does.
    """
    encoders = preprocessor.encoders_
    # Column by column in memory, which is faster to fill.
    shape = sum(encoder.n_lookups for encoder in encoders), X.shape[0]
    index, weight = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.float32)
    first = start = place = 0
    for encoder, (_, column) in zip(encoders, named_columns(X), strict=True):
        stop, end = start + encoder.n_lookups, place + len(encoder.suffixes)
        out = index[start:stop], weight[start:stop]
        encoder.look_up(column, out, first, means[place:end])
        first, start, place = first + encoder.n_rows, stop, end
    return np.ascontiguousarray(index.T), np.ascontiguousarray(weight.T)


def rows_of(
    preprocessor: TablePreprocessor,
    weights: np.ndarray,
    means: np.ndarray,
    codes: Mapping[int, np.ndarray],
) -> np.ndarray:
    """Return the rows that sums are made of.

    Parameters
    ----------
    preprocessor : TablePreprocessor
        Fitted.
    weights : ndarray of shape (n_features_out, n_outputs)
        Of the linear layer.
    means : ndarray of shape (n_features_out,)
        Subtracted before it; without, numbers that hardly vary would lose digits.
    codes : mapping of int to ndarray of shape (n_codes, n_outputs)
        What the layer makes of each code of a feature that is embedded.

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
    """
    found, start = [], 0
    for encoder in preprocessor.encoders_:
        stop = start + len(encoder.suffixes)
        part, start = slice(start, stop), stop
        found.append(encoder.rows(weights[part], means[part], codes.get(part.start)))
    return np.vstack(found)
