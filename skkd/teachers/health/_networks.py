"""Mistakes in a network that show without a forward pass."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import kstest, norm, uniform

# Fewer numbers may look like anything; more need not all be compared.
_LEAST, _MOST = 12, 10_000
_LOOKS_ALIKE = 0.01
# What new heads without a bias are drawn from: torchvision's, transformers'.
_DEVIATIONS = (0.01, 0.02)


def layers_in_train_mode(module: torch.nn.Module) -> list[str]:
    """Return the kinds of layers in train mode whose outputs depend on the mode."""
    nn = torch.nn.modules
    kinds = (nn.dropout._DropoutNd, nn.batchnorm._BatchNorm)
    found = [part for part in module.modules() if isinstance(part, kinds)]
    return sorted({type(part).__name__ for part in found if part.training})


def untrained_head(module: torch.nn.Module) -> str | None:
    """Describe the initial distribution of the last linear layer; None if trained."""
    layers = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
    if not layers or layers[-1].weight.numel() < _LEAST:
        return None
    head = layers[-1]
    weight = _numbers(head.weight)
    bias = np.empty(0) if head.bias is None else _numbers(head.bias)
    bound = 1 / math.sqrt(head.in_features)
    values = np.concatenate([bias, weight])
    # A step of training leaves the bound somewhere, whatever it does to the shape.
    inside = bool((np.abs(values) <= bound * 1.001).all())
    if inside and _is_drawn_from(uniform(-bound, 2 * bound), values):
        return f"uniform in +-{bound:.3g}, as nn.Linear draws it"
    # Training moves a bias: where it is 0 throughout, any deviation is one of a draw.
    untouched = bias.size > 1 and not bias.any()
    for deviation in (float(weight.std()),) if untouched else _DEVIATIONS:
        if not bias.any() and deviation and _is_drawn_from(norm(0, deviation), weight):
            return f"normal with deviation {deviation:.2g} and a bias of 0"
    most = float(np.abs(weight).max())
    if untouched and most and _is_drawn_from(uniform(-most, 2 * most), weight):
        return f"uniform in +-{most:.3g} with a bias of 0"
    return None


def _numbers(parameter: torch.Tensor) -> np.ndarray:
    values = parameter.detach()
    if type(values) is not torch.Tensor:  # as torchao quantises weights
        values = values.dequantize()
    return values.double().cpu().numpy().ravel()


def _is_drawn_from(distribution: object, values: np.ndarray) -> bool:
    part = values[:: -(-len(values) // _MOST)]
    return bool(kstest(part, distribution.cdf).pvalue > _LOOKS_ALIKE)  # type: ignore[attr-defined]
