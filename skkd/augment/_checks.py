"""Checks of parameters, with messages that say what to do."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


def check_p(augment: Any) -> None:
    if not (is_number(augment.p) and 0 <= augment.p <= 1):
        remedy = "It is the share of the images that are changed: 1 changes all."
        raise error(augment, "p", "a number in [0, 1]", remedy)


def check_count(augment: Any, name: str, least: int) -> None:
    value = getattr(augment, name)
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least:
        remedy = f"Set {name} to a whole number of pixels."
        raise error(augment, name, f"an int of at least {least}", remedy)


def check_fill(augment: Any, *names: str) -> None:
    """Refuse what is no finite number; `names` are for the message."""
    if not (is_number(augment.fill) and math.isfinite(augment.fill)):
        remedy = "Count it in the units of the input: 0 to 255 for uint8 images."
        expected = " or ".join(["a finite number", *map(repr, names)])
        raise error(augment, "fill", expected, remedy)


def fill_for(augment: Any, x: Tensor) -> float:
    """Return `fill` where the dtype of `x` holds it: torch would wrap or cut it."""
    fill, real = augment.fill, x.is_floating_point()
    if x.dtype == torch.bool:
        low, high = 0.0, 1.0
    else:
        info: Any = torch.finfo(x.dtype) if real else torch.iinfo(x.dtype)
        low, high = info.min, info.max
    if not low <= fill <= high or not (real or fill == int(fill)):
        expected = f"{'a' if real else 'a whole'} number from {low:g} to {high:g}"
        remedy = f"Count it in the units of the input, here {x.dtype}."
        raise error(augment, "fill", expected, remedy)
    return float(fill) if real else int(fill)


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def error(augment: Any, name: str, expected: str, remedy: str) -> ValueError:
    got = f"{type(augment).__name__}({name}={getattr(augment, name)!r})"
    return ValueError(f"Got {got}; expected {expected}. {remedy}")


def check_span(
    augment: Any, name: str, most: float, remedy: str, *, included: bool = True
) -> None:
    """Refuse what is no number from 0 to `most`."""
    value = getattr(augment, name)
    if not (is_number(value) and 0 <= value <= most and (included or value < most)):
        expected = f"a number in [0, {most:g}{']' if included else ')'}"
        raise error(augment, name, expected, remedy)


def check_spread(augment: Any, name: str, *, above: float | None = None) -> None:
    """Refuse what is no spread about 1: neither a number nor (lowest, highest).

    The factors that come of it are at least 0; more than `above` where that is given.
    """
    value = getattr(augment, name)
    pair = isinstance(value, tuple | list) and len(value) == 2
    if is_number(value):
        fits = value >= 0
    else:
        fits = pair and all(map(is_number, value)) and value[0] <= value[1]
    if fits:
        low, high = range_about_one(value)
        fits = high < math.inf and (low >= 0 if above is None else low > above)
    if not fits:
        expected = (
            f"a number in [0, 1{']' if above is None else ')'}, or (lowest, highest) "
            f"with {'0 <=' if above is None else f'{above:g} <'} lowest <= highest"
        )
        remedy = f"{name}=0.1 draws factors from 0.9 to 1.1, as (0.9, 1.1) does."
        raise error(augment, name, expected, remedy)


def range_about_one(spread: Any) -> tuple[float, float]:
    """Return lowest and highest factor of a number, or of such a pair."""
    if is_number(spread):
        return 1 - float(spread), 1 + float(spread)
    return float(spread[0]), float(spread[1])


def working_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of floats to compute in, which holds all values of `x`."""
    # float32 holds the integers of 16 bits, not those of 32.
    wide = not x.is_floating_point() and x.element_size() > 2
    return torch.float64 if wide else torch.promote_types(x.dtype, torch.float32)
