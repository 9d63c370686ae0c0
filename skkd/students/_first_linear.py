"""The first linear layer of a student for tables, and the layers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skkd.students.mlp import MLP
from skkd.students.standardize import Standardize
from skkd.students.table_mlp import TableMLP


@dataclass(frozen=True)
class FirstLinear:
    """What a student computes up to its first linear layer, and what it does then.

    Attributes
    ----------
    means : Tensor of shape (n_features,), float64
        Are subtracted from the features.
    weights : Tensor of shape (n_features, n_outputs), float64
        What they are divided by is a part of these.
    bias : Tensor of shape (n_outputs,), float32
    codes : mapping of int to Tensor of shape (n_codes, n_outputs), float64
        Of each feature that is embedded, what the layer makes of its codes.
    behind : list of Module
        The layers that come next.
    """

    means: Tensor
    weights: Tensor
    bias: Tensor
    codes: Mapping[int, Tensor]
    behind: list[nn.Module]


@torch.no_grad()
def first_linear(module: nn.Module) -> FirstLinear | None:
    """Return the first linear layer of a student; None of one that is not known."""
    find = {MLP: _of_mlp, TableMLP: _of_table_mlp}.get(type(module))
    hooked = any(p._forward_hooks or p._forward_pre_hooks for p in module.modules())
    return None if find is None or hooked else find(module)


def _of_mlp(module: Any) -> FirstLinear | None:
    standardize, flatten, linear, *behind = [
        *(module.standardize, *module.body, module.head)
    ]
    kinds = type(standardize), type(flatten), type(linear)
    if kinds != (Standardize, nn.Flatten, nn.Linear) or standardize.mean.ndim > 1:
        return None
    weights = linear.weight.double() / standardize.std.double()
    means = standardize.mean.double()
    return FirstLinear(means, weights.T, linear.bias, {}, behind)


def _of_table_mlp(module: Any) -> FirstLinear | None:
    linear, *behind = module.first
    if type(linear) is not nn.Linear:
        return None
    weights, numeric = linear.weight.double().T, module.numeric
    n_outputs, n_features = weights.shape[1], len(numeric) + len(module.coded)
    of_numbers = weights.new_zeros(n_features, n_outputs)
    of_numbers[numeric] = weights[: len(numeric)]
    codes = {}
    if len(module.coded):
        vectors = module.embedding.weight.double()
        stops = [*module.starts.tolist()[1:], len(vectors)]
        parts = weights[len(numeric) :].split(vectors.shape[1])
        for feature, start, stop, part in zip(
            module.coded.tolist(), module.starts.tolist(), stops, parts, strict=True
        ):
            codes[feature] = vectors[start:stop] @ part
    behind = [*behind, module.blocks, module.head]
    means = weights.new_zeros(n_features)
    return FirstLinear(means, of_numbers, linear.bias, codes, behind)
