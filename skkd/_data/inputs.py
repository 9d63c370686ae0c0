"""X of a fit or a prediction: what may be passed, and what is said of the rest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.utils import (
    check_array,
)
from sklearn.utils.validation import validate_data
from skorch.dataset import get_len
from skorch.utils import to_numpy
from torch.utils.data import IterableDataset

from skkd._data.rows import is_lazy, row_of
from skkd._utils.rng import preserved_rng
from skkd.exceptions import DistillationWarning


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
