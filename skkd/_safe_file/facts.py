"""What a fit has learnt of the data, and its history, as a file holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History

from skkd._data.input_range import InputRange
from skkd._data.inputs import InputFacts
from skkd._formats.classes import classes_from_json, classes_to_json
from skkd._safe_file.steps import step_from_json, step_to_json
from skkd._safe_file.values import Encoder, decode


def facts_to_json(net: Any, encode: Encoder) -> dict[str, Any]:
    """Return classes, shape and range of the inputs of a fitted net."""
    ranges = {k: tuple(v) for k, v in getattr(net, "input_range_", {}).items()}
    return {
        "classes": classes_to_json(net.classes_inferred_),
        "input_shape": encode(net.input_shape_, "input_shape"),
        "input_dtype": encode(_dtype(net.input_dtype_), "input_dtype"),
        "n_features_in": vars(net).get("n_features_in_"),
        "feature_names_in": encode(vars(net).get("feature_names_in_"), "names"),
        "input_range": encode(ranges, "input_range"),
        "preprocessor": step_to_json("preprocessor", net.preprocessor_, encode),
    }


def set_facts(
    net: Any, content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Set the fitted attributes that `facts_to_json` wrote."""
    ranges = decode(content["input_range"], tensors)
    facts = InputFacts(
        decode(content["input_shape"], tensors),
        decode(content["input_dtype"], tensors),
        content["n_features_in"],
        decode(content["feature_names_in"], tensors),
        {name: InputRange(*values) for name, values in ranges.items()},
        step_from_json(content["preprocessor"], tensors),
    )
    facts.set_on(net)
    net.classes_inferred_ = classes_from_json(content["classes"])


def history_to_json(history: History, encode: Encoder) -> list[Any]:
    """Return what was recorded of each epoch, without the batches."""
    plain = (bool, int, float, str, np.generic)
    rows = [{k: v for k, v in row.items() if isinstance(v, plain)} for row in history]
    return [
        {k: encode(getattr(v, "item", lambda v=v: v)(), k) for k, v in row.items()}
        for row in rows
    ]


def history_from_json(content: list[Any]) -> History:
    """Return a history of epochs without batches."""
    history = History()
    for row in content:
        history.new_epoch()
        for name, value in row.items():
            history.record(name, decode(value, {}))
    return history


def _dtype(dtype: Any) -> Any:
    # That of a torch Dataset may be torch's.
    return dtype if dtype is None or isinstance(dtype, np.dtype) else str(dtype)
