"""Batch normalisation by the statistics of a whole batch, not of a process's share.

torch.nn.SyncBatchNorm does this on GPUs alone, by modules of another class. Here the
student keeps its modules, and does the same on any device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
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
    weight, bias = layer.weight, layer.bias
    if weight is None:
        weight, bias = values.new_ones(x.shape[1]), values.new_zeros(x.shape[1])
    out, mean, variance, n = _Normalize.apply(values, weight, bias, layer.eps, share)
    if x.numel() // x.shape[1] == 1 and n <= 1:  # on a GPU it waits for n
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{x.shape}"  # as torch says it, and skkd explains
        )
    if layer.track_running_stats:
        _update(layer, mean, variance * (n / (n - 1)))
    return out.to(x.dtype)


class _Normalize(torch.autograd.Function):
    """Normalise by the moments of all processes; these are returned as well.

    What passes over the values is torch's own, in its fast form, in which the moments
    are given. What the moments add to the gradient is a line in x for each channel.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, share: Share
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, n = _moments(x, share)
        out = torch.native_batch_norm(
            x, weight, bias, mean, variance, training=False, momentum=0.0, eps=eps
        )[0]
        ctx.save_for_backward(x, weight, mean, variance, n)
        ctx.eps, ctx.counts = eps, share.size > 0
        ctx.mark_non_differentiable(mean, variance, n)
        return out, mean, variance, n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Any, ...]:
        x, weight, mean, variance, n = ctx.saved_tensors
        own = torch.ops.aten.native_batch_norm_backward(
            *(gradient, x, weight, mean, variance, None, None),
            train=False,
            eps=ctx.eps,
            output_mask=[True, True, True],
        )
        of_x, of_weight, of_bias = own
        total = torch.stack([of_weight, of_bias])
        _sum(total)
        if ctx.counts:
            invstd = torch.rsqrt(variance + ctx.eps)
            scale = -weight * invstd / n
            slope = scale * invstd * total[0]
            start = scale * total[1] - slope * mean
            shape = [1, -1, *[1] * (x.ndim - 2)]
            of_x = of_x.addcmul_(x, slope.view(shape)).add_(start.view(shape))
        return of_x, of_weight, of_bias, None, None


def _moments(x: Tensor, share: Share) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of each channel over all processes, and of how many."""
    if x.is_cuda:
        variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
    else:  # ten times as fast
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
    n_own = x.numel() // x.shape[1] if share.size else 0
    # Each fills its own place: a sum gathers them.
    places = mean.new_zeros(share.n_processes, 3, len(mean))
    places[share.rank] = torch.stack([mean, variance, torch.ones_like(mean)]) * n_own
    _sum(places)
    totals, spreads, counts = places.unbind(1)
    n = counts.sum(0)
    mean = totals.sum(0) / n
    between = counts * (totals / counts.clamp(min=1) - mean) ** 2
    return mean, (spreads + between).sum(0) / n, n[0]


def _sum(values: Tensor) -> None:
    """Add the values of the other processes, in place."""
    work = dist.all_reduce(values, async_op=True)
    if not values.is_cuda and hasattr(os, "sched_yield"):
        # The sums are there in less time than a process that sleeps takes to wake.
        while not work.is_completed():
            os.sched_yield()
    work.wait()


def _update(layer: Any, mean: Tensor, variance: Tensor) -> None:
    layer.num_batches_tracked.add_(1)
    factor = layer.momentum
    if factor is None:
        factor = 1.0 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), factor)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), factor)
