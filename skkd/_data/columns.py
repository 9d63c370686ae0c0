"""Columns of tables by what they hold: numbers, categories or points in time."""

from __future__ import annotations

import datetime
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
from sklearn.utils._missing import is_pandas_na

from skkd._data.frames import columns_of, is_frame, names_of

# How many rows tell the range of a table's numbers.
_N_ROWS = 5000
_SECOND = np.timedelta64(1, "s")


def named_columns(X: Any) -> list[tuple[str, Any]]:
    """Return the columns of a table, or of an array, each with a name for messages."""
    if is_frame(X):
        names = [f"column {name!r}" for name in names_of(X)]
        return [*zip(names, columns_of(X), strict=True)]
    return [(f"column {i}", X[:, i]) for i in range(X.shape[1])]


def is_plain_table(X: Any) -> bool:
    """Tell whether a table holds nothing but numbers and booleans, without gaps."""
    for name, column in named_columns(X):
        dtype = getattr(column, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            if dtype.kind == "f" and np.isnan(np.asarray(column)).any():
                return False
            continue
        if is_categorical(column) or kind_of(column, name) != "number":
            return False
        if missing(column, np.asarray(column)).any():
            return False
    return X.shape[1] > 0


def kind_of(column: Any, name: str) -> str:
    """Return "number", "category" or "date"; ValueError if it holds something else."""
    if is_categorical(column):
        return "category"
    if is_time(column):
        return "date"
    values = _values(column)
    if values.dtype.kind in "biufm":
        return "number"
    if values.dtype.kind in "USTM":
        return "date" if values.dtype.kind == "M" else "category"
    known = values[~missing(column, values)]
    kinds = {_kind_of_value(value) for value in known.tolist()}
    if len(kinds) > 1 or kinds == {None}:
        raise _mixed(known, name)
    return str(kinds.pop()) if kinds else "number"  # nothing but gaps


def odd_columns(X: Any, *, with_gaps: bool) -> str:
    """Return in words which columns of a table hold no numbers, "" if there is none.

    With `with_gaps` those that have any gap are named, too.
    """
    if not (is_frame(X) or str(getattr(X, "dtype", "")) == "object"):
        return ""
    found: dict[str, list[str]] = {}
    for name, column in named_columns(X):
        if words := _oddity(column, name, with_gaps):
            found.setdefault(words, []).append(name.removeprefix("column "))
    return "; ".join(
        f"{words} in {', '.join(names[:5])}{', ...' * (len(names) > 5)}"
        for words, names in found.items()
    )


def _oddity(column: Any, name: str, with_gaps: bool) -> str:
    gaps = missing(column, _values(column))
    if gaps.all():
        return "nothing but gaps"
    try:
        kind = kind_of(column, name)
    except ValueError:
        return "objects"
    if kind == "number":
        return "gaps" * bool(with_gaps and gaps.any())
    if kind == "date":
        return "dates"
    return "categories" if is_categorical(column) else "text"


def is_categorical(column: Any) -> bool:
    """Tell whether a column is declared as a category, whatever its values are."""
    kind = str(getattr(column, "dtype", getattr(column, "type", "")))
    return kind.lower().startswith(("category", "categorical", "enum", "dictionary"))


def is_time(column: Any) -> bool:
    """Tell whether a column is declared as dates or times."""
    kind = str(getattr(column, "dtype", getattr(column, "type", "")))
    return kind.lower().startswith(("datetime", "date", "timestamp"))


def missing(column: Any, values: np.ndarray) -> np.ndarray:
    """Return which values of a column are missing, bool of shape (n,)."""
    if hasattr(column, "isna"):
        return np.asarray(column.isna(), dtype=bool)
    if values.dtype.kind in "fmM":
        return np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    gaps = [v is None or is_pandas_na(v) or _is_nan(v) for v in values.tolist()]
    return np.array(gaps, dtype=bool)


def numbers_of(column: Any, name: str) -> np.ndarray:
    """Return the numbers of a column, float64 of shape (n,), NaN where missing."""
    values = _values(column)
    if values.dtype.kind == "m":
        return values / _SECOND
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    elif values.dtype.kind == "O":
        gaps = missing(column, values)
        numbers = np.full(len(values), np.nan)
        known = values[~gaps]
        if {_kind_of_value(value) for value in known.tolist()} - {"number"}:
            raise _not_a_number(known, name)
        try:
            numbers[~gaps] = known.astype(np.float64)
        except OverflowError:
            numbers[~gaps] = [_float(value) for value in known.tolist()]
    else:
        raise _not_a_number(values, name)
    if np.isinf(numbers).any():
        raise ValueError(
            f"X: {name} holds infinite values, expected finite ones or gaps: "
            "X.replace([np.inf, -np.inf], np.nan)."
        )
    return numbers


def levels_of(column: Any, name: str) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each value in a list of levels, -1 where missing."""
    try:
        return _factorize(column)
    except TypeError as error:  # a list has no hash
        raise _mixed(_values(column), name) from error


def _factorize(column: Any) -> tuple[np.ndarray, list[Any]]:
    if hasattr(column, "factorize"):  # of pandas
        if hasattr(column.array, "codes"):
            return column.array.codes, column.array.categories.tolist()
        codes, levels = column.factorize()
        return codes, levels.tolist()
    values = np.array(_values(column), dtype=object)
    values[missing(column, values)] = None
    listed = values.tolist()
    levels = [level for level in dict.fromkeys(listed) if level is not None]
    number = {None: -1, **{level: i for i, level in enumerate(levels)}}
    return np.fromiter(map(number.__getitem__, listed), np.intp, len(listed)), levels


def seconds_of(column: Any, name: str) -> np.ndarray:
    """Return points in time as seconds since 1970, NaN where missing."""
    if hasattr(column, "dt") and getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_localize(None)  # the hour of the day is the local one
    values = _values(column)
    if values.dtype.kind == "O":
        gaps = missing(column, values)
        known = values[~gaps].tolist()
        if not all(isinstance(value, datetime.date) for value in known):
            raise _mixed(values[~gaps], name, "a date, as in fit")
        values = np.full(len(values), "NaT", dtype="datetime64[us]")
        values[~gaps] = [v.replace(**_naive(v)) for v in known]
    if values.dtype.kind != "M":
        raise _mixed(values, name, "a date, as in fit")
    return (values - np.datetime64(0, "s")) / _SECOND


def numbers_in(X: Any) -> np.ndarray:
    """Return the numbers of a table (n, n_columns), NaN in columns of other kinds.

    Of a long one, those of some rows.
    """
    step = X.shape[0] // _N_ROWS + 1
    numbers = np.full((len(range(0, X.shape[0], step)), X.shape[1]), np.nan)
    for i, column in enumerate(columns_of(X)):
        dtype = getattr(column, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
            numbers[:, i] = np.asarray(column)[::step]
    return numbers


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int of more than 308 digits
        return np.inf if value > 0 else -np.inf


def _values(column: Any) -> np.ndarray:
    if hasattr(column, "type") and is_categorical(column):  # of pyarrow
        column = column.cast(column.type.value_type)
    values = np.asarray(column)
    if values.ndim == 1:
        return values
    lists = np.empty(len(values), dtype=object)
    lists[:] = values.tolist()
    return lists


def _is_nan(value: Any) -> bool:
    try:
        return bool(value != value)
    except ValueError:  # of an array
        return False


def _naive(value: Any) -> dict[str, Any]:
    return {"tzinfo": None} if hasattr(value, "tzinfo") else {}


def _kind_of_value(value: Any) -> str | None:
    if isinstance(value, (Number, np.bool_, Decimal)) and not isinstance(
        value, complex
    ):
        return "number"
    if isinstance(value, (str, bytes)):
        return "category"
    return "date" if isinstance(value, datetime.date) else None


def _not_a_number(values: Any, name: str) -> ValueError:
    return _mixed(values, name, "numbers, as in fit")


def _mixed(
    values: Any,
    name: str,
    expected: str = "numbers, text, categories or dates",
) -> ValueError:
    """Return the error of a column with a value of each kind that it holds."""
    seen = {type(value).__name__: value for value in reversed([*values])}
    some = " and ".join(f"{_shown(v)} ({kind})" for kind, v in seen.items())
    return ValueError(
        f"X: {name} holds {some}, expected {expected}. Convert it, or leave it out."
    )


def _shown(value: Any) -> str:
    return f"{value!r:.40}" if isinstance(value, (str, bytes)) else f"{value!s:.40}"
