"""Warnings that point at the user's line."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import joblib
import sklearn
import skorch

# Code that stands between the user's call and the warning.
_HOUSES = tuple(
    str(folder) + os.sep
    for folder in (
        Path(__file__).parents[1],
        *(Path(package.__file__).parent for package in (joblib, sklearn, skorch)),
    )
)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into skkd, directly or through scikit-learn.

    Parameters
    ----------
    message : str
    category : type of Warning
    """
    level, frame = 1, sys._getframe(0)
    while frame is not None and frame.f_code.co_filename.startswith(_HOUSES):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, category, stacklevel=level)
