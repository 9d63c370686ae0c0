"""Passed on to :mod:`skkd._utils.checks`; goes when its last callers have moved."""

from numbers import Integral
from typing import Any

from skkd._utils.checks import check_number


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least``."""
    check_number(name, value, Integral, low=least)
    return int(value)
