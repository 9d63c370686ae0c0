"""The state of a fit as JSON and tensors, and back, bit for bit."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch

# Numbers in a list of as many are held as an array.
_MANY = 16
# Kinds of integers that not all versions of safetensors know; what holds their bits.
_AS_SIGNED = {f"u{n}": f"i{n}" for n in (2, 4, 8)}
_SIGNED_64 = range(-(2**63), 2**63)


class NotEncodable(ValueError):
    """A value that is neither text nor numbers; its message says where and what."""


class Encoder:
    """Turns state into JSON; numbers in arrays and tensors go into `tensors`."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def __call__(self, value: Any, place: str) -> Any:
        """Return what JSON holds of a value, or raise NotEncodable.

        Parameters
        ----------
        value : object
        place : str
            Where it belongs; for the message.
        """
        if value is None or isinstance(value, bool) or type(value) in (int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, torch.Tensor):
            return self._tensor(value, place)
        if isinstance(value, np.generic):
            return self._scalar(value, place)
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if type(value) in (list, tuple):
            return self._sequence(value, place)
        if type(value) in (dict, OrderedDict, Counter):
            return self._mapping(value, place)
        if type(value) in (set, frozenset):
            return {type(value).__name__: self(sorted(value, key=repr), place)}
        raise NotEncodable(
            f"{place} is a {type(value).__name__}, neither numbers nor text"
        )

    def _put(self, tensor: torch.Tensor) -> str:
        name = str(len(self.tensors))
        self.tensors[name] = tensor
        return name

    def _tensor(self, value: torch.Tensor, place: str) -> Any:
        kinds = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
        if type(value) not in kinds or value.layout is not torch.strided:
            raise NotEncodable(f"{place} is a {type(value).__name__}, no dense tensor")
        if value.is_quantized or torch.nn.parameter.is_lazy(value):
            raise NotEncodable(f"{place} is a quantised or lazy tensor")
        plain = torch.empty(value.shape, dtype=value.dtype).copy_(value.detach())
        held = {"tensor": self._put(plain)}
        strides = list(value.stride())
        # Weights of convolutions with their channels last are computed otherwise.
        if strides != list(plain.stride()) and fills(value.shape, strides):
            held["strides"] = strides  # type: ignore[assignment]
        return held

    def _array(self, value: np.ndarray, place: str) -> Any:
        if value.dtype.kind == "U":
            return {"texts": value.ravel().tolist(), "shape": list(value.shape)}
        if value.dtype.kind not in "biuf" or not value.dtype.isnative:
            raise NotEncodable(f"{place} is an array of {value.dtype}")
        held = np.array(value, order="C")
        kind = value.dtype.str[1:]
        try:
            tensor = torch.from_numpy(held.view(_AS_SIGNED.get(kind, kind)))
        except TypeError as error:  # float128
            raise NotEncodable(f"{place} is an array of {value.dtype}") from error
        return {"array": self._put(tensor), "dtype": kind}

    def _scalar(self, value: np.generic, place: str) -> Any:
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise NotEncodable(f"{place} is a NumPy {value.dtype}")
        return {"scalar": self(value.item(), place), "dtype": value.dtype.str[1:]}

    def _sequence(self, value: Sequence[Any], place: str) -> Any:
        kinds = {*map(type, value)} if len(value) >= _MANY else set()
        if kinds == {float}:
            held: Any = {"floats": self._put(torch.tensor(value, dtype=torch.float64))}
        elif kinds == {int} and min(value) in _SIGNED_64 and max(value) in _SIGNED_64:
            held = {"ints": self._put(torch.tensor(value, dtype=torch.int64))}
        else:
            held = [self(item, f"{place}[{i}]") for i, item in enumerate(value)]
        return held if type(value) is list else {"tuple": held}

    def _mapping(self, value: Mapping[Any, Any], place: str) -> Any:
        items = [
            [self(key, place), self(item, f"{place}[{key!r}]")]
            for key, item in value.items()
        ]
        held = {type(value).__name__: items}
        if hasattr(value, "_metadata"):  # of a state_dict: the versions of its layers
            held["metadata"] = self(value._metadata, place)
        return held


def decode(content: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Return the value that an `Encoder` turned into JSON and tensors.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is none.
    """
    if isinstance(content, list):
        return [decode(item, tensors) for item in content]
    if not isinstance(content, dict):
        return content
    kind = next(iter(content.keys() - {"strides", "shape", "dtype", "metadata"}), None)
    held: Any = content.get(kind)
    match kind:
        case "float":
            return float(held)
        case "tensor":
            return _laid_out(tensors[held], content.get("strides"))
        case "array":
            values = tensors[held].numpy()
            return values.view(content["dtype"]).copy()
        case "texts":
            return np.array(held, dtype=str).reshape(content["shape"])
        case "scalar":
            return np.dtype(content["dtype"]).type(decode(held, tensors))
        case "floats" | "ints":
            return tensors[held].tolist()
        case "tuple":
            return tuple(decode(held, tensors))
        case "set":
            return set(decode(held, tensors))
        case "frozenset":
            return frozenset(decode(held, tensors))
        case "dict":
            return dict(_items(held, tensors))
        case "Counter":
            return Counter(dict(_items(held, tensors)))
        case "OrderedDict":
            value = OrderedDict(_items(held, tensors))
            if "metadata" in content:
                value._metadata = decode(  # type: ignore[attr-defined]
                    content["metadata"], tensors
                )
            return value
    raise ValueError(f"a value of the kind {kind!r}")


def _items(held: Any, tensors: Mapping[str, torch.Tensor]) -> list[tuple[Any, Any]]:
    return [(decode(key, tensors), decode(value, tensors)) for key, value in held]


def fills(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Tell whether a tensor takes no more memory than it has values."""
    n_values = prod(shape)
    last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    return last + 1 == n_values and all(0 <= one <= n_values for one in strides)


def _laid_out(value: torch.Tensor, strides: Sequence[int] | None) -> torch.Tensor:
    if strides is None:
        return value.clone()
    if len(strides) != value.ndim or not fills(value.shape, strides):
        raise ValueError(f"strides {strides!r:.80}")
    return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)
