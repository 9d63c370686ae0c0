"""In which columns of a table a gap is filled before it reaches the student."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from skkd._data.frames import is_frame, names_of
from skkd.exceptions import DistillationWarning
from skkd.export._columns import _copy, _get, _set
from skkd.export._fitted import Fitted
from skkd.export._samples import Samples

_MANY = 1000  # columns; of more it is not tried out


def columns_with_gaps(fitted: Fitted, samples: Samples) -> tuple[int, ...] | None:
    """Return the columns, or inputs, of the file in which NaN may be.

    A column may have gaps if the steps before the student make finite values of a
    sample with a gap in it. None if that is not known.
    """
    if not fitted.steps:
        return ()
    X = samples.X
    unchanging = is_frame(X) and not hasattr(X, "iloc")  # as polars
    if unchanging or X.shape[1] > _MANY:
        return None
    filled = [
        j for j in range(X.shape[1]) if _takes_gaps(X, j) and _is_filled(fitted, X, j)
    ]
    if samples.kind == "array":
        return tuple(filled)
    names = [str(name) for name in names_of(X)]
    inputs = [one.name for one in samples.inputs]
    return tuple(inputs.index(names[j]) for j in filled if names[j] in inputs)


def _takes_gaps(X: Any, j: int) -> bool:
    column = _get(X, j)
    is_extension = not isinstance(column.dtype, np.dtype)  # as categories are
    return is_extension or np.asarray(column).dtype.kind in "fO"


def _is_filled(fitted: Fitted, X: Any, j: int) -> bool:
    row = _copy(_safe_indexing(X, [0], axis=0))
    try:
        _set(row, 0, j, np.nan)
        with warnings.catch_warnings():
            # Of a gap where the fit had none, which a file could not tell.
            warnings.simplefilter("error", DistillationWarning)
            for _, step in fitted.steps:
                row = step.transform(row)
        values = np.asarray(row.toarray() if hasattr(row, "toarray") else row, float)
    except (
        ValueError,
        TypeError,
        DistillationWarning,
    ):  # it refuses gaps, or texts are no numbers
        return False
    return bool(np.isfinite(values).all())
