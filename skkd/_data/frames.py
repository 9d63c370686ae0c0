"""Tables whose columns have names: of pandas, polars or pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from numbers import Number
from typing import Any

import numpy as np


def is_frame(X: Any) -> bool:
    """Tell whether `X` is a table with names of columns."""
    # The shape first: a LazyFrame of polars has none, and warns when asked for columns.
    return len(getattr(X, "shape", ())) == 2 and hasattr(X, "columns")


def refuse_deferred(X: Any, name: str = "X") -> None:
    """Refuse what has a `collect`, as a LazyFrame of polars, unless it is a column."""
    if not hasattr(X, "shape"):
        raise TypeError(
            f"{name} is a {type(X).__name__}, whose rows are not in memory: "
            f"{name}.collect()."
        )


def names_of(X: Any) -> list[Any]:
    """Return the names of the columns of a table, numbers of those of an array."""
    if isinstance(X, np.ndarray):
        return [*range(X.shape[1])]
    # In pyarrow `columns` are these themselves; in pandas a column may have that name.
    is_arrow = hasattr(X, "column_names") and not hasattr(X, "iloc")
    return [*(X.column_names if is_arrow else X.columns)]


def check_names_differ(X: Any) -> None:
    """Raise ValueError if two columns of a table have the same name."""
    names = names_of(X)
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"X has {names.count(twice)} columns that are called {twice!r}: give each "
            "a name of its own."
        )


def columns_of(X: Any) -> list[Any]:
    """Return the columns of a table, each as a Series or an array of pyarrow."""
    if isinstance(X, np.ndarray):
        return [*X.T]
    if hasattr(X, "iloc"):
        return [column for _, column in X.items()]
    return [*(X.columns if hasattr(X, "column_names") else X.get_columns())]


def select(X: Any, names: Sequence[Any]) -> Any:
    """Return the columns of these names, in this order."""
    return X[[*names]] if hasattr(X, "iloc") else X.select([*names])


def frame_like(values: np.ndarray, like: Any) -> Any:
    """Return an array (n, n_columns) as a table with the names of `like`."""
    names = names_of(like)
    if hasattr(like, "iloc"):
        return type(like)(values, columns=names)
    if hasattr(like, "column_names"):
        return type(like).from_arrays([*values.T], names=names)
    return type(like)(values, schema=names, orient="row")


def to_numbers(X: Any, what: str) -> np.ndarray:
    """Return a table as an array of numbers; ValueError names a column without them.

    Nullable, boolean and Arrow columns become what they hold, if nothing is missing.
    """
    if all(isinstance(_dtype(column), np.dtype) for column in columns_of(X)):
        with suppress(TypeError):  # dates and numbers have no dtype in common
            values = np.asarray(X)
            if values.dtype.kind in "biufc":
                return values
    pairs = zip(names_of(X), columns_of(X), strict=True)
    return np.column_stack([_numbers(column, name, what) for name, column in pairs])


def explain_columns(X: Any, error: Exception, what: str) -> Exception:
    """Return the error for a table that is refused, which names a column if it can."""
    if not (is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2)):
        return error
    try:
        for name, column in zip(names_of(X), columns_of(X), strict=True):
            if np.isnan(_numbers(column, name, what)).any():
                return ValueError(
                    f"{what}: column {name!r} has missing values. {error}"
                )
    except (TypeError, ValueError) as found:
        return ValueError(f"{found} {error}")
    return error


def _dtype(column: Any) -> Any:
    return getattr(column, "dtype", getattr(column, "type", None))


def _numbers(column: Any, name: Any, what: str) -> np.ndarray:
    values, kind = np.asarray(column), _dtype(column)
    holes = values.dtype.kind == "f" and not isinstance(kind, np.dtype)
    if holes and np.isnan(values).any():
        raise ValueError(
            f"{what}: column {name!r} ({kind}) has missing values. Fill them in, for "
            "instance with SimpleImputer."
        )
    if values.dtype.kind in "biufc":
        return values
    if values.dtype.kind == "O":
        numbers = [isinstance(value, (Number, np.bool_)) for value in values]
        if all(numbers):
            kinds = {bool if isinstance(v, (bool, np.bool_)) else float for v in values}
            return values.astype(kinds.pop() if len(kinds) == 1 else float)
        first = values[numbers.index(False)]
        if not isinstance(first, (str, bytes)):
            raise ValueError(
                f"{what}: column {name!r} ({kind}) holds {first!r}, expected numbers. "
                "Fill in what is missing, for instance with SimpleImputer."
            )
    raise ValueError(
        f"{what}: column {name!r} has dtype {kind}, expected numbers. Encode it, for "
        "instance with OneHotEncoder or OrdinalEncoder."
    )
