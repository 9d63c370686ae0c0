"""Losses that are constant for so few classes, or for so small batches."""

from __future__ import annotations

import copy
from typing import Any

import torch

from skkd._utils.rng import preserved_rng
from skkd.losses import DistillationLoss, FeatureLoss
from skkd.losses._registry import flatten


def check_loss_learns(loss: Any, n_classes: int, batch_size: int) -> None:
    """Raise if a part of the loss has no gradient, whatever the student's outputs.

    Two z-scores are -1 and 1, two samples have one distance, and one sample has none.
    Functions are left alone: what else they do is not known.
    """
    for weight, part in flatten(loss):
        if weight and isinstance(part, DistillationLoss):
            with preserved_rng(), torch.enable_grad():
                size = _size_of_gradient(copy.deepcopy(part), n_classes, batch_size)
            if size is not None and size < 1e-9:
                raise ValueError(_no_gradient(part, n_classes, batch_size))


def _size_of_gradient(part: Any, n_classes: int, batch_size: int) -> float | None:
    """Return the largest number of the gradient at some outputs; None if unknown."""
    n = min(batch_size, 8)
    is_feature = isinstance(part, FeatureLoss)
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(
        *(2, n, 6 if is_feature else n_classes),
        generator=generator,
        dtype=torch.float64,
    )
    student.requires_grad_()
    y = torch.arange(n) % n_classes
    try:
        each = (
            part.compare(student, teacher)
            if is_feature
            else part(student, teacher, y, 1.0)
        )
        (gradient,) = torch.autograd.grad(each.sum(), student, allow_unused=True)
    except Exception:  # one that wants other features, or raises in training as well
        return None
    return 0.0 if gradient is None else float(gradient.abs().max())


def _no_gradient(part: Any, n_classes: int, batch_size: int) -> str:
    if isinstance(part, FeatureLoss) or n_classes > 2:
        given = f"batches of {batch_size} {'row' if batch_size == 1 else 'rows'}"
        remedy = "pass a larger batch_size, or distillation='kd'"
    else:
        given = f"{n_classes} classes"
        remedy = "pass distillation='kd'"
    return (
        f"distillation={part!r} is constant with {given}: the student would learn "
        f"nothing of the teacher. For so few, {remedy}."
    )
