"""The weights of a network as contiguous tensors, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

_PREFIX = "module."


def weights_to_tensors(
    module: torch.nn.Module,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the weights of `module`, and which of them are shared or laid out anew.

    Convolutions with their channels last, and transposed matrices, may be computed to
    other last digits once they are contiguous: strides are kept.
    """
    tensors, strides, same = {}, {}, {}
    names: dict[Any, str] = {}
    for name, value in module.state_dict().items():
        _check_storable(name, value)
        key = value.data_ptr(), value.shape, value.stride(), value.dtype
        if value.numel() and names.setdefault(key, name) != name:
            same[name] = names[key]
            continue
        plain = (
            value.detach()
            .cpu()
            .contiguous()
            .clone(memory_format=torch.contiguous_format)
        )
        tensors[_PREFIX + name] = plain
        if value.stride() != plain.stride() and _fills(value.shape, value.stride()):
            strides[name] = list(value.stride())
    return tensors, {"strides": strides, "same": same}


def weights_from_tensors(
    tensors: dict[str, torch.Tensor], layout: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """Return the state dict that `weights_to_tensors` took apart."""
    state = {
        name.removeprefix(_PREFIX): value
        for name, value in tensors.items()
        if name.startswith(_PREFIX)
    }
    for name, strides in layout["strides"].items():
        value = state[name]
        if len(strides) != value.ndim or not _fills(value.shape, strides):
            raise ValueError(f"strides {strides!r:.80} of {name!r}")
        state[name] = _laid_out(value, strides)
    for name, other in layout["same"].items():
        state[name] = state[other]
    return state


def _fills(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Tell whether a tensor takes no more memory than it has values."""
    n_values = prod(shape)
    last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    return last + 1 == n_values and all(0 <= one <= n_values for one in strides)


def _laid_out(value: torch.Tensor, strides: Sequence[int]) -> torch.Tensor:
    return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)


def fill(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give a network that a factory built these weights, with dtype and layout."""
    if any(map(torch.nn.parameter.is_lazy, module.state_dict(keep_vars=True).values())):
        module.load_state_dict(state)  # lazy layers take their shapes from it
    own = module.state_dict(keep_vars=True)
    for name in sorted({*own, *state}):
        ours, given = _shape(own.get(name)), _shape(state.get(name))
        if ours != given:
            raise ValueError(
                f"its weights {name!r} have shape {ours}, and those of the file "
                f"{given}."
            )
    # In place, so that weights that a module shares stay shared.
    for name, part in own.items():
        part.data = _laid_out(state[name], state[name].stride()).to(part.device)


def _shape(value: Any) -> Any:
    return None if value is None else tuple(value.shape)


def _check_storable(name: str, value: Any) -> None:
    plain = isinstance(value, torch.Tensor) and value.layout is torch.strided
    if not plain or value.is_quantized or torch.nn.parameter.is_lazy(value):
        kind = getattr(value, "layout", type(value).__name__)
        raise ValueError(
            f"The student's state {name!r} is no dense tensor ({kind}), and the file "
            "holds nothing else. Register it as a buffer, or write the student by "
            "skops.io.dump or pickle."
        )
