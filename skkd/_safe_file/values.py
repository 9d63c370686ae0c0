"""Parameters and attributes as JSON and tensors, and back."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from skkd._formats.classes import classes_from_json, classes_to_json
from skkd._utils.modules import describe
from skkd._utils.not_stored import NotStored
from skkd.augment import Augmentation
from skkd.losses import DistillationLoss

# Modules whose public classes a file may name, and what these must be. No other code
# is ever reached from a file.
_CLASSES: dict[str, type] = {
    "torch.optim": torch.optim.Optimizer,
    "torch.nn": torch.nn.Module,
    "torch.utils.data": torch.utils.data.DataLoader,
}
_OBJECTS: dict[str, type] = {
    "skkd.losses": DistillationLoss,
    "skkd.augment": Augmentation,
}


# What scikit-learn's `dtype=` may be, besides the types of NumPy.
_BUILTINS: dict[str, type] = {t.__name__: t for t in (bool, int, float, str, object)}


class NotEncodable(ValueError):
    """A value that is neither text nor numbers."""


class Encoder:
    """Turns values into JSON; arrays of numbers go into `tensors` by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def __call__(self, value: Any, place: str) -> Any:
        """Return what JSON holds of a value, or raise NotEncodable.

        `place` says where it belongs; arrays are stored under this name.
        """
        if value is None or isinstance(value, (bool, str)) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), place)}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, type) and issubclass(value, np.generic):
            return {"numpy type": np.dtype(value).str}
        if isinstance(value, type) and value in _BUILTINS.values():
            return {"builtin": value.__name__}
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if type(value) is set:
            return {"set": [self(item, place) for item in sorted(value, key=repr)]}
        if type(value) in (list, tuple):
            items = [self(item, f"{place}.{i}") for i, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict:
            keys = [self(key, place) for key in value]
            values = self([*value.values()], place)
            return {"dict": [*map(list, zip(keys, values, strict=True))]}
        if isinstance(value, NotStored):
            return {"not stored": value.description}
        return self._code(value, place)

    def or_described(self, value: Any, place: str) -> Any:
        """Return what JSON holds of a value; a description if it cannot be held."""
        try:
            return self(value, place)
        except NotEncodable:
            text = getattr(value, "__name__", None) or describe(value)
            return {"not stored": str(text)[:200]}

    def _array(self, value: np.ndarray, place: str) -> Any:
        if value.dtype.kind == "U":
            flat = classes_to_json(value.ravel())
            return {"texts": flat, "shape": list(value.shape)}
        if value.dtype.kind == "O":
            items = self(value.ravel().tolist(), place)
            return {"objects": items, "shape": list(value.shape)}
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
        # Matrices in Fortran's order may be multiplied to other last digits.
        fortran = value.ndim > 1 and value.flags.f_contiguous
        try:
            plain = np.array(value.T if fortran else value, order="C")
            self.tensors[place] = torch.from_numpy(plain)
        except TypeError as error:
            raise NotEncodable(f"{place}: {error}") from None
        return {"array": place, "fortran": fortran}

    def _code(self, value: Any, place: str) -> Any:
        for module, base in _CLASSES.items():
            if isinstance(value, type) and _find(module, value.__name__, base) is value:
                return {"class": f"{module}.{value.__name__}"}
        for module, base in _OBJECTS.items():
            if _find(module, type(value).__name__, base) is type(value):
                name = f"{module}.{type(value).__name__}"
                params = value.get_params(deep=False)
                return {"object": name, "params": self(params, place)}
        raise NotEncodable(
            f"{place} is a {type(value).__name__}, which is neither text nor numbers"
        )


def decode(content: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Return the value that an `Encoder` turned into JSON and tensors."""
    if isinstance(content, list):
        return [decode(item, tensors) for item in content]
    if not isinstance(content, dict):
        return content
    kind = next(k for k in content if k not in ("shape", "fortran", "params"))
    held = content[kind]
    match kind:
        case "float":
            return float(held)
        case "array":
            array = tensors[held].numpy()
            return array.T if content["fortran"] else array
        case "texts":
            return classes_from_json(held).reshape(content["shape"])
        case "objects":
            flat = np.empty(len(held), object)
            flat[:] = decode(held, tensors)
            return flat.reshape(content["shape"])
        case "scalar":
            return decode(held, tensors)[()]
        case "dtype":
            return np.dtype(held)
        case "builtin":
            return _BUILTINS[held]
        case "numpy type":
            return np.dtype(held).type
        case "slice":
            return slice(*held)
        case "set":
            return set(decode(held, tensors))
        case "tuple":
            return tuple(decode(held, tensors))
        case "dict":
            return {decode(k, tensors): decode(v, tensors) for k, v in held}
        case "not stored":
            return NotStored(str(held))
        case "class":
            return _named(held, _CLASSES)
        case "object":
            return _named(held, _OBJECTS)(**decode(content["params"], tensors))
    raise ValueError(f"a value of the kind {kind!r}")


def _named(name: str, known: Mapping[str, type]) -> Any:
    module, _, simple = name.rpartition(".")
    found = _find(module, simple, known[module]) if module in known else None
    if found is None:
        raise ValueError(f"{name!r} is no class that a file may name")
    return found


def _find(module: str, name: str, base: type) -> Any:
    """Return a public class of a module, if it is derived from `base`."""
    if name.startswith("_") or not name.isidentifier():
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and issubclass(found, base) else None
