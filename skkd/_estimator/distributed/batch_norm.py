"""Batch normalisation by the statistics of a whole batch, not of a process's share.

torch.nn.SyncBatchNorm does this on GPUs alone, by modules of another class. Here the
student keeps its modules, and does the same on any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from skkd._estimator.distributed.shares import Share


def check_batch_norm(module: torch.nn.Module) -> None:
    """Raise if a layer keeps statistics that the processes cannot put together."""
    for name, layer in module.named_modules():
        if isinstance(layer, SyncBatchNorm):
            continue
        own = isinstance(layer, _BatchNorm) and (
            type(layer).forward is not _BatchNorm.forward
        )
        kept = isinstance(layer, torch.nn.modules.instancenorm._InstanceNorm)
        if own or (kept and layer.track_running_stats):
            raise ValueError(
                f"{name}, a {type(layer).__name__}, computes statistics of a batch in "
                "a way of its own, and each process has a part of the batch only: use "
                "torch.nn.BatchNorm1d, 2d or 3d, or a layer without statistics, such "
                "as GroupNorm."
            )


@contextmanager
def whole_batch_statistics(
    module: torch.nn.Module, share: Share, device: torch.device
) -> Iterator[None]:
    """Let all layers of batch normalisation see the whole batch, in this block."""
    layers = [
        layer
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncBatchNorm)
    ]
    for layer in layers:
        layer.forward = partial(_forward, layer, share)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: Any, share: Share, x: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, x)
    layer._check_input_dim(x)
    values = x.float() if x.dtype.itemsize < 4 else x
    mean, variance, n = _moments(values, share)
    if x.numel() // x.shape[1] == 1 and n <= 1:  # on a GPU it waits for n
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{x.shape}"  # as torch says it, and skkd explains
        )
    if layer.track_running_stats:
        _update(layer, mean.detach(), variance.detach() * (n / (n - 1)))
    scale = torch.rsqrt(variance + layer.eps)
    if layer.weight is not None:
        scale = scale * layer.weight
    shift = -mean * scale
    if layer.bias is not None:
        shift = shift + layer.bias
    shape = [1, -1, *[1] * (x.ndim - 2)]
    out = torch.addcmul(shift.view(shape), values, scale.view(shape))
    return out.to(x.dtype)


def _moments(x: Tensor, share: Share) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of each channel over all processes, and of how many."""
    variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
    n_own = x.numel() // x.shape[1] if share.size else 0
    # Each fills its own place: a sum gathers them, and passes gradients on to all.
    places = mean.new_zeros(share.n_processes, 3, len(mean))
    places[share.rank] = torch.stack([mean, variance, torch.ones_like(mean)]) * n_own
    totals, spreads, counts = _AllReduce.apply(places).unbind(1)
    n = counts.sum(0)
    mean = totals.sum(0) / n
    between = counts * (totals / counts.clamp(min=1) - mean) ** 2
    return mean, (spreads + between).sum(0) / n, n[0]


class _AllReduce(torch.autograd.Function):
    """Sum over all processes, in both directions."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _update(layer: Any, mean: Tensor, variance: Tensor) -> None:
    layer.num_batches_tracked.add_(1)
    factor = layer.momentum
    if factor is None:
        factor = 1.0 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), factor)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), factor)
