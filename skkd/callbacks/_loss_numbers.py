"""The numbers of a loss that may change from epoch to epoch."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

from sklearn.base import clone

from skkd._utils.checks import is_number
from skkd.losses import DistillationLoss, FeatureLoss


def scheduled_numbers(loss: Any) -> dict[str, Any]:
    """Return the numbers of a loss for which a change during a fit has an effect."""
    params = loss.get_params() if hasattr(loss, "get_params") else {}
    numbers = {name: v for name, v in params.items() if is_number(v)}
    return {name: v for name, v in numbers.items() if _is_read_by_batch(loss, name)}


def _is_read_by_batch(loss: Any, name: str) -> bool:
    part, _, name = name.rpartition("__")
    if part:
        loss = loss.get_params().get(part)
    if name == "weight" or not isinstance(loss, FeatureLoss):
        return True
    # A loss that builds a module for each fit may read a parameter only then.
    cls = type(loss)
    return cls.adapter is FeatureLoss.adapter and cls.build is FeatureLoss.build


def checked_number(loss: Any, name: str, value: float, given: Any) -> float:
    """Return the value for the loss, an int if it was given as one, or raise.

    The loss is not changed: its ``check`` is called on a copy.
    """
    if isinstance(given, Integral):
        if not math.isclose(value, round(value), abs_tol=1e-9):
            raise ValueError(
                f"{name}={value}: expected a whole number, as it was given as "
                f"{name}={given}. If it may be another, give it as {float(given)}."
            )
        value = round(value)
    tried = clone(loss).set_params(**{name: value})
    if isinstance(tried, DistillationLoss):
        tried.check()
    return value
