"""X of a fit or a prediction: what may be passed, and errors for the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import isfinite
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, validate_data
from skorch.dataset import get_len
from skorch.utils import to_numpy
from torch.utils.data import DataLoader, IterableDataset

from skkd._data.frames import check_names_differ, explain_columns, refuse_deferred
from skkd._data.input_range import InputRange, jumps, ranges_of, wrong_scale
from skkd._data.mapped import check_mapped
from skkd._data.rows import LAZY, row_of
from skkd._utils.rng import preserved_rng
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning


class InputFacts(NamedTuple):
    """What a fit learns of X before it trains.

    Attributes
    ----------
    input_shape : tuple of int or None
        Shape of one sample; None if X is a mapping.
    input_dtype : dtype or None
    n_features_in : int or None
        None if X is no array.
    feature_names_in : ndarray of str or None
    input_range : dict of str to InputRange
        Of the values of each input, as far as there is telling it.
    preprocessor : transformer or None
        Fitted; what makes the student's inputs of X.
    """

    input_shape: tuple[int, ...] | None
    input_dtype: Any
    n_features_in: int | None
    feature_names_in: np.ndarray | None
    input_range: Mapping[str, InputRange]
    preprocessor: Any = None

    def set_on(self, net: Any) -> None:
        """Set these facts as fitted attributes, those of an earlier fit removed."""
        net.input_shape_, net.input_dtype_ = self.input_shape, self.input_dtype
        net.input_range_ = self.input_range
        for name in ("n_features_in", "feature_names_in", "preprocessor"):
            value = getattr(self, name)
            vars(net).pop(f"{name}_", None)
            if value is not None:
                vars(net)[f"{name}_"] = value


def read_inputs(net: Any, X: Any) -> tuple[Any, InputFacts]:
    """Validate X of a first fit; the net is not changed.

    Arrays and data frames become NumPy arrays of their own dtype, sparse ones CSR.
    Mappings of arrays and lazy datasets are left as they are.
    """
    if getattr(X, "base", None) is not None:  # a view, maybe of a file
        check_mapped(X)
    dtype = getattr(X, "dtype", None)
    if isinstance(X, LAZY):
        return X, InputFacts(_shape_of_sample(X), dtype, None, None, ranges_of(X))
    if _is_mapping(X):
        _check_lengths(X)
        return X, InputFacts(None, dtype, None, None, ranges_of(X))
    if not hasattr(X, "shape"):
        refuse_iterables(X)
    refuse_paths(X)
    if hasattr(X, "columns"):
        check_names_differ(X)
    names = SimpleNamespace()  # scikit-learn writes on an estimator
    _check_feature_names(names, X, reset=True)
    X = to_numpy(X) if isinstance(X, torch.Tensor) else X
    try:
        options = {"allow_nd": True, "accept_sparse": "csr", "input_name": "X"}
        X = check_numbers(check_array(X, estimator=net, **options))
    except (TypeError, ValueError) as error:
        seen = error if type(error) is TypeError else explain_columns(X, error, "X")
        raise _with_preprocessor(net, _with_name(seen)) from error
    X = _short_indices(X) if hasattr(X, "indptr") else X
    named = getattr(names, "feature_names_in_", None)
    return X, InputFacts(X.shape[1:], X.dtype, X.shape[1], named, ranges_of(X))


def check_inputs(net: Any, X: Any, *, to_train: bool = False) -> Any:
    """Validate X of a fitted net: as :func:`read_inputs`, and of the same shape.

    With `to_train` of any range: `partial_fit` may be given one class at a time.
    """
    if getattr(X, "base", None) is not None:  # a view, maybe of a file
        check_mapped(X)
    if _is_mapping(X):
        _check_lengths(X)
        check_scale(net, X, to_train)
        return X
    if isinstance(X, LAZY):
        shape = _shape_of_sample(X)
    else:
        _check_image_shape(net, tuple(getattr(X, "shape", ())))
        refuse_iterables(X)
        refuse_paths(X)
        if isinstance(X, torch.Tensor):
            # A batch, as a callback may predict it: it has no names of columns to miss.
            X = check_array(to_numpy(X), allow_nd=True, input_name="X")
            X = check_numbers(X)
        elif not _is_in_order(net, X):
            X = _validate(net, X)
        shape = X.shape[1:]
    if shape is not None and net.input_shape_ not in (None, shape):
        raise ValueError(
            f"X has rows of shape {shape}, but {type(net).__name__} was "
            f"fitted on rows of shape {net.input_shape_}."
        )
    check_scale(net, X, to_train)
    return X


def _validate(net: Any, X: Any) -> Any:
    if hasattr(X, "columns"):
        check_names_differ(X)
    try:
        options = {"allow_nd": True, "accept_sparse": "csr"}
        return check_numbers(validate_data(net, X, reset=False, **options))
    except (TypeError, ValueError) as error:
        seen = explain_columns(X, error, "X")
        raise _with_preprocessor(net, _with_name(seen)) from error


def _check_lengths(X: Any) -> None:
    """Raise if the inputs of a mapping do not have the same number of rows."""
    check_mapped(X)
    try:
        get_len(X)
    except ValueError as error:
        lengths = {name: get_len(values) for name, values in X.items()}
        raise ValueError(
            f"X has inputs of {lengths} rows: expected as many in each."
        ) from error


def _with_name(error: Exception) -> Exception:
    """Say of what NumPy cannot make an array that it is X."""
    if "inhomogeneous" in str(error):
        return ValueError(
            "X has rows of several lengths: expected an array (n, n_features), or of "
            f"images of one size. {error}"
        )
    if type(error) is TypeError and "float()" in str(error):
        return TypeError(f"X holds objects that are no numbers: {error}.")
    return error


def _is_in_order(net: Any, X: Any) -> bool:
    """Tell whether :func:`_validate` would return X as it is.

    scikit-learn takes longer over a row than the student does.
    """
    if type(X) is not np.ndarray or X.dtype.kind not in "biuf" or not X.dtype.isnative:
        return False
    known = vars(net)
    if X.ndim < 2 or not X.size or X.shape[1] != known.get("n_features_in_"):
        return False
    if "feature_names_in_" in known:
        return False
    # NaN is the least and the largest of all.
    return X.dtype.kind != "f" or (isfinite(X.min()) and isfinite(X.max()))


def widen_range(net: Any, X: Any) -> None:
    """Take the samples of a further fit into what a net has been fitted on."""
    more, seen = ranges_of(X), getattr(net, "input_range_", {})
    if jumps(more, seen):
        warn(
            f"X is on another scale than in the fit before, which "
            f"{type(net).__name__} goes on with: scale it in the same way, or begin "
            "anew by fit, with warm_start=False.",
            DistillationWarning,
        )
    merged = {k: seen[k].merged(one) if k in seen else one for k, one in more.items()}
    net.input_range_ = {**seen, **merged}


def _with_preprocessor(net: Any, error: Exception) -> Exception:
    """Add what to do about what a table may hold and a student does not take."""
    holes = any(word in str(error) for word in ("NaN", "column", "convert string"))
    if not holes or not hasattr(net, "preprocessor"):
        return error
    teacher = ", while the teacher takes X as it is" if net.teacher is not None else ""
    return type(error)(
        f"{error} Or let preprocessor='auto' make the student's numbers of a "
        f"table{teacher}."
    )


def check_images(net: Any, X: Any) -> None:
    """Raise, or warn, if images are not such as a net was fitted on."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) != 4 or not hasattr(net, "input_shape_"):
        return
    _check_image_shape(net, shape)
    small = isinstance(X, np.ndarray) and X.dtype.kind == "f" and np.abs(X).max() <= 1
    if small:  # augmentation may turn 0 to 255 into floats, which are no other scale
        _check_image_scale(net, X)


def check_repeatable(X: Any) -> None:
    """Refuse samples that differ each time they are read, as random views do."""
    if not isinstance(X, LAZY):
        return
    with preserved_rng():
        for i in range(min(8, len(X))):  # type: ignore[arg-type]
            once, again = row_of(X, i), row_of(X, i)
            if isinstance(once, Mapping):
                once, again = [*once.values()], [*again.values()]
            if not all(map(np.array_equal, once, again)):
                raise ValueError(
                    f"Row {i} of X is another each time it is read, as with random "
                    "transforms, and the teacher would get a view that the "
                    "student never sees. Leave them out of the Dataset and pass "
                    "augment=, which shows both the same view."
                )


def _short_indices(X: Any) -> Any:
    """Return a sparse array with indices of 32 bits, as most teachers want them."""
    if X.indptr.dtype == X.indices.dtype == np.int32 or max(X.nnz, *X.shape) >= 2**31:
        return X
    parts = (X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32))
    return type(X)(parts, shape=X.shape)


def _is_mapping(X: Any) -> bool:
    return isinstance(X, Mapping) and not hasattr(X, "toarray")  # scipy's DOK is a dict


def _check_image_shape(net: Any, shape: tuple[int, ...]) -> None:
    fitted = getattr(net, "input_shape_", None)
    if fitted is not None and len(fitted) == 3 and shape and shape[1:] != fitted:
        one = " For one image pass X[None]." if shape == fitted else ""
        raise ValueError(
            f"X has shape {shape}, expected (n, {', '.join(map(str, fitted))}): "
            f"{type(net).__name__} was fitted on images of that shape.{one}"
        )


def _check_image_scale(net: Any, X: np.ndarray) -> bool:
    fitted = getattr(net, "input_dtype_", None)
    if fitted is None or (fitted == np.uint8) == (X.dtype == np.uint8):
        return True
    # Whole numbers, and floats of 0 to 255, may be the same: their range tells.
    is_known = bool(getattr(net, "input_range_", {}))
    if is_known and not (X.dtype.kind == "f" and X.size and np.abs(X).max() <= 1):
        return True
    warn(
        f"X is {X.dtype} and {type(net).__name__} was fitted on {fitted}: "
        "images of 0 to 255 are not those of 0 to 1. Pass the same kind.",
        DistillationWarning,
    )
    return False


def check_scale(net: Any, X: Any, to_train: bool) -> None:
    """Warn of inputs on another scale than those of the fit."""
    is_images = isinstance(X, np.ndarray) and X.ndim > 2
    if (is_images and not _check_image_scale(net, X)) or to_train:
        return
    wrong = wrong_scale(X, getattr(net, "input_range_", {}))
    if wrong:
        is_table = len(getattr(net, "input_shape_", None) or ()) == 1
        is_table = is_table and getattr(net, "preprocessor_", None) is None
        remedy = (
            ", best of all in one Pipeline: make_pipeline(StandardScaler(), student)"
        )
        warn(
            f"{wrong}: {type(net).__name__} was fitted on another scale. Scale X as in "
            f"fit{remedy if is_table else ''}.",
            DistillationWarning,
        )


def _shape_of_sample(X: Any) -> tuple[int, ...] | None:
    if isinstance(X, IterableDataset):
        raise TypeError(
            f"X is a {type(X).__name__}, an IterableDataset, whose rows have no "
            "numbers: expected a Dataset with __len__ and __getitem__."
        )
    if not len(X):
        raise ValueError(f"X is an empty {type(X).__name__}: it has no rows.")
    with preserved_rng():  # reading a sample may draw
        shape = getattr(row_of(X, 0), "shape", None)
    return None if shape is None else tuple(shape)


def check_numbers(X: np.ndarray) -> np.ndarray:
    """Return an array as torch takes it; ValueError if it holds no numbers."""
    if X.dtype.kind not in "biufc":
        raise ValueError(
            f"X has dtype {X.dtype}: some of its columns hold no numbers. Encode them "
            "first, for instance with OneHotEncoder or OrdinalEncoder."
        )
    # torch knows the machine's own byte order only.
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def refuse_iterables(X: Any) -> None:
    """Refuse what is not in memory, gives batches, or was rows of a Dataset."""
    if isinstance(X, list):
        first = X[0] if X else None
        is_pair = isinstance(first, tuple) and len(first) == 2 and np.ndim(first[0]) > 0
        if is_pair:
            raise TypeError(
                "X is a list of pairs, input and label, as scikit-learn's searches and "
                "cross_val_score make of a torch Dataset: pass SliceDataset(dataset), "
                "from skorch.helper, as X, and the labels as y."
            )
    elif isinstance(X, DataLoader) or hasattr(X, "__next__"):
        raise TypeError(
            f"X is a {type(X).__name__}, which gives batches in an order of its own: "
            "expected arrays, or a torch Dataset, as of loader.dataset, in batches of "
            "batch_size=. In a search pass SliceDataset(dataset), from skorch.helper, "
            "as X, and the labels as y."
        )
    elif hasattr(X, "collect"):
        refuse_deferred(X)


def refuse_paths(X: Any) -> None:
    """Refuse names of image files."""
    if isinstance(X, torch.Tensor) or hasattr(X, "toarray"):
        return
    if isinstance(X, np.ndarray) and X.dtype.kind in "biufc":
        return
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(
            f"X={str(X)!r} is one string: expected rows. Read a table before, as by "
            "pandas.read_csv; of images pass a list of paths to ImageReader."
        )
    if not hasattr(X, "__getitem__"):
        return
    first = np.asarray(X[:1], dtype=object).ravel()
    if len(first) == 1 and isinstance(first[0], (str, os.PathLike)):
        raise ValueError(
            f"X is a list of strings (the first is {str(first[0])!r}). Paths of images "
            "become images by ImageReader: make_pipeline(ImageReader(size=64), "
            "DistilledClassifier(...))."
        )
