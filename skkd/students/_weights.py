"""Read files of weights that torch.save wrote."""

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# Keys under which training scripts save the weights.
_KEYS = ("state_dict", "model")


def read_weights(path: str | os.PathLike[str]) -> OrderedDict[str, Tensor]:
    """Read a state dict from a file; only tensors are read, never code.

    Parameters
    ----------
    path : str or path
        A state dict that ``torch.save`` wrote, or a mapping that has one under
        "state_dict" or "model".

    Returns
    -------
    OrderedDict
        Tensors by name, on the CPU, without the prefix "module." of parallel training.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
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
