"""Tables as the inputs of a graph: one array, or one for each column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from skkd._data.frames import columns_of, is_frame, names_of
from skkd.export._table_inputs import preprocessor_inputs
from skkd.tables import TablePreprocessor

# Whole numbers up to here are the same in float32.
_EXACT = 2**24
# Columns that new values are tried in.
_N_PROBED = 64


def table_inputs(step: Any, X: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return what a graph takes that begins with a transformer.

    Returns
    -------
    kind : {"array", "columns"}
    inputs : dict of str to ndarray
        One array ``X``, of float32 or of strings; or those columns that the transformer
        uses, by name, if it names them or if numbers and strings stand side by side.
        Of a TablePreprocessor, see :func:`preprocessor_inputs`.
    """
    first = step.steps[0][1] if hasattr(step, "steps") else step
    if isinstance(first, TablePreprocessor):
        return preprocessor_inputs(first, X)
    if not is_frame(X):
        return "array", {"X": _column(_dense(X))}
    if hasattr(first, "transformers_") and _by_name(first):
        X = _safe_indexing(X, _used(first, X), axis=1)
    columns = {
        str(n): _column(c) for n, c in zip(names_of(X), columns_of(X), strict=True)
    }
    kinds = {values.dtype for values in columns.values()}
    if len(kinds) > 1 or hasattr(first, "transformers_"):
        return "columns", {name: values[:, None] for name, values in columns.items()}
    return "array", {"X": np.column_stack([*columns.values()])}


def _by_name(transformer: Any) -> bool:
    """Tell whether a ColumnTransformer names all columns that it uses."""
    return all(isinstance(column, str) for column in _columns_of_parts(transformer))


def _used(transformer: Any, X: Any) -> list[str]:
    """Return the columns that a ColumnTransformer does not drop, in their order."""
    used = {*_columns_of_parts(transformer)}
    return [name for name in names_of(X) if name in used]


def _columns_of_parts(transformer: Any) -> list[Any]:
    found: list[Any] = []
    for _, part, columns in transformer.transformers_:
        if not (isinstance(part, str) and part == "drop"):
            found += (
                [columns] if isinstance(columns, str) else [*np.atleast_1d(columns)]
            )
    return found


def _column(column: Any) -> np.ndarray:
    """Return values as float32, strings as objects; large whole numbers as int64."""
    values = np.asarray(column)
    if values.dtype.kind in "iu" and np.abs(values).max(initial=0) > _EXACT:
        return values.astype(np.int64)
    if values.dtype.kind in "biuf":
        return values.astype(np.float32)
    if values.dtype.kind == "O" and all(_is_number(v) for v in values.flat):
        return values.astype(np.float32)
    if values.dtype.kind not in "OUT" or not all(
        isinstance(v, str) for v in values.flat
    ):
        first = next((v for v in values.flat if not isinstance(v, str)), None)
        name = getattr(column, "name", None)
        raise ValueError(
            f"{'The table' if name is None else f'Column {name!r}'} has dtype "
            f"{values.dtype} and holds {first!r}: a file takes numbers, or strings "
            "without a gap. Fill in what is missing before the pipeline, and pass "
            "columns of several types as a DataFrame."
        )
    return values.astype(object)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number, np.bool_))


def _dense(X: Any) -> Any:
    return X.toarray() if hasattr(X, "toarray") else X


# Samples that a transformer may not have seen -----------------------------------------


def probes(X: Any) -> Iterator[tuple[str, Any]]:
    """Yield what to compare transformer and graph on: the samples, gaps, new values."""
    yield "the samples", X
    n_columns = X.shape[1]
    if is_frame(X) and not hasattr(X, "iloc"):  # polars and pyarrow do not change
        return
    gaps, has_gaps = _copy(X), False
    changed = []
    for j in range(n_columns):
        values = np.asarray(_get(X, j))
        if values.dtype.kind == "f" and len(values) > 1:
            _set(gaps, j % len(values), j, np.nan)
            has_gaps = True
        new = _unseen(values)
        if new is not None:
            changed.append((j, new))
    if has_gaps:
        yield "missing values", gaps
    for j, new in changed[:_N_PROBED]:
        one = _copy(X)
        _set(one, 0, j, new)
        yield "new values", one


def _unseen(values: np.ndarray) -> Any:
    """Return a value that is not among these, if they may be categories."""
    if values.dtype.kind in "OUT" and all(isinstance(v, str) for v in values):
        return max(values, key=len) + "?"
    if values.dtype.kind in "iuf" and len(values):
        whole = values[np.isfinite(values.astype(float))]
        if len(whole) and (whole == np.rint(whole)).all():
            return values.dtype.type(whole.max() + 7)
    return None


def _copy(X: Any) -> Any:
    if hasattr(X, "iloc"):
        return X.copy()
    X = np.array(_dense(X))
    return X.astype(object) if X.dtype.kind == "U" else X


def _get(X: Any, j: int) -> Any:
    return X.iloc[:, j] if hasattr(X, "iloc") else _dense(X)[:, j]


def _set(X: Any, i: int, j: int, value: Any) -> None:
    if hasattr(X, "iloc"):
        column = X.columns[j]
        if str(X[column].dtype) == "category":
            X[column] = X[column].astype(object)
        X.iloc[i, j] = value
    else:
        X[i, j] = value
