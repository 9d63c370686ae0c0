"""How forward passes use the hardware: bfloat16, and images with channels last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from skorch.utils import to_tensor

from skkd._utils.modules import cast_floats, channels_last, has_conv2d, is_layout_error


def optimized_pass(net: Any, inputs: Any, forward: Callable[[Any], Any]) -> Any:
    """Run a forward pass in the net's precision and in the layout that suits it."""
    device = device_of(net)
    # Before they move: not every device has float64.
    inputs = cast_floats(inputs, net.module_)
    if isinstance(inputs, torch.Tensor) and device.type == "cuda":
        inputs = inputs.to(device, non_blocking=True)
    inputs = to_tensor(inputs, device=net.device)
    first = net.channels_last_ is None
    if first:
        net.channels_last_ = False
        if has_conv2d(net.module_) and _likes_channels_last(net, device):
            _lay_out(net, channels_last=True)
    with autocast(net.precision, device):
        if not net.channels_last_:
            return _at_least_float32(forward(inputs))
        return _at_least_float32(_in_channels_last(net, inputs, forward, first))


def _in_channels_last(
    net: Any, inputs: Any, forward: Callable[[Any], Any], first: bool
) -> Any:
    before = None
    if first:
        buffers = [(buffer, buffer.clone()) for buffer in net.module_.buffers()]
        before = torch.get_rng_state(), buffers
    try:
        return forward(channels_last(inputs))
    except RuntimeError as error:
        # The student takes a `view` of its activations, which needs the layout
        # that it was written for.
        if not is_layout_error(error):
            raise
    _lay_out(net, channels_last=False)
    if before is not None:  # a pass that failed half-way is to leave no trace
        state, buffers = before
        torch.set_rng_state(state)
        for buffer, value in buffers:
            buffer.copy_(value)
    return forward(inputs)


def _lay_out(net: Any, *, channels_last: bool) -> None:
    net.channels_last_ = channels_last
    set_layout(net.module_, channels_last=channels_last)


def set_layout(module: torch.nn.Module, *, channels_last: bool) -> None:
    """Lay out the weights of convolutions, which changes no value.

    They are channels-last in training alone: the inputs decide how a prediction is
    computed, to the last digit and at the same speed, and safetensors and others take
    contiguous weights only.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for weight in module.parameters():
        if weight.ndim == 4:  # in place: the optimizer holds the same tensors
            weight.data = weight.data.contiguous(memory_format=layout)


def _likes_channels_last(net: Any, device: torch.device) -> bool:
    # CPUs always do, CUDA's tensor cores do, others are not known to.
    half = resolve_precision(net.precision, device.type) == "bf16"
    return device.type == "cpu" or (device.type == "cuda" and half)


def device_of(net: Any) -> torch.device:
    """Return the device of a net; with ``device=None``, that of its student."""
    if net.device is not None:
        return torch.device(net.device)
    module = getattr(net, "module_", None)
    parameters = iter(()) if module is None else module.parameters()
    return next((p.device for p in parameters), torch.device("cpu"))


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context that computes in this precision."""
    if resolve_precision(precision, device.type) == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def fetch_losses(batches: list[dict[str, Any]], key: str) -> None:
    """Replace the tensors under `key` by numbers, in a single transfer."""
    waiting = [b for b in batches if isinstance(b.get(key), torch.Tensor)]
    if waiting:
        values = torch.stack([batch[key] for batch in waiting]).tolist()
        for batch, value in zip(waiting, values, strict=True):
            batch[key] = value


def resolve_precision(precision: str, kind: str) -> str:
    """Return "fp32" or "bf16" for a precision and a kind of device."""
    if precision != "auto":
        return precision
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = kind == "cpu" and _cpu_has_bf16()
    return "bf16" if native else "fp32"


def _cpu_has_bf16() -> bool:
    # Not public, and missing from some releases: then the safe answer is no.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def _at_least_float32(outputs: Any) -> Any:
    """Return outputs on which a loss can be computed."""
    if isinstance(outputs, tuple):
        parts = map(_at_least_float32, outputs)
        # Of a named tuple, a criterion may read the names.
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else tuple(parts)
    half = isinstance(outputs, torch.Tensor) and outputs.dtype in (
        torch.bfloat16,
        torch.float16,
    )
    return outputs.float() if half else outputs
