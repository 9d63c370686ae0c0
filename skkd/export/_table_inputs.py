"""The columns of a table as the inputs of a file that begins with a TablePreprocessor.

Numbers are float64, as the preprocessor computes; categories are texts, or float64 if
their levels are numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd._data.columns import levels_of, named_columns, numbers_of
from skkd._data.frames import is_frame, names_of
from skkd._formats.onnx_metadata import as_text
from skkd.tables import TablePreprocessor
from skkd.tables._categories import CategoryEncoder
from skkd.tables._numbers import DateEncoder, NumberEncoder


def preprocessor_inputs(
    preprocessor: TablePreprocessor, X: Any
) -> tuple[str, dict[str, np.ndarray]]:
    """Return the kind and the inputs of a file, from a table.

    Raises
    ------
    ValueError
        If a column is of a kind that a file has no input for.
    """
    encoders, columns = preprocessor.encoders_, named_columns(X)
    for encoder in encoders:
        check_encoder(encoder)
    if not is_frame(X):
        if not all(isinstance(encoder, NumberEncoder) for encoder in encoders):
            raise ValueError(
                "X is an array with categories, and a file has an input for each "
                "column, under its name: fit on a DataFrame, and pass one as "
                "X_calibration."
            )
        values = [numbers_of(column, name) for name, column in columns]
        return "array", {"X": np.column_stack(values)}
    names = [str(name) for name in names_of(X)]
    return "columns", {
        name: _values(encoder, column)[:, None]
        for name, encoder, (_, column) in zip(names, encoders, columns, strict=True)
    }


def check_encoder(encoder: Any) -> None:
    """Raise ValueError, with the name of the column, if a file cannot compute it."""
    if isinstance(encoder, DateEncoder):
        raise _refusal(encoder, "dates")
    if not isinstance(encoder, CategoryEncoder):
        return
    levels = [*encoder.number]
    if holds_texts(encoder):
        if "" in levels:
            raise _refusal(encoder, "the empty text, which stands for a gap in a file")
        odd = [level for level in levels if not isinstance(level, str)]
    else:
        odd = [level for level in levels if not _is_float(level)]
    if odd:
        kinds = sorted({type(level).__name__ for level in levels})
        raise _refusal(encoder, f"levels such as {odd[0]!r:.40} ({', '.join(kinds)})")


def holds_texts(encoder: CategoryEncoder) -> bool:
    """Tell whether the levels of a column are texts, and not numbers."""
    return float not in encoder.kinds


def _values(encoder: Any, column: Any) -> np.ndarray:
    if isinstance(encoder, NumberEncoder):
        return numbers_of(column, encoder.name)
    codes, levels = levels_of(column, encoder.name)
    if holds_texts(encoder):
        values = [as_text(level) for level in [*levels, None]]
        return np.array(values, dtype=object)[codes]  # code -1 is the last
    return np.array([*levels, np.nan], dtype=np.float64)[codes]


def _is_float(level: Any) -> bool:
    try:
        return bool(float(level) == level)  # not of an int that no float is
    except (TypeError, ValueError, OverflowError):
        return False


def _refusal(encoder: Any, what: str) -> ValueError:
    return ValueError(
        f"{encoder.name} holds {what}: a file takes numbers, texts, or categories that "
        "are all of one of these. Make such of it before the fit, or leave it out."
    )
