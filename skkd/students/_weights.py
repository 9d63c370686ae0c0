"""Read files of weights that torch.save wrote, and load them."""

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from skkd._utils.modules import is_out_of_memory

# Keys under which training scripts save the weights.
_KEYS = ("state_dict", "model")


def read_weights(path: str | os.PathLike[str]) -> OrderedDict[str, Tensor]:
    """Read a state dict that `torch.save` wrote; only tensors are read, never code.

    It may stand under "state_dict" or "model". Names come without the prefix "module."
    of parallel training, tensors on the CPU.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"Got {os.fspath(path)!r}, which is no file of tensors; expected a state "
            "dict that torch.save wrote. Download it again; or, if it holds a whole "
            "module that you trust, save module.state_dict()."
        ) from error
    return as_state_dict(content, repr(os.fspath(path)))


def as_state_dict(content: Any, source: str) -> OrderedDict[str, Tensor]:
    """Return the state dict that `content` is or contains; `source` names its file."""
    for key in _KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not (
        isinstance(content, Mapping) and all(map(torch.is_tensor, content.values()))
    ):
        raise ValueError(
            f"Got {source}, which holds no state dict; expected a mapping "
            "from names to tensors, or one under the key 'state_dict' or 'model'. Save "
            "module.state_dict()."
        )
    state = OrderedDict((_plain(name), value) for name, value in content.items())
    # Tells modules of which version of themselves the weights are.
    versions = getattr(content, "_metadata", None) or {}
    state._metadata = {_plain(name): v for name, v in versions.items()}  # type: ignore[attr-defined]
    return state


def _plain(name: str) -> str:
    # torch.nn.DataParallel puts its own name before all others.
    return re.sub(r"^module(\.|$)", "", name)


def load_strictly(name: str, model: nn.Module, state: Any, source: str) -> None:
    """Load `state`, all names and shapes of which must fit; `source` is its file."""
    try:
        model.load_state_dict(state)
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"Got {source}, whose weights are not those of {name}: "
            f"{_difference(model.state_dict(), state) or error}. Pass the name of "
            "the network that they belong to."
        ) from error


def _difference(expected: dict[str, Tensor], got: dict[str, Tensor]) -> str:
    """Name the first weights in which two networks differ."""
    # Files of early versions have no num_batches_tracked, and torch needs none.
    lacking = [
        key for key in expected if key not in got and "num_batches_tracked" not in key
    ]
    extra = [key for key in got if key not in expected]
    other = [k for k in expected if k in got and got[k].shape != expected[k].shape]
    parts = [
        f"{what} {keys[0]!r}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
        for what, keys in (("there is no", lacking), ("there is", extra))
        if keys
    ]
    if other:
        shapes = tuple(got[other[0]].shape), tuple(expected[other[0]].shape)
        parts.append(f"{other[0]!r} has shape {shapes[0]}, expected {shapes[1]}")
    return ", ".join(parts)
