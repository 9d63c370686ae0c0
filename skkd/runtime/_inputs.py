"""X of a prediction as the inputs of a file: the same values, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skkd._formats.onnx_metadata import Input, OnnxMetadata, as_text


def read_inputs(X: Any, metadata: OnnxMetadata) -> dict[str, np.ndarray]:
    """Return an array of n samples for each input, in its dtype.

    Raises
    ------
    ValueError
        If X has another shape, other columns, or values that the dtype has not.
    """
    if metadata.kind == "mapping":
        return _of_mapping(X, metadata)
    if metadata.kind == "columns":
        return _of_columns(X, metadata)
    (one,) = metadata.inputs
    if hasattr(X, "columns"):
        _check_names(X, metadata.feature_names_in)
    X = X.toarray() if hasattr(X, "toarray") else X
    values = as_input(np.asarray(X), one)
    _check_finite(values, metadata.gaps)
    return {one.name: values}


def _of_mapping(X: Any, metadata: OnnxMetadata) -> dict[str, np.ndarray]:
    names = [one.name for one in metadata.inputs]
    if not isinstance(X, Mapping) or {*X} != {*names}:
        found = [*X] if isinstance(X, Mapping) else type(X).__name__
        raise ValueError(f"X is {found}; expected a dict of arrays with keys {names}.")
    return {one.name: as_input(np.asarray(X[one.name]), one) for one in metadata.inputs}


def _names_of(X: Any) -> Any:
    if isinstance(X, Mapping):
        return X
    # In pyarrow `columns` are these themselves; in pandas a column may have that name.
    is_arrow = hasattr(X, "column_names") and not hasattr(X, "iloc")
    return X.column_names if is_arrow else X.columns


def _of_columns(X: Any, metadata: OnnxMetadata) -> dict[str, np.ndarray]:
    names = [one.name for one in metadata.inputs]
    if isinstance(X, Mapping) or hasattr(X, "columns"):
        columns = {str(c): c for c in _names_of(X)}
        lacking = [name for name in names if name not in columns]
        if lacking:
            raise ValueError(
                f"X has the columns {[*columns]}, and lacks {lacking}: expected those "
                f"of the fit, {names}."
            )
        found = [X[columns[name]] for name in names]
    else:
        table = np.asarray(X, dtype=object)
        if table.ndim != 2 or table.shape[1] != len(names):
            raise ValueError(
                f"X has shape {table.shape}; expected (n, {len(names)}), or a data "
                f"frame with the columns {names}."
            )
        found = [*table.T]
    inputs = {}
    for i, (one, column) in enumerate(zip(metadata.inputs, found, strict=True)):
        may_be_missing = metadata.gaps is None or i in metadata.gaps
        if one.dtype == "str":
            text_gaps = metadata.text_gaps and may_be_missing
            values = _texts(column, one, text_gaps)
        else:
            values = _numbers(column, one)
        inputs[one.name] = as_input(values.reshape(-1, 1), one)
        _check_finite(inputs[one.name], (0,) if may_be_missing else (), one.name)
    return inputs


def _texts(column: Any, one: Input, gaps: bool) -> np.ndarray:
    """Return texts, with what stands for a gap in the file."""
    values = np.asarray(column, dtype=object)
    if not gaps:
        return values
    texts = [None if _is_missing(value) else value for value in values.ravel()]
    odd = next((v for v in texts if not isinstance(v, (str, type(None)))), None)
    if odd is not None:
        raise ValueError(
            f"X: column {one.name!r} holds {odd!r:.40} ({type(odd).__name__}), and in "
            "fit it held texts: pass values of the same type."
        )
    return np.array([as_text(text) for text in texts], dtype=object)


def _numbers(column: Any, one: Input) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind == "m":  # seconds, as in the fit
        return values / np.timedelta64(1, "s")
    if values.dtype != object:
        return values
    items = [np.nan if _is_missing(v) else v for v in values.ravel().tolist()]
    # NumPy would read numbers in texts, and take a list of one number for it.
    odd = next((v for v in items if isinstance(v, (str, bytes)) or np.ndim(v)), None)
    try:
        if odd is not None:
            what = "text" if isinstance(odd, (str, bytes)) else type(odd).__name__
            raise ValueError(f"{odd!r:.40} is a {what}")
        return np.array(items, dtype=one.dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The column {one.name!r} has values that are no {one.dtype}: {error}."
        ) from None


def _is_missing(value: Any) -> bool:
    """Tell whether a value is None, NaN, NaT, or the NA of pandas."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _check_names(X: Any, names: tuple[str, ...] | None) -> None:
    columns = [str(name) for name in X.columns]
    if names is not None and columns != [*names]:
        raise ValueError(
            f"X has the columns {columns}; expected those of the fit in their order, "
            f"{[*names]}: pass X[names]."
        )


def as_input(values: np.ndarray, one: Input) -> np.ndarray:
    """Return samples in the dtype of an input; raise if values or shape would differ.

    Floats of 64 bits become floats of 32 where the student computes with these.
    """
    if values.shape[1:] != one.shape or not values.ndim:
        expected = ", ".join(map(str, ("n", *one.shape)))
        single = " For one sample pass X[None]." if values.shape == one.shape else ""
        raise ValueError(
            f"{_name(one)} has shape {values.shape}; expected ({expected}).{single}"
        )
    if one.dtype == "str":
        if not all(isinstance(value, str) for value in values.flat):
            raise ValueError(f"X has values in {one.name!r} that are no texts.")
        return values.astype(object)
    wanted = np.dtype(one.dtype)
    if values.dtype == wanted:
        return np.ascontiguousarray(values)
    is_image = len(one.shape) > 1
    if not _holds(values, wanted, is_image):
        if values.dtype.kind not in "biuf":
            found = f"dtype {values.dtype}, which is not of numbers"
        else:
            found = (
                f"dtype {values.dtype} with values from {values.min():.4g} to "
                f"{values.max():.4g}"
            )
        raise ValueError(
            f"{_name(one)} has {found}; expected {wanted}, as the student was fitted "
            "on. Values of another scale would be taken for what they are not: convert "
            "X as for the fit."
        )
    with np.errstate(over="ignore"):  # infinity is refused by its name
        return np.ascontiguousarray(values, dtype=wanted)


def _name(one: Input) -> str:
    return "X" if one.name == "X" else f"X[{one.name!r}]"


def _holds(values: np.ndarray, wanted: np.dtype, is_image: bool) -> bool:
    """Tell whether `wanted` holds the same numbers, up to the digits of floats."""
    kind = values.dtype.kind
    if kind not in "biuf" or not values.size:
        return kind in "biuf"
    if wanted.kind == "f":
        # Images of 0 to 255 are not those of 0 to 1.
        return kind == "f" or not is_image
    if kind == "f":
        same = bool((values == np.rint(values)).all())
        of_unit = is_image and 0 < values.max() <= 1
        if not same or of_unit:
            return False
    if wanted.kind == "b":
        return bool(np.isin(values, (0, 1)).all())
    limits = np.iinfo(wanted)
    return bool(limits.min <= values.min() and values.max() <= limits.max)


def _check_finite(
    values: np.ndarray, gaps: tuple[int, ...] | None, column: str = ""
) -> None:
    """Raise for infinity, and for NaN in other columns than those of `gaps`."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    allowed = np.isnan(values)
    if gaps is not None:
        others = np.ones(values.shape[1], dtype=bool)
        others[[*gaps]] = False
        allowed[:, others] = False
    bad = ~(np.isfinite(values) | allowed).reshape(len(values), -1).all(axis=1)
    if bad.any():
        where = f" in column {column!r}" if column else ""
        raise ValueError(
            f"X has NaN, infinity or a value too large for {values.dtype}{where}, "
            f"first in row {int(np.flatnonzero(bad)[0])}; the student was fitted on "
            "finite values there. Impute them as for the fit."
        )
