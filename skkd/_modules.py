"""Small things about torch modules that several parts need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def count_parameters(module: torch.nn.Module) -> int:
    """Return the number of parameters of `module`, trainable or not."""
    return sum(p.numel() for p in module.parameters())


def describe(model: Any) -> str:
    """Name a model in a line: a network by class and size, never by its layers."""
    if isinstance(model, torch.nn.Module):
        return f"{type(model).__name__}({count_parameters(model):,} parameters)"
    if isinstance(model, (list, tuple)):
        return f"[{', '.join(describe(member) for member in model)}]"
    if hasattr(model, "module_"):
        return f"{type(model).__name__}({describe(model.module_)})"
    if isinstance(model, type) or not hasattr(model, "get_params"):
        return getattr(model, "__name__", type(model).__name__)
    return type(model).__name__


def resolve_device(device: Any) -> Any:
    """Turn ``"auto"`` into the accelerator of this machine, or the CPU."""
    if not (isinstance(device, str) and device == "auto"):
        return device
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if accelerator is None else accelerator.type


@contextmanager
def evaluating(*modules: torch.nn.Module) -> Iterator[None]:
    """Put `modules` in eval mode, and each part back in its own mode afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        # Not `.eval()`: a module may override it to do more than set the flag.
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def cast_floats(inputs: Any, module: torch.nn.Module) -> Any:
    """Give floating-point inputs the precision of `module`; leave all else alone.

    scikit-learn's arrays are float64, most networks float32.
    """
    if isinstance(inputs, dict):
        return {key: cast_floats(value, module) for key, value in inputs.items()}
    if not isinstance(inputs, torch.Tensor) or not inputs.is_floating_point():
        return inputs
    floats = (p.dtype for p in module.parameters() if p.is_floating_point())
    return inputs.to(next(floats, inputs.dtype))


def first_tensor(outputs: Any) -> torch.Tensor:
    """Return the logits of a module that gives more than these."""
    if isinstance(outputs, tuple):
        return outputs[0]
    return getattr(outputs, "logits", outputs)
