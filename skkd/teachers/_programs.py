"""What is checked of a network as it runs, above all of traced and exported ones.

Their mode is that of the export: if it was train mode, dropout stays live and batch
normalisation changes its statistics, whatever `training` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from skkd._utils.modules import describe, first_tensor
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning


def is_program(module: Any) -> bool:
    """Tell whether a module was traced, scripted or exported."""
    return isinstance(module, (torch.jit.ScriptModule, torch.fx.GraphModule))


def batch_limits(module: Any) -> tuple[float, float]:
    """Return the smallest and the largest batch that an exported program takes."""
    is_graph = isinstance(module, torch.fx.GraphModule)
    nodes: Any = module.graph.nodes if is_graph else ()
    for node in nodes:
        value = node.meta.get("val") if node.op == "placeholder" else None
        if not isinstance(value, torch.Tensor) or not value.ndim:
            continue
        size = value.shape[0]
        if isinstance(size, int):
            return size, size
        limits = size.node.shape_env.var_to_range.get(size.node.expr)
        if limits is not None:
            # 2 is the lowest that torch assumes, and it takes 1 all the same.
            low, high = float(limits.lower), float(limits.upper)
            return (1 if low <= 2 else low), high
    return 1, math.inf


def padded(inputs: Any, n_samples: int) -> Any:
    """Repeat the last row until there are `n_samples`."""
    if isinstance(inputs, dict):
        return {key: padded(value, n_samples) for key, value in inputs.items()}
    more = n_samples - len(inputs)
    return torch.cat([inputs, inputs[-1:].expand(more, *inputs.shape[1:])])


def run_checked(
    call: Callable[[], Any], model: Any, modules: Sequence[nn.Module], device: Any
) -> Any:
    """Return ``call()``, a forward pass, if it leaves `modules` as they are.

    Raises
    ------
    ValueError
        If the pass changes a buffer, which is restored, or if a program gives other
        outputs for the same rows each time. Of any other network that is a warning.
    """
    before = [(b, b.clone()) for module in modules for b in module.buffers()]
    states = random_states(device)
    outputs = call()
    changed = [buffer for buffer, old in before if not _equal(buffer, old)]
    for buffer, old in before:
        if changed:
            buffer.copy_(old)
    as_program = any(map(is_program, modules))
    remedy = (
        "It was traced or exported in train mode, which stays in it: export it anew, "
        "from network.eval()."
        if as_program
        else "A teacher gives the same logits for the same rows each time, and stays "
        "as it is: take dropout, or updates of buffers, out of its forward pass."
    )
    if changed:
        raise ValueError(
            f"The teacher {describe(model)} changes itself as it predicts, "
            f"{len(changed)} of its buffers (restored). {remedy}"
        )
    if all(map(torch.equal, states, random_states(device))):
        return outputs
    # It drew random numbers: do these matter?
    if not _equal(first_tensor(outputs), first_tensor(call())):
        text = f"The teacher {describe(model)} gives other outputs each time. {remedy}"
        if as_program:
            raise ValueError(text)
        warn(text, DistillationWarning)
    return outputs


def random_states(device: Any) -> list[torch.Tensor]:
    device, states = torch.device(device), [torch.get_rng_state()]
    if device.type in ("cuda", "mps", "xpu"):
        backend = getattr(torch, device.type)
        args = () if device.type == "mps" else (device,)
        states.append(backend.get_rng_state(*args))
    return states


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor):
        return True
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and bool(((one == other) | ((one != one) & (other != other))).all())
