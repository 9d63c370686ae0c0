"""The content of tensors: of plain ones, and of those that hold other tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_PLAIN = (torch.Tensor, torch.nn.Parameter)


def content_of_tensor(tensor: torch.Tensor, update: Callable[[Any], None]) -> Any:
    """Return the content of a tensor, the bytes of its numbers given to `update`."""
    cls, shape = type(tensor), tuple(tensor.shape)
    kind: Any = "tensor" if cls in _PLAIN else cls
    if hasattr(cls, "__tensor_flatten__"):  # a quantised weight, say: parts and scales
        names, context = tensor.__tensor_flatten__()  # type: ignore[attr-defined]
        parts = [(name, getattr(tensor, name)) for name in names]
        return kind, str(tensor.dtype), shape, parts, context
    tensor = tensor.detach().cpu()
    if tensor.is_quantized:
        return kind, str(tensor.dtype), shape, tensor.int_repr(), _scales_of(tensor)
    if tensor.layout is not torch.strided or tensor.is_nested:
        return kind, tensor.__reduce_ex__(2)  # indices and values, which are tensors
    tensor = tensor.resolve_conj().resolve_neg()
    update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return kind, str(tensor.dtype), shape


def _scales_of(tensor: torch.Tensor) -> Any:
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return tensor.q_scale(), tensor.q_zero_point()
    scales, zeros = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return scales, zeros, tensor.q_per_channel_axis()
