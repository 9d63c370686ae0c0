"""The steps of a pipeline before the student, as a file holds them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import sklearn
import torch
from sklearn import (
    compose,
    decomposition,
    feature_selection,
    impute,
    pipeline,
    preprocessing,
)
from sklearn.exceptions import InconsistentVersionWarning

from skkd._safe_file.values import Encoder, NotEncodable, decode
from skkd.images import ImageReader
from skkd.tables import TablePreprocessor
from skkd.tables._categories import CategoryEncoder
from skkd.tables._numbers import DateEncoder, NumberEncoder

# Their state is numbers and text, and they call nothing that they were given.
_CLASSES = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module, names in (
        (
            preprocessing,
            (
                *("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"),
                *("Normalizer", "Binarizer", "QuantileTransformer"),
                *("PowerTransformer", "OrdinalEncoder", "OneHotEncoder"),
                *("KBinsDiscretizer", "FunctionTransformer"),  # the identity alone
            ),
        ),
        (impute, ("SimpleImputer", "MissingIndicator")),
        (decomposition, ("PCA", "TruncatedSVD")),
        (feature_selection, ("VarianceThreshold",)),
        (compose, ("ColumnTransformer",)),
        (pipeline, ("Pipeline", "FeatureUnion")),
    )
    for name in names
} | {
    "skkd.ImageReader": ImageReader,
    "skkd.tables.TablePreprocessor": TablePreprocessor,
    **{
        f"skkd.tables.{encoder.__name__}": encoder
        for encoder in (NumberEncoder, CategoryEncoder, DateEncoder)
    },
}
_NAMES = {value: name for name, value in _CLASSES.items()}
# Of the machine, without influence on values. A file never names a folder.
_OF_THE_MACHINE = ("memory", "n_jobs")


def step_to_json(name: str, step: Any, encode: Encoder) -> Any:
    """Return a fitted transformer as JSON and tensors."""
    if isinstance(step, str) or step is None:
        return step
    if type(step) not in _NAMES:
        raise ValueError(
            f"The step {name!r} is a {type(step).__name__}, which the file cannot "
            f"hold: expected one of {', '.join(c.__name__ for c in _NAMES)}. "
            "skops.io.dump(pipeline, path) writes others."
        )
    state = {}
    for key, value in vars(step).items():
        if key in _OF_THE_MACHINE:
            continue
        try:
            state[key] = _attribute_to_json(f"{name}.{key}", value, encode)
        except NotEncodable as error:
            raise ValueError(
                f"The step {name!r}, a {type(step).__name__}, cannot be held by the "
                f"file: {error}. skops.io.dump(pipeline, path) writes it."
            ) from None
    return {"type": _NAMES[type(step)], "state": state}


def step_from_json(content: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Return the transformer that `step_to_json` wrote."""
    if isinstance(content, str) or content is None:
        return content
    cls = _CLASSES[content["type"]]
    step = cls.__new__(cls)
    for key in _OF_THE_MACHINE:
        if key in inspect.signature(cls).parameters:
            vars(step)[key] = None
    for key, value in content["state"].items():
        if key in _OF_THE_MACHINE or not key.isidentifier() or key.startswith("__"):
            raise ValueError(f"an attribute {key!r}")
        vars(step)[key] = _attribute_from_json(value, tensors)
    return step


def warn_of_version(name: str, versions: Mapping[str, str]) -> None:
    """Warn as scikit-learn does if another version of it has fitted a transformer."""
    written = versions.get("scikit-learn", "")
    if written != sklearn.__version__:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=name,
                current_sklearn_version=sklearn.__version__,
                original_sklearn_version=written,
            ),
            stacklevel=2,
        )


def _attribute_to_json(place: str, value: Any, encode: Encoder) -> Any:
    """Return an attribute, which may hold transformers within lists and tuples."""
    if _is_step(value):
        return {"step": step_to_json(place, value, encode)}
    if type(value) in (list, tuple) and _holds_steps(value):
        items = [
            _attribute_to_json(f"{place}.{i}", item, encode)
            for i, item in enumerate(value)
        ]
        return {"steps": items, "tuple": type(value) is tuple}
    return {"value": encode(value, place)}


def _attribute_from_json(content: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if "step" in content:
        return step_from_json(content["step"], tensors)
    if "steps" in content:
        items = [_attribute_from_json(item, tensors) for item in content["steps"]]
        return tuple(items) if content["tuple"] else items
    value = decode(content["value"], tensors)
    if callable(value) and content["value"].keys() - {"builtin", "numpy type"}:
        raise ValueError("a step holds code")
    return value


def _is_step(value: Any) -> bool:
    known = type(value) in _NAMES or hasattr(value, "get_params")
    return known and not isinstance(value, type)


def _holds_steps(values: Any) -> bool:
    return any(
        _is_step(value) or (type(value) in (list, tuple) and _holds_steps(value))
        for value in values
    )
