"""The check of a parameter that is to be a number."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def is_number(value: Any, kind: type = Real) -> bool:
    """Tell whether a value is a finite number of this kind, and no bool."""
    number = isinstance(value, kind) and not isinstance(value, bool)
    return number and -math.inf < value < math.inf


def check_number(
    name: str,
    value: Any,
    kind: type = Real,
    *,
    low: float | None = None,
    high: float | None = None,
    low_inclusive: bool = True,
    high_inclusive: bool = True,
    hint: str = "",
) -> None:
    """Raise ValueError unless a parameter is a finite number within its bounds.

    `hint` is appended to the message: what to do.
    """
    if is_number(value, kind):
        above = low is None or value > low or (low_inclusive and value == low)
        below = high is None or value < high or (high_inclusive and value == high)
        if above and below:
            return
    expected = "an int" if kind is Integral else "a finite number"
    if low is not None and high is not None:
        left, right = "[" if low_inclusive else "(", "]" if high_inclusive else ")"
        expected += f" in {left}{low}, {high}{right}"
    elif low is not None:
        expected += f" of at least {low}" if low_inclusive else f" above {low}"
    elif high is not None:
        expected += f" of at most {high}" if high_inclusive else f" below {high}"
    raise ValueError(f"{name}={value!r}: expected {expected}.{hint and ' ' + hint}")
