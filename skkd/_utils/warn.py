"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Packages whose code stands between the user's call and the warning.
_BETWEEN = {"skkd", "sklearn", "skorch", "joblib"}


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into skkd, directly or through scikit-learn."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _package_of(frame) in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
