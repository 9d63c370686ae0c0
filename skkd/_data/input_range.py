"""The range of the inputs of a fit, against which those of a prediction are held."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Of how many values, at most, a fit or a prediction looks at.
_N_VALUES = 1_000_000
# With fewer samples than these, others may well lie outside of their range.
_N_SAMPLES = 20


class InputRange(NamedTuple):
    """What is kept of the inputs of a fit.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,), or of shape () for images
        Of features that vary; of one that does not, -inf and inf.
    whole : bool
        Whether all of them are whole numbers.
    largest : float
        The largest absolute value.
    """

    low: np.ndarray
    high: np.ndarray
    whole: bool
    largest: float

    def merged(self, other: InputRange) -> InputRange:
        """Return the range of both."""
        if self.low.shape != other.low.shape:
            return other
        return InputRange(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.whole and other.whole,
            max(self.largest, other.largest),
        )


def input_range(x: Any) -> InputRange | None:
    """Return the range of an array of samples; None if there is no telling it."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu" or x.ndim < 2:
        return None
    if x.ndim == 2 and len(x) < _N_SAMPLES:
        return None
    x = _some(x)
    axis = 0 if x.ndim == 2 else None
    low, high = np.asarray(x.min(axis), float), np.asarray(x.max(axis), float)
    varies = low < high
    if not varies.any():
        return None
    whole = x.dtype.kind != "f" or bool((x == np.rint(x)).all())
    largest = float(max(-low.min(), high.max()))
    return InputRange(
        np.where(varies, low, -np.inf), np.where(varies, high, np.inf), whole, largest
    )


def off_scale(x: np.ndarray, seen: InputRange) -> str:
    """Return what is wrong with the scale of x, or '' if nothing is.

    Single values that are far away, dark images and rare categories are ordinary.
    """
    if x.dtype.kind not in "fiu" or not x.size or (seen.low.ndim and x.ndim != 2):
        return ""
    x = _some(x)
    outside = (x < seen.low) | (x > seen.high)
    if outside.any():
        share = _share_outside(x, outside, seen)
        if share:
            return f"{share:.0%} of the values of X lie outside of the range of the fit"
    if _is_shrunk(x, seen):
        return (
            f"X lies between {x.min():.3g} and {x.max():.3g}, what the fit saw between "
            f"{_finite(seen.low).min():.3g} and {_finite(seen.high).max():.3g}"
        )
    return ""


def _share_outside(x: np.ndarray, outside: np.ndarray, seen: InputRange) -> float:
    """Return the share of values outside of the range, or 0 if it is ordinary."""
    is_table = seen.low.ndim > 0
    size = np.where(np.isfinite(seen.low), seen.high - seen.low, 0)
    low, high = seen.low - 0.1 * size, seen.high + 0.1 * size
    n_outside = int(((x < low) | (x > high)).sum())
    if _finite(seen.low).min() >= 0:  # however small: there was nothing below zero
        n_outside = max(n_outside, int((outside & (x < 0)).sum()))
    far = (x < seen.low - size) | (x > seen.high + size)
    if is_table:  # one column may drift, as a number or a date does
        n_features = int(np.isfinite(seen.low).sum())
        n_values = len(x) * n_features
        n_columns = int((far.mean(axis=0) > 0.1).sum())
        is_far = n_columns >= max(min(3, n_features), 0.1 * n_features)
    else:
        n_values = x.size
        is_far = far.mean() >= 0.01
    share = max(int(far.sum()), n_outside) / n_values
    return share if is_far or n_outside >= max(16, 0.25 * n_values) else 0.0


def _is_shrunk(x: np.ndarray, seen: InputRange) -> bool:
    """Tell whether x is of 0 to 1, or -1 to 1, and the fit was not."""
    if x.dtype.kind != "f" or seen.largest <= 2 or (np.abs(x) > 1).mean() > 0.01:
        return False
    if not (seen.whole or (seen.low.ndim == 0 and seen.largest >= 50)):
        return False
    # Dark images, of noise or of none, and rows of zeros and ones, are ordinary.
    return bool((x != np.rint(x)).any() and np.ptp(x) >= 0.1)


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _some(x: np.ndarray) -> np.ndarray:
    step = x.size // _N_VALUES + 1
    return x if step == 1 else x[::step]
