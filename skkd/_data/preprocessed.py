"""X of a student that has a preprocessor: as it was passed, and as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from skorch.utils import to_numpy

from skkd._data.frames import check_names_differ, explain_columns, is_frame
from skkd._data.input_range import ranges_of
from skkd._data.inputs import (
    InputFacts,
    check_numbers,
    check_scale,
    refuse_iterables,
)
from skkd._data.rows import LAZY, len_of
from skkd._utils.modules import describe

# Of a table anything, as it is the preprocessor's affair.
_ANY = {"dtype": None, "ensure_all_finite": False, "allow_nd": True}


def read_table(net: Any, X: Any) -> tuple[Any, InputFacts]:
    """Validate X of a first fit, which a preprocessor is fitted on.

    Tables stay as they are; the shape of what the student gets is not known yet.
    """
    X = _as_array(X)
    known = _Names()
    if is_frame(X):
        check_names_differ(X)
        validate_data(known, X, skip_check_array=True)
    else:
        X = validate_data(known, X, accept_sparse="csr", **_ANY)
    if not (X.shape[0] and X.shape[1]):
        raise ValueError(
            f"X is a table of {X.shape[0]} rows and {X.shape[1]} columns: expected one "
            "of each at least."
        )
    names = getattr(known, "feature_names_in_", None)
    return X, InputFacts(None, None, X.shape[1], names, ranges_of(X))


def check_table(net: Any, X: Any, *, to_train: bool = False) -> Any:
    """Validate X of a fitted net: the columns of the fit, in their order."""
    X = _as_array(X)
    if is_frame(X):
        check_names_differ(X)
        validate_data(net, X, reset=False, skip_check_array=True)
    else:
        X = validate_data(net, X, reset=False, accept_sparse="csr", **_ANY)
    check_scale(net, X, to_train)
    return X


def student_inputs(net: Any, X: Any) -> Any:
    """Return X as the student takes it.

    Datasets hold what the student takes already, and so do tensors in a fit: they are
    batches, as a callback may predict them.
    """
    if isinstance(X, LAZY):
        return X
    if isinstance(X, torch.Tensor) and net._objective_ is not None:
        return to_numpy(X)
    X = check_table(net, X)
    numbers = numbers_of_student(net.preprocessor_, net.preprocessor_.transform(X), X)
    if numbers.shape[1:] != net.input_shape_:
        raise ValueError(
            f"preprocessor={describe(net.preprocessor_)} gives rows of shape "
            f"{numbers.shape[1:]}, and in fit it gave {net.input_shape_}."
        )
    return numbers


def numbers_of_student(preprocessor: Any, out: Any, X: Any) -> Any:
    """Check what a preprocessor made of X, and return it as an array."""
    what = f"X, as preprocessor={describe(preprocessor)} makes it,"
    try:
        options = {"allow_nd": True, "accept_sparse": "csr"}
        numbers = check_numbers(check_array(out, input_name=what, **options))
    except (TypeError, ValueError) as error:
        seen = explain_columns(out, error, what) if is_frame(out) else error
        raise ValueError(f"{seen}{_first_gap(preprocessor, out)}") from error
    if len(numbers) != len_of(X):
        raise ValueError(
            f"{what} has {len(numbers)} rows, expected {len_of(X)}: a preprocessor may "
            "not add rows, or leave some out."
        )
    return numbers


def _first_gap(preprocessor: Any, out: Any) -> str:
    """Return which column of the output has a gap, and what to do."""
    is_float = isinstance(out, np.ndarray) and out.ndim == 2 and out.dtype.kind == "f"
    if not is_float or not np.isnan(out).any():
        return ""
    place = int(np.isnan(out).any(axis=0).argmax())
    name = f"column {place}"
    with suppress(Exception):  # whatever a transformer has no names for
        name = f"column {preprocessor.get_feature_names_out()[place]!r}"
    return (
        f" It leaves gaps in {name}: add a step that fills them in, for instance "
        "make_pipeline(preprocessor, SimpleImputer())."
    )


def _as_array(X: Any) -> Any:
    refuse_iterables(X)
    if isinstance(X, torch.Tensor):
        return to_numpy(X)
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):
        raise TypeError(
            f"X is a {type(X).__name__}, expected a table or an array, as in fit: of a "
            "dict of columns pandas.DataFrame(X) is one."
        )
    if isinstance(X, list):
        # Rows of text and numbers: NumPy would make text of all of them.
        values = np.asarray(X)
        return values if values.dtype.kind in "biuf" else np.array(X, dtype=object)
    return X


class _Names(BaseEstimator):
    """What scikit-learn writes names and number of columns on."""
