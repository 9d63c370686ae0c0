"""Helpers for torch modules that several parts need."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy


def count_parameters(module: torch.nn.Module) -> int:
    """Return the number of parameters of `module`, trainable or not."""
    # Those of lazy layers have no shape before the first forward pass.
    return sum(p.numel() for p in module.parameters() if not is_lazy(p))


def describe(model: Any) -> str:
    """Describe a model in one line: a network by class and size, not by its layers."""
    if isinstance(model, torch.nn.Module):
        return f"{type(model).__name__}({count_parameters(model):,} parameters)"
    if isinstance(model, (list, tuple)):
        return f"[{', '.join(describe(member) for member in model)}]"
    if hasattr(model, "module_"):
        return f"{type(model).__name__}({describe(model.module_)})"
    if isinstance(model, type) or not hasattr(model, "get_params"):
        return getattr(model, "__name__", type(model).__name__)
    return type(model).__name__


@functools.cache  # called several times a batch
def resolve_device(device: Any) -> Any:
    """Turn ``"auto"`` into the accelerator of this machine, or the CPU."""
    if not isinstance(device, str) or device != "auto":
        return device
    if not torch.accelerator.is_available():
        return "cpu"
    accelerator = torch.accelerator.current_accelerator()
    return "cpu" if accelerator is None else accelerator.type


# Of the modules that are in eval mode for a while: the mode before, and how many blocks
# they are in, which may run in several threads. Keys are ids, since a module may define
# its own equality; the module itself is held so that its id stays its own.
_modes: dict[int, list[Any]] = {}
_modes_lock = threading.Lock()


@contextmanager
def eval_mode(*modules: torch.nn.Module) -> Iterator[None]:
    """Put `modules` in eval mode, and each part back in its own mode afterwards.

    Blocks may be nested and may overlap in several threads: a part gets its mode back
    when the last block that it is in ends.
    """
    parts = [part for module in modules for part in module.modules()]
    # What torch.jit.freeze made has no mode.
    parts = [part for part in parts if hasattr(part, "training")]
    entered = 0
    try:
        with _modes_lock:
            for part in parts:
                _modes.setdefault(id(part), [part, part.training, 0])[2] += 1
                entered += 1
                # Not `.eval()`: a module may override it to do more than set the flag.
                part.training = False
        yield
    finally:
        with _modes_lock:
            for part in parts[:entered]:
                held = _modes[id(part)]
                held[2] -= 1
                if not held[2]:
                    part.training = held[1]
                    del _modes[id(part)]


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` says that memory is exhausted, on whatever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The CPU, MPS, CUDA's driver and its libraries raise plain RuntimeErrors.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    text = str(error)
    return isinstance(error, RuntimeError) and (
        any(word in text.lower() for word in words) or "STATUS_ALLOC_FAILED" in text
    )


class TemporaryHook(functools.partial):
    """A hook that is on a module for a while, and no part of its content."""


def content_of(module: torch.nn.Module) -> dict[str, Any]:
    """Return the attributes of `module`, without hooks of another thread."""
    return {
        key: {k: v for k, v in value.items() if not isinstance(v, TemporaryHook)}
        if key.endswith("_hooks") and isinstance(value, dict)
        else value
        for key, value in vars(module).items()
    }


def cast_floats(inputs: Any, module: torch.nn.Module) -> Any:
    """Cast floating-point inputs to the precision of `module`, and nothing else.

    scikit-learn's arrays are float64, most networks float32.
    """
    if isinstance(inputs, dict):
        return {key: cast_floats(value, module) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [cast_floats(value, module) for value in inputs]
    if isinstance(inputs, np.ndarray):
        inputs = torch.as_tensor(inputs)
    if not isinstance(inputs, torch.Tensor) or not inputs.is_floating_point():
        return inputs
    floats = (p.dtype for p in module.parameters() if p.is_floating_point())
    return inputs.to(next(floats, inputs.dtype))


def has_conv2d(module: torch.nn.Module) -> bool:
    """Tell whether `module` has 2d convolutions, to which the memory layout matters."""
    return any(isinstance(part, torch.nn.Conv2d) for part in module.modules())


def channels_last(inputs: Any) -> Any:
    """Convert images to channels-last layout, in which convolutions run faster."""
    if isinstance(inputs, torch.Tensor) and inputs.ndim == 4:
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs


def is_layout_error(error: Exception) -> bool:
    """Tell whether a `view` failed because of the memory layout of its tensor."""
    messages = ("view size is not compatible", "Cannot view a tensor with shape")
    return any(message in str(error) for message in messages)


def uncompiled(module: Any) -> Any:
    """Return the module that `torch.compile` wrapped, or `module` itself."""
    return getattr(module, "_orig_mod", module)


def log_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the logarithm, finite for zeros, as skorch takes it for NLLLoss."""
    return torch.log(probabilities + torch.finfo(probabilities.dtype).eps)


def first_tensor(outputs: Any) -> torch.Tensor:
    """Return the logits of a module that may return more than these."""
    if isinstance(outputs, tuple):
        return outputs[0]
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    return getattr(outputs, "logits", outputs)
