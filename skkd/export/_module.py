"""The student as one torch module, from the input of the file to probabilities."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skkd._estimator.build_student import cannot_copy
from skkd._estimator.compute import resolve_precision
from skkd._utils.modules import cast_floats, uncompiled

_HALF = (torch.bfloat16, torch.float16)


class Probabilities(nn.Module):
    """What `predict_proba` computes, as one module.

    Parameters
    ----------
    student : torch.nn.Module
    nonlinearity : callable
        Makes probabilities of the student's first output.
    names : sequence of str or None
        Keywords of the inputs, if there are several; None passes one input by position.
    """

    def __init__(
        self,
        student: nn.Module,
        nonlinearity: Callable[[Tensor], Tensor],
        names: tuple[str, ...] | None,
    ) -> None:
        super().__init__()
        self.student = student
        self.nonlinearity = nonlinearity
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return probabilities (n, n_classes)."""
        if self.names is None:
            outputs = self.student(inputs[0])
        else:
            outputs = self.student(**dict(zip(self.names, inputs, strict=True)))
        # As skorch takes the first of several outputs.
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        return self.nonlinearity(outputs)


def build_module(net: Any, names: tuple[str, ...] | None) -> Probabilities:
    """Return a copy of the student on the CPU, in eval mode and at least float32."""
    student = uncompiled(net.module_)
    try:
        student = copy.deepcopy(student)
    except Exception as error:  # whatever a part of it raises
        raise cannot_copy(student, error) from error
    student = student.to("cpu")
    if is_half(student):
        student = student.float()
    return Probabilities(student, net._get_predict_nonlinearity(), names).eval()


def computes_in_half(net: Any) -> bool:
    """Tell whether the fitted student computes with 16 bits, which files do not."""
    device = net.device or next(net.module_.parameters()).device
    precision = resolve_precision(net.precision, torch.device(device).type)
    return precision != "fp32" or is_half(net.module_)


def is_half(module: nn.Module) -> bool:
    """Tell whether parameters have 16 bits."""
    return any(parameter.dtype in _HALF for parameter in module.parameters())


def first_two(inputs: dict[str, np.ndarray], module: nn.Module) -> tuple[Any, ...]:
    """Return two samples, to trace a module with.

    An axis of size one would be taken for one that never varies.
    """
    pairs = [np.concatenate([some[:1], some[-1:]]) for some in inputs.values()]
    return tuple(cast_floats(pair, module) for pair in pairs)


@torch.no_grad()
def run_module(
    module: Probabilities, inputs: dict[str, np.ndarray], batch_size: int = 64
) -> np.ndarray:
    """Return the probabilities that a module gives for the inputs of a file."""
    tensors = [cast_floats(values, module) for values in inputs.values()]
    batches = zip(*(tensor.split(batch_size) for tensor in tensors), strict=True)
    return torch.cat([module(*batch) for batch in batches]).numpy()
