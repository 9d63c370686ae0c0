"""Steps of augment= that are no augmentation: the student would predict without."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor
from torch import Tensor

from skkd._data.batches import TrainingSet, batch_of
from skkd._data.keys import split_inputs
from skkd._utils.modules import cast_floats
from skkd._utils.rng import preserved_rng
from skkd._utils.warn import warn
from skkd.augment import Augmentation, Compose
from skkd.exceptions import DistillationWarning

_N_SAMPLES = 32
# All views have to be on another scale: random changes come out both ways.
_N_VIEWS = 8

_CALLED = (
    "It is called with a batch, a tensor of shape (n, *input_shape), without labels, "
    "and returns such a tensor. To mix samples and their labels, pass Mixup() of "
    "skkd.augment."
)


def is_known(augment: Any) -> bool:
    """Tell whether `augment` is made of skkd's own, which keep the scale."""
    if type(augment) is Compose:
        return all(map(is_known, augment.steps))
    # One that mixes samples is called in another way.
    own = type(augment).__module__.startswith("skkd.augment.")
    return own or (isinstance(augment, Augmentation) and augment.mixes_rows)


def check_augment_scale(net: Any, samples: TrainingSet) -> None:
    """Refuse an `augment` that scales, normalises or reorders every sample.

    Such a step reaches the training samples and not those of `predict`. Random streams
    are left as they were, those inside of `augment` too if it can be copied.
    """
    n = len(samples)
    index = np.unique(np.linspace(0, n - 1, min(n, _N_SAMPLES)).astype(int))
    inputs = split_inputs(batch_of(samples, index.tolist())[0])[0]
    clean = to_tensor(cast_floats(inputs, net.module_), device=net.device)
    try:
        augment = copy.deepcopy(net.augment)
    except Exception:  # whatever a part of it raises
        augment = net.augment
    with preserved_rng(net.device or "cpu"), torch.no_grad():
        views: list[list[tuple[Tensor, Tensor]]] = []
        for _ in range(_N_VIEWS):
            view = _view(net, augment, clean, len(index))
            pairs = list(_pairs(clean, view))
            if views and len(pairs) != len(views[0]):
                return
            views.append(pairs)
            if len(views) > 1 and not any(map(_is_suspect, pairs, views[0])):
                return
    for of_input in zip(*views, strict=True):
        _check(of_input[0][0], [view for _, view in of_input])


def _view(net: Any, augment: Any, clean: Any, n: int) -> Any:
    seeds = () if net.n_views is None else (torch.randint(2**62, (n,)),)
    try:
        view = augment(clean, *seeds)
    except (TypeError, ValueError) as error:
        raise ValueError(f"augment= raises {error!r}. {_CALLED}") from error
    arrays = [*view.values()] if isinstance(view, Mapping) else [view]
    for array in arrays:
        if not isinstance(array, (Tensor, np.ndarray)):
            raise TypeError(f"augment= returns a {type(array).__name__}. {_CALLED}")
        if len(array) != n:
            raise ValueError(f"augment= returns {len(array)} rows of {n}. {_CALLED}")
    return view


def _pairs(clean: Any, view: Any) -> Any:
    """Yield each input with its view, as far as they are tensors of numbers."""
    if isinstance(clean, Mapping) and isinstance(view, Mapping):
        for key in clean.keys() & view.keys():
            yield from _pairs(clean[key], view[key])
    elif isinstance(clean, Tensor) and isinstance(view, Tensor) and clean.numel():
        yield clean, view


def _is_suspect(pair: tuple[Tensor, Tensor], first: tuple[Tensor, Tensor]) -> bool:
    """Tell whether a view, not the first, calls for more of them."""
    clean, view = pair
    if clean.shape[1:] != view.shape[1:] or not torch.isfinite(view).all():
        return True
    if torch.equal(view, first[1]) and not _same_values(clean, view):
        return True
    return _is_rescaled(clean, view) or _is_line(clean, [view]) or bool(_order(*pair))


def _check(clean: Tensor, views: list[Tensor]) -> None:
    """Raise, or warn, if all of these views were changed in the same way."""
    first = views[0]
    remedy = (
        "and is not applied in predict. Standardize of skkd.students, as the student's "
        "first layer, scales in both; any other fixed step belongs there too, or into "
        "a step of a Pipeline before the student"
    )
    if any(not torch.isfinite(view).all() for view in views):
        raise ValueError(
            "augment= makes NaN or infinity of rows that have none: look for a "
            "division or a logarithm in it."
        )
    if any(clean.shape[1:] != view.shape[1:] for view in views):
        got = ", ".join(map(str, views[0].shape[1:]))
        warn(
            f"augment= makes rows of shape ({got}) of ({_shape_of(clean)}), and "
            "predict gets the latter. Crop or resize X before fit, or let augment= "
            "keep the shape.",
            DistillationWarning,
        )
    elif _is_line(clean, views) or _are_rescaled(clean, views):
        raise ValueError(
            f"augment= changes the scale of the rows ({_range_of(clean)} to "
            f"{_range_of(first)}) {remedy}."
        )
    elif all(torch.equal(v, first) for v in views) and not _same_values(clean, first):
        raise ValueError(
            "augment= changes the values of the rows in the same way each time "
            f"{remedy}."
        )
    elif _order(clean, first) and len({_order(clean, v) for v in views}) == 1:
        raise ValueError(f"augment= reorders the channels of every row {remedy}.")


def _is_rescaled(clean: Tensor, view: Tensor) -> bool:
    """Tell whether a view lies on another scale than its samples."""
    x, v = clean.double(), view.double()
    spread, low, high = x.std(), x.min(), x.max()
    if not spread > 0:
        return False
    ratio, shift = v.std() / spread, (v.mean() - x.mean()) / spread
    if ratio < 0.1 or ratio > 3 or _is_limited(x, v):
        return True
    slack = 0.25 * (high - low)
    leaves = v.min() < low - slack or v.max() > high + slack
    return bool(leaves and shift.abs() > 0.25)


def _is_limited(x: Tensor, v: Tensor) -> bool:
    """Tell whether a view is limited to 0 to 1, as by torchvision, and x is not."""
    return bool(
        v.min() >= 0 and v.max() <= 1 and ((x < 0) | (x > 1)).float().mean() > 0.1
    )


def _are_rescaled(clean: Tensor, views: list[Tensor]) -> bool:
    """Tell whether all views lie on another scale, on the same side."""
    if not all(_is_rescaled(clean, view) for view in views):
        return False
    shifts = [view.double().mean() - clean.double().mean() for view in views]
    ratios = [view.double().std() / clean.double().std() for view in views]
    far = all(r > 3 for r in ratios) or all(r < 0.1 for r in ratios)
    far = far or all(_is_limited(clean, view) for view in views)
    return far or all(s > 0 for s in shifts) or all(s < 0 for s in shifts)


def _is_line(clean: Tensor, views: list[Tensor]) -> bool:
    """Tell whether the values of all samples go through one line that is not y = x.

    Whatever else is done to the places of the values, as by a flip.
    """
    x, *flat = map(_sorted_values, (clean, *views))
    if not x.std() > 0:
        return False
    slope = (flat[0] - flat[0].mean()).mul(x - x.mean()).mean() / x.var(correction=0)
    line = slope * (x - x.mean()) + flat[0].mean()
    if any((line - v).abs().max() > 1e-3 * v.std() for v in flat):
        return False
    return bool((line - x).abs().max() > 1e-2 * x.std())


def _same_values(clean: Tensor, view: Tensor) -> bool:
    """Tell whether the values of each sample merely stand in other places."""
    return torch.equal(_sorted_values(clean), _sorted_values(view))


def _sorted_values(x: Tensor) -> Tensor:
    return x.double().flatten(1).sort(1).values  # (n, n_values)


def _order(clean: Tensor, view: Tensor) -> tuple[int, ...] | None:
    """Return the order that the channels of all images stand in, if it is another."""
    n_channels = clean.shape[1] if clean.ndim == 4 else 0
    if n_channels not in (3, 4) or len(clean) < 4 or clean.shape != view.shape:
        return None
    before, after = clean.double().mean((2, 3)), view.double().mean((2, 3))
    gap = (before - after).norm()  # over samples and channels
    orders: list[tuple[int, ...]] = [(2, 1, 0), (1, 2, 0), (2, 0, 1)]
    if n_channels == 4:
        orders = [(2, 1, 0, 3), (1, 2, 3, 0), (3, 0, 1, 2), (3, 2, 1, 0)]
    for order in orders:
        if (before[:, [*order]] - after).norm() < 0.4 * gap:
            return order
    return None


def _shape_of(x: Tensor) -> str:
    return ", ".join(map(str, x.shape[1:]))


def _range_of(x: Tensor) -> str:
    return f"{x.min().item():.3g}..{x.max().item():.3g}"
