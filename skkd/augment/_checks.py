"""Checks of parameters, and the numbers that images of a dtype can hold."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor

from skkd._utils.checks import check_number, is_number


def check(augment: Any, name: str, kind: type = Real, **bounds: Any) -> None:
    """Check a parameter as :func:`check_number` does; the message names the class."""
    label = f"{type(augment).__name__}.{name}"
    check_number(label, getattr(augment, name), kind, **bounds)


def check_p(augment: Any) -> None:
    hint = "It is the fraction of the images that are changed: 1 changes all."
    check(augment, "p", low=0, high=1, hint=hint)


def check_fill(augment: Any, *names: str) -> None:
    """Refuse what is neither a finite number nor one of `names`."""
    fill = augment.fill
    if not (is_number(fill) or (isinstance(fill, str) and fill in names)):
        hint = "Give it in the units of the input: 0 to 255 for uint8 images."
        expected = " or ".join(["a finite number", *map(repr, names)])
        raise error(augment, "fill", expected, hint)


def check_spread(augment: Any, name: str, *, above: float | None = None) -> None:
    """Refuse what is neither a number nor a pair (lowest, highest) of factors.

    The factors are at least 0, or greater than `above` if given.
    """
    value = getattr(augment, name)
    pair = isinstance(value, tuple | list) and len(value) == 2
    fits = is_number(value) and value >= 0
    fits = fits or (pair and all(map(is_number, value)) and value[0] <= value[1])
    if fits:
        low = factor_range(value)[0]
        fits = low >= 0 if above is None else low > above
    if not fits:
        expected = (
            f"a number in [0, 1{']' if above is None else ')'}, or (lowest, highest) "
            f"with {'0 <=' if above is None else f'{above:g} <'} lowest <= highest"
        )
        hint = f"{name}=0.1 draws factors from 0.9 to 1.1, as (0.9, 1.1) does."
        raise error(augment, name, expected, hint)


def error(augment: Any, name: str, expected: str, hint: str) -> ValueError:
    got = f"{type(augment).__name__}.{name}={getattr(augment, name)!r}"
    return ValueError(f"{got}: expected {expected}. {hint}")


def fill_for(augment: Any, x: Tensor) -> float:
    """Return `fill` if the dtype of `x` can hold it: torch would wrap or round it."""
    fill, real = augment.fill, x.is_floating_point()
    if x.dtype == torch.bool:
        low, high = 0.0, 1.0
    else:
        info: Any = torch.finfo(x.dtype) if real else torch.iinfo(x.dtype)
        low, high = info.min, info.max
    if not low <= fill <= high or not (real or fill == int(fill)):
        expected = f"{'a' if real else 'a whole'} number from {low:g} to {high:g}"
        hint = f"Give it in the units of the input, here {x.dtype}."
        raise error(augment, "fill", expected, hint)
    return float(fill) if real else int(fill)


def factor_range(spread: Any) -> tuple[float, float]:
    """Return lowest and highest factor of a number, or of such a pair."""
    if is_number(spread):
        return 1 - float(spread), 1 + float(spread)
    return float(spread[0]), float(spread[1])


def working_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of floats to compute in, which holds all values of `x`."""
    # float32 holds all integers of 16 bits, but not those of 32.
    wide = not x.is_floating_point() and x.element_size() > 2
    return torch.float64 if wide else torch.promote_types(x.dtype, torch.float32)
