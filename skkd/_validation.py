"""What may be passed in, and what is said where it may not."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data
from skorch.dataset import get_len
from skorch.utils import data_from_dataset, is_dataset, to_numpy
from torch.utils.data import IterableDataset

from skkd._batches import is_lazy, pair_of, row_of, unwrap


class DistillationWarning(UserWarning):
    """Something about a teacher and its student that is probably not meant."""


def check_hyperparameters(temperature: Any, alpha: Any, teacher_cv: Any) -> None:
    """Raise where a value is outside what the loss is defined for."""
    if not _is_number(temperature) or not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature={temperature!r}: expected a finite number above 0. "
            "1 leaves the teacher's probabilities as they are, 2 to 8 soften them."
        )
    if not _is_number(alpha) or not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha={alpha!r}: expected a number in [0, 1], the weight of the "
            "teacher's term: 0 trains on the labels alone, 1 on the teacher alone."
        )
    if isinstance(teacher_cv, str) and teacher_cv != "prefit":
        raise ValueError(
            f"teacher_cv={teacher_cv!r}: expected 'prefit', None, an int, a "
            "cross-validation splitter or an iterable of splits."
        )


def check_augment(
    augment: Any, teacher_cv: Any, teacher_logits: Any, teacher_X: Any
) -> None:
    """Refuse soft targets of the plain inputs for augmented ones."""
    if augment is None:
        return
    if not callable(augment):
        raise TypeError(
            f"augment={augment!r}: expected a callable, tensor to tensor, or None."
        )
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            "augment= changes the inputs, and teacher_logits= or teacher_X= would "
            "teach what was said of the unchanged ones. Leave out one of the two."
        )
    if teacher_cv is not None and not isinstance(teacher_cv, str):
        raise ValueError(
            "augment= asks one teacher about every view, and with "
            f"teacher_cv={teacher_cv!r} each fold has its own: use 'prefit' or None."
        )


def check_sample_weight(sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
    """Validate the weights of the rows, as float64."""
    if sample_weight is None:
        return None
    return _check_sample_weight(
        sample_weight, y, dtype=np.float64, ensure_non_negative=True
    )


def row_weights(
    sample_weight: np.ndarray | None,
    class_weight: Any,
    y: np.ndarray,
    labelled: np.ndarray,
) -> np.ndarray | None:
    """Return the weight of each row, float64, None where all weigh the same."""
    if class_weight is not None and labelled.any():
        by_class = np.ones(len(y))
        by_class[labelled] = compute_sample_weight(class_weight, y[labelled])
        sample_weight = by_class if sample_weight is None else sample_weight * by_class
    if sample_weight is None:
        return None
    counted = sample_weight[labelled] if labelled.any() else sample_weight
    if not counted.sum() > 0:
        raise ValueError("The weights of all labelled rows are zero: nothing to learn.")
    return sample_weight


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_inputs(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Validate `X` and remember (``reset=True``) or compare its shape.

    Arrays become NumPy arrays of their own dtype. Mappings of arrays and lazy
    datasets are left as they are.
    """
    if is_lazy(X):
        shape = _shape_of_row(X)
    elif isinstance(X, Mapping) and not hasattr(X, "toarray"):  # scipy's DOK is a dict
        get_len(X)
        shape = None
    else:
        X = _check_array(estimator, X, reset=reset)
        shape = X.shape[1:]
    if reset and not isinstance(X, np.ndarray):
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            vars(estimator).pop(name, None)
    if reset:
        estimator.input_shape_ = shape
    elif shape is not None and estimator.input_shape_ not in (None, shape):
        raise ValueError(
            f"X has rows of shape {shape}, but {type(estimator).__name__} was "
            f"fitted on rows of shape {estimator.input_shape_}."
        )
    return X


def _shape_of_row(X: Any) -> tuple[int, ...] | None:
    if isinstance(X, IterableDataset):
        raise TypeError(
            f"X is a {type(X).__name__}, an IterableDataset, whose rows have no "
            "numbers: expected a Dataset with __len__ and __getitem__."
        )
    if not len(X):
        raise ValueError(f"X is an empty {type(X).__name__}: it has no rows.")
    shape = getattr(row_of(X, 0), "shape", None)
    return None if shape is None else tuple(shape)


def _check_array(estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
    _refuse_paths(X)
    if isinstance(X, torch.Tensor) and not reset:
        # A batch, as a callback may predict it: it has no names of columns to miss.
        X = check_array(to_numpy(X), allow_nd=True, input_name="X")
    else:
        X = to_numpy(X) if isinstance(X, torch.Tensor) else X
        X = validate_data(estimator, X, reset=reset, allow_nd=True)
    # torch knows the machine's own byte order only.
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def _refuse_paths(X: Any) -> None:
    if isinstance(X, torch.Tensor) or hasattr(X, "toarray"):
        return
    if not hasattr(X, "__getitem__"):
        return
    row = np.asarray(X[:1], dtype=object).ravel()
    if len(row) == 1 and isinstance(row[0], (str, os.PathLike)):
        raise ValueError(
            f"X is a list of strings (the first is {str(row[0])!r}). Paths of images "
            "become images by ImageReader: make_pipeline(ImageReader(size=64), "
            "DistilledClassifier(...))."
        )


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
            return [np.asarray(pair_of(X, i)[1]).item() for i in range(len(X))]
    if labels is None or rows is None:
        return labels
    labels = to_numpy(labels) if isinstance(labels, torch.Tensor) else labels
    return _safe_indexing(labels, rows)


def check_labels(
    X: Any, y: Any, unlabeled: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Validate `y` and tell its labelled rows from its unlabelled ones.

    Returns
    -------
    y : ndarray of shape (n,)
    labelled : ndarray of bool, shape (n,)
    """
    if y is None:
        raise ValueError(
            "DistilledClassifier requires y to be passed, but the target y is None."
        )
    y = given = to_numpy(y) if isinstance(y, torch.Tensor) else y
    y = column_or_1d(y, warn=True)
    check_consistent_length(range(len(X)) if is_lazy(X) else _first(X), y)
    labelled = np.ones(len(y), dtype=bool)
    if unlabeled is not None:
        labelled = ~_equal_to(unlabeled, given)
    known = y[labelled]
    assert_all_finite(known, input_name="y")
    try:
        if len(known):
            check_classification_targets(known)
    except TypeError as error:  # they cannot be sorted
        kinds = sorted({type(label).__name__ for label in known})
        raise TypeError(
            f"y has labels of several types, {', '.join(kinds)}: expected labels of "
            "one. Rows without a label are marked by unlabeled=."
        ) from error
    return y, labelled


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
    return next(iter(X.values())) if isinstance(X, Mapping) else X


def find_classes(known: np.ndarray, classes: Any = None) -> np.ndarray:
    """Return the classes of a fit, from what was declared or from the labels."""
    if classes is not None:
        classes = np.asarray(classes)
        if classes.ndim != 1 or not len(classes):
            raise ValueError(f"classes={classes.tolist()}: expected a list of labels.")
        if len(np.unique(classes)) != len(classes):
            raise ValueError(f"classes={classes.tolist()} names a class twice.")
        return classes
    if not len(known):
        raise ValueError(
            "No row of y is labelled, so the classes are unknown: pass classes=[...]."
        )
    return np.unique(known)


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
    codes = np.full(len(y), -1, dtype=np.int64)
    codes[labelled] = [column[label] for label in known]
    return codes


def check_logits(logits: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Validate the teacher's logits of a fit, as float32."""
    if hasattr(logits, "columns") and set(logits.columns) == set(classes.tolist()):
        logits = logits[classes.tolist()]  # by name, whatever their order
    logits = np.asarray(
        to_numpy(logits) if isinstance(logits, torch.Tensor) else logits
    )
    expected = (n_rows, len(classes))
    if logits.shape != expected:
        raise ValueError(
            f"teacher_logits has shape {logits.shape}, expected {expected}: a row for "
            f"each row of X and a column for each class of y, in the order "
            f"{classes.tolist()[:20]}."
        )
    if logits.dtype.kind not in "fiu":
        raise ValueError(
            f"teacher_logits has dtype {logits.dtype}, expected floating point."
        )
    with np.errstate(over="ignore"):  # an infinity is reported below
        logits = logits.astype(np.float32, copy=False)
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"The teacher's logits are not finite in {int((~finite).sum())} of "
            f"{n_rows} rows (the first is row {int(np.argmin(finite))}). A logarithm "
            "of a zero probability is -inf: clip probabilities first, for instance "
            "np.log(np.clip(p, 1e-7, 1))."
        )
    return logits
