"""Checks of constructor arguments, with messages that say what to do."""

from numbers import Integral, Real
from typing import Any


def check_input_shape(input_shape: Any) -> tuple[int, ...]:
    """Return ``input_shape`` as a non-empty tuple of positive ints."""
    try:
        shape = tuple(input_shape)
    except TypeError:
        shape = ()
    if not shape or not all(_is_int(size) and size >= 1 for size in shape):
        raise ValueError(
            f"Got input_shape={input_shape!r}; expected a tuple of positive ints "
            "without the batch axis, such as (n_features,) or (C, H, W). Pass "
            "X.shape[1:]."
        )
    return tuple(int(size) for size in shape)


def check_image(input_shape: Any) -> tuple[int, ...]:
    """Return ``input_shape`` as a tuple ``(C, H, W)`` of positive ints."""
    shape = check_input_shape(input_shape)
    if len(shape) != 3:
        raise ValueError(
            f"Got input_shape={shape}; expected (C, H, W). For gray images add a "
            "channel axis with X[:, None]; for tables use MLP."
        )
    return shape


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least``."""
    if not _is_int(value) or value < least:
        raise ValueError(
            f"Got {name}={value!r}; expected an int of at least {least}. Set {name} to "
            "the number wanted."
        )
    return int(value)


def check_hidden(value: Any) -> tuple[int, ...]:
    """Return ``value``, an int or a sequence of ints, as a tuple of widths."""
    try:
        widths = (value,) if _is_int(value) else tuple(value)
    except TypeError:
        widths = (value,)
    if not all(_is_int(width) and width >= 1 for width in widths):
        raise ValueError(
            f"Got hidden={value!r}; expected an int of at least 1 or a sequence of "
            "them. Pass one width for each hidden layer, () for a linear model."
        )
    return tuple(int(width) for width in widths)


def check_dropout(value: Any) -> float:
    """Return ``value`` as a probability below 1."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0 <= value < 1):
        raise ValueError(
            f"Got dropout={value!r}; expected a number with 0 <= dropout < 1. It is "
            "the share of activations dropped: 0 switches it off."
        )
    return float(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
