"""The parameters of a student as a file holds them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from skkd._estimator import skorch_classifier
from skkd._estimator.classifier import DistilledClassifier
from skkd._formats.container import FileRefused
from skkd._safe_file.steps import step_from_json, step_to_json
from skkd._safe_file.values import Encoder, decode
from skkd._utils.modules import describe, uncompiled
from skkd._utils.not_stored import NotStored
from skkd.students._outline import BUILDERS

# They belong to the machine, and change no result.
_OF_THE_MACHINE = (
    *("memory", "device", "torch_load_kwargs"),
    *("checkpoint", "checkpoint_every"),
)
# Without these parameters nothing can be predicted, or something else would be.
_NEEDED = ("predict_nonlinearity", "iterator_valid", "dataset")
# What `trim_for_prediction` makes of predict_nonlinearity.
_FUNCTIONS = {
    "softmax": skorch_classifier._softmax,
    "as is": skorch_classifier._as_is,
}


def params_to_json(net: Any, builder: str | None, encode: Encoder) -> dict[str, Any]:
    """Return the parameters that are not at their defaults.

    `builder` names what builds the student, if that is known of :mod:`skkd.students`.
    """
    signature = inspect.signature(DistilledClassifier).parameters
    params = {name: vars(net)[name] for name in net._get_param_names()}
    if builder is not None and params["module"] not in (None, BUILDERS[builder]):
        params = {k: v for k, v in params.items() if not k.startswith("module__")}
        config = uncompiled(net.module_).config
        known_of_data = ("n_classes", "input_shape")
        params |= {
            f"module__{k}": v for k, v in config.items() if k not in known_of_data
        }
    content = {}
    for name, value in params.items():
        known = signature.get(name)
        of_the_machine = name in _OF_THE_MACHINE and str(value) != "cpu"
        if of_the_machine or name == "module":
            continue
        if known is not None and _is_same(value, known.default):
            continue
        content[name] = _param_to_json(name, value, encode)
    return content


def _is_same(value: Any, default: Any) -> bool:
    plain = type(value) is type(default) and isinstance(value, (str, int, float))
    return value is default or (plain and value == default)


def _param_to_json(name: str, value: Any, encode: Encoder) -> Any:
    if name == "teacher":
        return {"not stored": describe(value)[:200]}
    if name == "predict_nonlinearity":
        for word, function in _FUNCTIONS.items():
            if value is function:
                return {"function": word}
    if name == "preprocessor":
        with suppress(ValueError):
            return {"step": step_to_json(f"params.{name}", value, encode)}
    return encode.or_described(value, f"params.{name}")


def params_from_json(
    content: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    given: Mapping[str, Any],
    name: str,
    own: bool,
) -> dict[str, Any]:
    """Return the parameters of a file, with those that its reader gives in their place.

    `own` tells whether the student is built without ``module__*``.
    """
    params: dict[str, Any] = {}
    for key, held in content.items():
        if key in _OF_THE_MACHINE and held != "cpu":
            raise ValueError(f"{key}={held!r}")
        if isinstance(held, dict) and "function" in held:
            params[key] = _FUNCTIONS[held["function"]]
        elif isinstance(held, dict) and "step" in held:
            params[key] = step_from_json(held["step"], tensors)
        else:
            params[key] = decode(held, tensors)
    params.update(given)
    needed = _NEEDED if own else (*_NEEDED, "module__")
    lacking = {
        k: v
        for k, v in params.items()
        if isinstance(v, NotStored) and k.startswith(needed)
    }
    if lacking:
        told = ", ".join(f"{k} ({v.description})" for k, v in lacking.items())
        remedy = ", ".join(f"{k}=..." for k in lacking)
        raise FileRefused(
            f"{name} describes and does not hold what its student needs to predict: "
            f"{told}. Pass load_student(path, {remedy})."
        )
    return params


def needed_params(net: Any, own: bool) -> dict[str, Any]:
    """Return the parameters of a net that a reader may have to pass."""
    needed = _NEEDED if own else (*_NEEDED, "module__")
    return {k: vars(net)[k] for k in net._get_param_names() if k.startswith(needed)}
