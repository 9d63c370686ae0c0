"""Centred rows of norm 1, the common part of correlations and of z-scores."""

import torch
from torch import Tensor

# How large a norm may become by rounding alone, in epsilons of what was centred.
_ROUNDING = 8


def unit_rows(x: Tensor) -> Tensor:
    """Centre each row of floats and scale it to norm 1; a constant row becomes zeros.

    A row counts as constant if its deviations are no larger than the rounding of its
    values: dividing by them would make a gradient of noise. No gradient flows through
    such a row.
    """
    info = torch.finfo(x.dtype)
    centred = x - x.mean(dim=1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    # Squares of anything below the root of the smallest number are zero.
    floor = _ROUNDING * info.eps * x.detach().norm(dim=1, keepdim=True)
    constant = norm.detach() <= floor + info.tiny**0.5
    return (centred / norm.masked_fill(constant, 1)).masked_fill(constant, 0)
