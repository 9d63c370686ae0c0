"""Labels of any type, and the numbers that a network makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.multiclass import check_classification_targets
from skorch.utils import data_from_dataset, is_dataset, to_numpy

from skkd._data.batches import unwrap
from skkd._data.frames import refuse_deferred
from skkd._data.rows import LAZY, pair_of
from skkd._data.weights import check_sample_weight
from skkd._utils.rng import preserved_rng


def labels_of(X: Any, y: Any) -> Any:
    """Return the labels of a fit: `y`, or those inside a torch Dataset."""
    if y is not None or not is_dataset(X):
        return y
    base, rows = unwrap(X)
    try:
        labels = data_from_dataset(base)[1]
    except AttributeError:
        # As torchvision's datasets, whose items may be costly, have them.
        labels = getattr(base, "targets", None)
        transformed = getattr(base, "target_transform", None) is not None
        if labels is None or transformed or len(labels) != len(base):
            with preserved_rng():  # reading a row may draw
                return [np.asarray(pair_of(X, i)[1]).item() for i in range(len(X))]
    if labels is None or rows is None:
        return labels
    labels = to_numpy(labels) if isinstance(labels, torch.Tensor) else labels
    return _safe_indexing(labels, rows)


def check_labels(
    X: Any, y: Any, unlabeled: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Validate `y` and tell its labelled rows from its unlabelled ones."""
    if y is None:
        raise ValueError(
            "DistilledClassifier requires y to be passed, but the target y is None."
        )
    y = given = to_numpy(y) if isinstance(y, torch.Tensor) else y
    shape: Any = _shape_of(y) if isinstance(y, list) else getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape}: expected one "
            "label for each row of X. Of one-hot rows pass y.argmax(axis=1); rows with "
            "several labels are not supported."
        )
    try:
        y = column_or_1d(y, warn=True)
    except ValueError as error:
        raise ValueError(
            f"y holds no labels, one for each row of X: {error} Rows with several "
            "labels are not supported."
        ) from error
    if hasattr(X, "collect"):
        refuse_deferred(X)
    samples: Any = range(len(X)) if isinstance(X, LAZY) else _first(X)  # type: ignore[arg-type]
    try:
        check_consistent_length(samples, y)
    except ValueError as error:
        raise ValueError(
            f"{error}: y has {len(y)} labels, expected one for each row of X."
        ) from error
    labelled = np.ones(len(y), dtype=bool)
    if unlabeled is not None:
        labelled = ~_equal_to(unlabeled, given)
    plain = isinstance(given, np.ndarray) and labelled.all()
    known = y if plain else known_labels(y, labelled, given)
    try:
        assert_all_finite(known, input_name="y")
        if len(known):
            check_classification_targets(known)
    except (TypeError, ValueError) as error:
        _explain_missing(given, labelled, error)
        kinds = sorted({type(label).__name__ for label in known.tolist()})
        if isinstance(error, ValueError) and not {"int", "str"} <= {*kinds}:
            raise
        # They cannot be sorted.
        raise TypeError(
            f"y has labels of several types, {', '.join(kinds)}: expected labels of "
            "one. Rows without a label are marked by unlabeled=."
        ) from error
    if labelled.all():
        return known, labelled
    if y.dtype.kind == "O" and known.dtype.kind in "biu":  # as pandas' own do
        y = np.full(len(y), np.nan)
        y[labelled] = known
    return y, labelled


def _shape_of(y: list[Any]) -> tuple[int, ...]:
    try:
        return np.shape(y)
    except ValueError as error:  # lists of several lengths
        raise ValueError(
            f"y is a list of {type(y[0]).__name__}s of several lengths: expected one "
            "label for each row of X; rows with several labels are not supported. "
            f"{error}"
        ) from error


def known_labels(y: np.ndarray, labelled: np.ndarray, given: Any) -> np.ndarray:
    """Return the labels of the labelled rows of `y`, in the type that `given` has.

    NumPy makes floats, or objects, of whole numbers and bools in nullable dtypes.
    """
    known = y[labelled]
    if y.dtype.kind not in "fO":
        return known
    dtype = getattr(given, "dtype", None)
    if isinstance(dtype, np.dtype) and y.dtype == dtype and labelled.all():
        return known
    values = np.array(_as_list(given), dtype=object)[labelled]
    kinds = {type(value) for value in values.tolist()}
    if kinds == {bool}:
        return known.astype(bool)
    whole = kinds == {int}
    return known.astype(getattr(dtype, "numpy_dtype", int)) if whole else known


def _as_list(labels: Any) -> list[Any]:
    for method in ("to_pylist", "to_list"):  # of pyarrow, of polars and pandas
        if hasattr(labels, method):
            return getattr(labels, method)()
    return np.asarray(labels, dtype=object).ravel().tolist()


def _explain_missing(given: Any, labelled: np.ndarray, error: Exception) -> None:
    """Raise, if labels are missing, an error that says so."""
    values = np.asarray(given, dtype=object).ravel()
    missing = [i for i in np.flatnonzero(labelled) if _is_missing(values[i])]
    if missing:
        raise ValueError(
            f"{len(missing)} rows of y have no label (None, NaN or NA), the first is "
            f"row {missing[0]}: leave them out, or let the teacher alone teach them, "
            f"DistilledClassifier(unlabeled=float('nan')). {error}"
        ) from error


def _equal_to(unlabeled: Any, y: Any) -> np.ndarray:
    """Tell which labels equal `unlabeled`; NaN stands for whatever is missing."""
    # As they were given: NumPy makes strings of all of ["cat", "dog", -1].
    values = np.asarray(y, dtype=object).ravel()
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    if _is_missing(unlabeled):
        equal = missing
    else:
        equal = np.zeros(len(values), dtype=bool)
        equal[~missing] = [bool(value == unlabeled) for value in values[~missing]]
    if not equal.any() and str(unlabeled) in {str(value) for value in values}:
        raise ValueError(
            f"unlabeled={unlabeled!r} is no label of y, but the "
            f"{type(values[0]).__name__} {str(unlabeled)!r} is: did NumPy turn it into "
            "a string? Pass y as a list or with dtype=object, or unlabeled= of the "
            "type of y."
        )
    return equal


def _is_missing(value: Any) -> bool:
    return value is None or is_pandas_na(value) or bool(value != value)


def _first(X: Any) -> Any:
    is_mapping = isinstance(X, Mapping) and not hasattr(X, "toarray")
    return next(iter(X.values())) if is_mapping else X


def find_classes(known: np.ndarray, classes: Any = None) -> np.ndarray:
    """Return the sorted classes of a fit, from what was declared or from the labels."""
    if classes is not None:
        classes = np.asarray(classes)
        if classes.ndim != 1 or not len(classes):
            raise ValueError(f"classes={classes.tolist()}: expected a list of labels.")
        if len(np.unique(classes)) != len(classes):
            raise ValueError(f"classes={classes.tolist()} names a class twice.")
        return np.unique(classes)
    if not len(known):
        raise ValueError(
            "No row of y is labelled, so the classes are unknown: pass classes=[...]."
        )
    found = np.unique(known)
    if len(found) < 2:
        raise ValueError(
            f"y has one class only, {found.tolist()[0]!r}: expected two or more. If y "
            "lacks the others here, as in a fold or a first partial_fit, declare all "
            "of them, classes=[...]."
        )
    return found


def encode_labels(
    y: np.ndarray, labelled: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Return the column of each row's class, int64, -1 for unlabelled rows."""
    column = {label: i for i, label in enumerate(classes.tolist())}
    known = y[labelled].tolist()
    unknown = sorted({str(label) for label in known if label not in column})
    if unknown:
        raise ValueError(
            f"y has labels outside the known classes: {', '.join(unknown[:10])}. "
            f"Known are {classes.tolist()[:20]}. Classes are fixed by the first fit, "
            "or by classes=[...]."
        )
    y_encoded = np.full(len(y), -1, dtype=np.int64)
    y_encoded[labelled] = [column[label] for label in known]
    return y_encoded


def labelled_accuracy(
    predict: Callable[[Any], np.ndarray],
    X: Any,
    y: Any,
    unlabeled: Any,
    sample_weight: Any = None,
) -> float:
    """Return the accuracy of `predict` over the labelled rows."""
    y, labelled = check_labels(X, labels_of(X, y), unlabeled)
    if not labelled.any():
        why = f"No row of y is labelled (all equal unlabeled={unlabeled!r})"
        raise ValueError(
            f"{why if len(y) else 'X and y have no rows'}: there is nothing to score."
        )
    sample_weight = check_sample_weight(sample_weight, y)
    weight = None if sample_weight is None else sample_weight[labelled]
    predicted = predict(X)[labelled]
    return accuracy_score(y[labelled], predicted, sample_weight=weight)
