"""Nearest neighbours of the rows of a table, and numbers drawn around theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skkd._data.columns import kind_of, missing, named_columns, numbers_of
from skkd._data.frames import is_frame
from skkd.tables._categories import CategoryEncoder
from skkd.tables._preprocessor import TablePreprocessor
from skkd.tables._rows import set_values

# Whole numbers up to here have a float64 each.
_EXACT = 2**53


def nearest_rows(X: Any) -> np.ndarray:
    """Return the nearest other row of each, int of shape (n_samples,).

    Numbers are scaled to 0 to 1; two levels of a category are 1 apart.
    """
    X = X if is_frame(X) else np.asarray(X)
    # Without clipping: an outlier is far away.
    preprocessor = TablePreprocessor(1e9, n_bins=0, max_categories=X.shape[0])
    numbers, start = preprocessor.fit_transform(X), 0
    size = np.ptp(numbers, axis=0)
    for encoder in preprocessor.encoders_:
        stop = start + len(encoder.suffixes)
        if isinstance(encoder, CategoryEncoder):  # two of its columns differ
            size[start:stop] = np.sqrt(2)
        start = stop
    numbers /= np.where(size > 0, size, 1)
    if len(numbers) == 1:
        return np.zeros(1, dtype=np.intp)
    # Without a query no row is its own neighbour.
    found = NearestNeighbors(n_neighbors=1).fit(numbers)
    return found.kneighbors(return_distance=False)[:, 0]


def draw_around_neighbors(
    X: Any,
    rows: Any,
    source: np.ndarray,
    near: np.ndarray,
    is_new: np.ndarray,
    local_variance: float,
    rng: np.random.RandomState,
) -> Any:
    """Draw the new numbers of synthetic rows from normal distributions.

    Parameters
    ----------
    X : array or table of shape (n_samples, n_columns)
    rows : array or table of shape (m, n_columns)
        The synthetic rows, whose new values are those of neighbours.
    source, near : ndarray of int, shape (m,)
        The row of X that each is made of, and its nearest neighbour.
    is_new : ndarray of bool, shape (m, n_columns)
    local_variance : float
        The distance between both is divided by it, for the standard deviation.
    rng : RandomState

    Returns
    -------
    array or table of shape (m, n_columns)
        Whole numbers stay whole, and within those of X. Where one of the two has a gap,
        or numbers are so large that whole ones have no float, the value stays the
        neighbour's.
    """
    for j, (name, column) in enumerate(named_columns(X)):
        if not _is_continuous(column, name):
            continue
        numbers = numbers_of(column, name)
        old, mean = numbers[source], numbers[near]
        changes = np.flatnonzero(is_new[:, j] & ~np.isnan(old) & ~np.isnan(mean))
        old, mean = old[changes], mean[changes]
        known = numbers[~np.isnan(numbers)]
        largest = np.abs(known).max(initial=0)
        if largest > _EXACT:
            continue
        drawn = rng.normal(mean, np.abs(old - mean) / local_variance)
        if (known == np.rint(known)).all():
            drawn = np.clip(np.rint(drawn), known.min(initial=0), known.max(initial=0))
        else:  # as of float16
            drawn = np.clip(drawn, -2 * largest, 2 * largest)
        rows = set_values(rows, j, changes, drawn)
    return rows


def _is_continuous(column: Any, name: str) -> bool:
    """Tell whether a column holds numbers, other than truth values and durations."""
    kind = str(getattr(column, "dtype", getattr(column, "type", ""))).lower()
    if kind.startswith(("bool", "timedelta", "duration")):
        return False
    if kind_of(column, name) != "number":
        return False
    if kind != "object":
        return True
    values = np.asarray(column)
    known = values[~missing(column, values)]
    return not any(isinstance(value, (bool, np.bool_)) for value in known[:1])
