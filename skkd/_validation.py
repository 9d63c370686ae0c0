"""What may be passed in, and what is said where it may not."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import (
    check_array,
)
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data
from skorch.dataset import get_len
from skorch.utils import to_numpy
from torch.utils.data import IterableDataset

from skkd._batches import is_lazy, row_of
from skkd._random import preserved_rng


class DistillationWarning(UserWarning):
    """Something about a teacher and its student that is probably not meant."""


class TeacherWarning(DistillationWarning):
    """Something about a teacher that is probably not meant; begins with its code."""


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
    augment: Any, views: Any, teacher_cv: Any, teacher_logits: Any, teacher_X: Any
) -> None:
    """Refuse soft targets of the plain inputs for augmented ones."""
    if augment is None:
        if views is not None:
            raise ValueError(
                f"views={views!r} are views that augment= makes: pass augment=, for "
                "instance skkd.augment.Flip(), or leave out views=."
            )
        return
    if not callable(augment):
        raise TypeError(
            f"augment={augment!r}: expected a callable, tensor to tensor, or None."
        )
    if hasattr(augment, "check"):
        augment.check()
    _check_views(augment, views)
    if views == "plain":  # asked for by name
        return
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            "augment= changes the inputs, and teacher_logits= or teacher_X= would "
            "teach what was said of the unchanged ones. Leave out one of the two, or "
            "say that this is meant, with views='plain'."
        )
    if teacher_cv is not None and not isinstance(teacher_cv, str):
        raise ValueError(
            "augment= asks one teacher about every view, and with "
            f"teacher_cv={teacher_cv!r} each fold has its own: use 'prefit' or None, "
            "or views='plain', which teaches what is said of the unchanged inputs."
        )


def _check_views(augment: Any, views: Any) -> None:
    if views is None:
        return
    number = isinstance(views, Integral) and not isinstance(views, bool)
    if views != "plain" and not (number and views >= 1):
        raise ValueError(
            f"views={views!r}: expected None, a whole number of fixed views of each "
            "row, or 'plain'."
        )
    if getattr(augment, "mixes_rows", False):
        raise ValueError(
            f"augment={augment!r} mixes the rows of a batch, of which a teacher can "
            f"only be asked when there is one, and views={views!r} asks it beforehand. "
            "Leave out views=: the teacher is then asked about every batch."
        )
    if number and "seeds" not in inspect.signature(augment).parameters:
        raise ValueError(
            f"views={views} needs views that can be drawn again from a seed, and "
            f"augment={augment!r} takes no `seeds`: use an object of skkd.augment, or "
            "leave out views=."
        )


def check_steady(X: Any) -> None:
    """Refuse rows that are others each time they are read, as random views are."""
    if not is_lazy(X):
        return
    with preserved_rng():
        for i in range(min(8, len(X))):
            once, again = row_of(X, i), row_of(X, i)
            if isinstance(once, Mapping):
                once, again = [*once.values()], [*again.values()]
            if not all(map(np.array_equal, once, again)):
                raise ValueError(
                    f"Row {i} of X is another each time it is read, as with random "
                    "transforms, and the teacher would speak of a view that the "
                    "student never sees. Leave them out of the Dataset and pass "
                    "augment=, which shows both the same view."
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
        if not reset:
            _check_image_shape(estimator, tuple(getattr(X, "shape", ())))
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
    elif isinstance(X, np.ndarray) and X.ndim > 2:
        _check_image_scale(estimator, X)
    return X


def check_images(estimator: Any, X: Any) -> None:
    """Raise, or warn, where images are not such as a net was fitted on.

    Parameters
    ----------
    estimator : skorch net
        A DistilledClassifier, of others nothing is known.
    X : object
        What is no array of images passes.
    """
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) != 4 or not hasattr(estimator, "input_shape_"):
        return
    _check_image_shape(estimator, shape)
    small = isinstance(X, np.ndarray) and X.dtype.kind == "f" and np.abs(X).max() <= 1
    if small:  # augmentation may turn 0 to 255 into floats, which are no other scale
        _check_image_scale(estimator, X)


def _check_image_shape(estimator: Any, shape: tuple[int, ...]) -> None:
    fitted = estimator.input_shape_
    if fitted is not None and len(fitted) == 3 and shape and shape[1:] != fitted:
        one = " For one image pass X[None]." if shape == fitted else ""
        raise ValueError(
            f"X has shape {shape}, expected (n, {', '.join(map(str, fitted))}): "
            f"{type(estimator).__name__} was fitted on images of that shape.{one}"
        )


def _check_image_scale(estimator: Any, X: np.ndarray) -> None:
    fitted = getattr(estimator, "input_dtype_", None)
    if fitted is not None and (fitted == np.uint8) != (X.dtype == np.uint8):
        warnings.warn(
            f"X is {X.dtype} and {type(estimator).__name__} was fitted on {fitted}: "
            "images of 0 to 255 are not those of 0 to 1. Pass the same kind.",
            DistillationWarning,
            stacklevel=4,
        )


def _shape_of_row(X: Any) -> tuple[int, ...] | None:
    if isinstance(X, IterableDataset):
        raise TypeError(
            f"X is a {type(X).__name__}, an IterableDataset, whose rows have no "
            "numbers: expected a Dataset with __len__ and __getitem__."
        )
    if not len(X):
        raise ValueError(f"X is an empty {type(X).__name__}: it has no rows.")
    with preserved_rng():  # reading a row may draw
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
    if X.dtype.kind not in "biufc":
        raise ValueError(
            f"X has dtype {X.dtype}: some of its columns hold no numbers. Encode them "
            "first, for instance with OneHotEncoder or OrdinalEncoder."
        )
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
