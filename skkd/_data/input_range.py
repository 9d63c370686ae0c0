"""The range of the inputs of a fit, against which those of a prediction are held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skkd._data.columns import numbers_in
from skkd._data.rows import LAZY, row_of
from skkd._utils.rng import preserved_rng

# Of how many values, at most, a fit or a prediction looks at.
_N_VALUES = 1_000_000
# With fewer samples than these, others may well lie outside of their range.
_N_SAMPLES = 20
# How many samples of a Dataset a fit reads to know their range.
_N_LAZY = 32


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
    typical : ndarray of shape (n_features,) or (0,)
        Median of the absolute values of each column of a table.
    """

    low: np.ndarray
    high: np.ndarray
    whole: bool
    largest: float
    typical: np.ndarray

    def merged(self, other: InputRange) -> InputRange:
        """Return the range of both."""
        if self.low.shape != other.low.shape:
            return other
        return InputRange(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.whole and other.whole,
            max(self.largest, other.largest),
            np.minimum(self.typical, other.typical),
        )


def ranges_of(X: Any) -> dict[str, InputRange]:
    """Return the range of each input of a fit, as far as there is telling it."""
    found = {name: input_range(x) for name, x in _arrays(X, _N_LAZY).items()}
    return {name: seen for name, seen in found.items() if seen is not None}


def wrong_scale(X: Any, seen: Mapping[str, InputRange]) -> str:
    """Return what is wrong with the scale of X, or '' if nothing is.

    Of a Dataset the first sample is looked at.
    """
    if not seen:
        return ""
    arrays = [(x, seen[name]) for name, x in _arrays(X, 1).items() if name in seen]
    return next((told for x, one in arrays if (told := off_scale(x, one))), "")


def jumps(more: Mapping[str, InputRange], seen: Mapping[str, InputRange]) -> bool:
    """Tell whether a further fit gets samples on another scale than the one before.

    Ranges alone do not tell: samples of one class may follow those of another.
    """
    return any(_jumps(more[name], seen[name]) for name in more.keys() & seen.keys())


def _jumps(a: InputRange, b: InputRange) -> bool:
    if a.low.shape != b.low.shape:
        return False
    if a.low.ndim:
        ratio = _ratio(a.typical, b.typical)
        return len(ratio) > 2 and bool((ratio < 0.1).all() or (ratio > 10).all())
    small, large = sorted((a, b), key=lambda one: one.largest)
    return small.largest <= 4 and large.largest >= 32 and not small.whole


def _arrays(X: Any, n_lazy: int) -> dict[str, np.ndarray]:
    """Return the values of each input, of some samples if they are read on demand."""
    if isinstance(X, np.ndarray):
        return {"X": X}
    if hasattr(X, "columns"):
        return {"X": numbers_in(X)}
    if hasattr(X, "indptr"):  # the zeros between do not matter to the scale
        return {"X": np.append(_some(X.data), 0)[None, None]}
    if isinstance(X, LAZY):
        if getattr(X, "dtype", None) == np.uint8:
            return {}
        n: int = len(X)  # type: ignore[arg-type]
        index = np.unique(np.linspace(0, n - 1, min(n, n_lazy)).astype(int))
        with preserved_rng():  # reading a sample may draw
            rows = [row_of(X, int(i)) for i in index]
        if not isinstance(rows[0], Mapping):
            return _stacked({"X": rows})
        return _stacked({key: [row[key] for row in rows] for key in rows[0]})
    return {k: np.asarray(v) for k, v in X.items()} if isinstance(X, Mapping) else {}


def _stacked(rows: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    try:
        return {
            key: np.stack([np.asarray(r) for r in some]) for key, some in rows.items()
        }
    except (TypeError, ValueError):  # text, or samples of several sizes
        return {}


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
    with np.errstate(over="ignore"):  # in the mean of the two in the middle
        typical = np.median(np.abs(x), axis=0) if x.ndim == 2 else np.zeros(0)
    return InputRange(
        np.where(varies, low, -np.inf),
        np.where(varies, high, np.inf),
        whole,
        float(max(-low.min(), high.max())),
        typical,
    )


def off_scale(x: np.ndarray, seen: InputRange) -> str:
    """Return what is wrong with the scale of x, or '' if nothing is.

    Single values that are far away, dark images and rare categories are ordinary.
    """
    if x.dtype.kind not in "fiu" or not x.size or (seen.low.ndim and x.ndim != 2):
        return ""
    x = _some(x)
    share = _share_outside(x, seen)
    if share:
        return f"{share:.0%} of the values of X lie outside of the range of the fit"
    shrunk = _has_shrunk_columns(x, seen) or _is_shrunk(x, seen)
    if shrunk or _fills_unit(x, seen):
        return (
            f"X lies between {np.nanmin(x):.3g} and {np.nanmax(x):.3g}, what the fit "
            "saw between "
            f"{_finite(seen.low).min():.3g} and {_finite(seen.high).max():.3g}"
        )
    return ""


def _share_outside(x: np.ndarray, seen: InputRange) -> float:
    """Return the share of values outside of the range, or 0 if it is ordinary."""
    is_table = seen.low.ndim > 0
    least, most = _extremes(x) if is_table else (x.min(), x.max())
    # Not so if they are NaN, but in columns without a range, such as categories.
    inside = (least >= seen.low) & (most <= seen.high) | (seen.low == -np.inf)
    if _all(inside):
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.where(np.isfinite(seen.low), seen.high - seen.low, 0)
    low, high = seen.low - 0.1 * size, seen.high + 0.1 * size
    if _finite(seen.low).min() >= 0:  # however small: there was nothing below zero
        low = np.where(size > 0, np.maximum(low, 0), low)
    limits = np.stack([low, high, seen.low - size, seen.high + size])
    n_values, n_features = x.size, int(np.isfinite(seen.low).sum())
    if is_table:
        # Most columns have no such value, and most tables too few such columns.
        some = ~((least >= low) & (most <= high))
        if not _enough(some, n_features):
            return 0.0
        n_values = len(x) * n_features
        x, limits = x[:, some], limits[:, some]
    off, far = (x < limits[0]) | (x > limits[1]), (x < limits[2]) | (x > limits[3])
    n_off, n_far = int(np.count_nonzero(off)), int(np.count_nonzero(far))
    if is_table:
        is_off, is_far = (
            _enough(np.count_nonzero(of, axis=0) > 0.1 * len(x), n_features)
            for of in (off, far)
        )
    else:
        is_off, is_far = True, n_far >= max(5, 0.01 * n_values)
    is_off = is_off and n_off >= max(16, 0.25 * n_values)
    return max(n_far, n_off) / n_values if is_far or is_off else 0.0


def _all(values: Any) -> bool:
    # In a third of the time of NumPy's, which matters to one row.
    return bool(np.count_nonzero(values) == values.size)


def _extremes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of each column.

    NumPy compares long rows with each other several times as fast as short ones.
    """
    n, n_features = x.shape
    if n == 1:
        return x[0], x[0]
    n_side = 2048 // n_features  # so many rows are taken for one
    if n_side < 2 or n < 4 * n_side or not x.flags.c_contiguous:
        return x.min(axis=0), x.max(axis=0)
    n_long = n // n_side
    long = x[: n_long * n_side].reshape(n_long, -1)
    rest = x[n_long * n_side :]
    least = long.min(axis=0).reshape(n_side, -1)
    most = long.max(axis=0).reshape(n_side, -1)
    return (
        np.concatenate([least, rest]).min(axis=0),
        np.concatenate([most, rest]).max(axis=0),
    )


def _enough(columns: np.ndarray, n_features: int) -> bool:
    """Tell whether enough columns are such.

    One or two may drift, as numbers and dates do.
    """
    least = max(min(3, n_features), 0.1 * n_features)
    return bool(np.count_nonzero(columns) >= least)


def _is_shrunk(x: np.ndarray, seen: InputRange) -> bool:
    """Tell whether x is of 0 to 1, or -1 to 1, and the fit was not."""
    if x.dtype.kind != "f" or seen.largest <= 2:
        return False
    if not (seen.whole or (seen.low.ndim == 0 and seen.largest >= 50)):
        return False
    if np.count_nonzero((x > 1) | (x < -1)) / x.size > 0.01:
        return False
    # Dark images, of noise or of none, and rows of zeros and ones, are ordinary.
    return bool((x != np.rint(x)).any() and np.ptp(x) >= 0.1)


def _has_shrunk_columns(x: np.ndarray, seen: InputRange) -> bool:
    """Tell whether the columns of a table are all much smaller than in the fit."""
    if not seen.low.ndim or len(x) < _N_SAMPLES:
        return False
    if _has_large_column(x, seen.typical):
        return False
    ratio = _ratio(np.median(np.abs(x), axis=0), seen.typical)
    return len(ratio) > 2 and bool(((ratio > 0) & (ratio < 0.1)).all())


def _has_large_column(x: np.ndarray, typical: np.ndarray) -> bool:
    """Tell whether one of some columns has a median that is clearly not much smaller.

    Counting takes a hundredth of the time that all medians take.
    """
    known = np.flatnonzero(typical)
    for i in known[:: len(known) // 4 + 1]:
        if 2 * np.count_nonzero(np.abs(x[:, i]) > 0.2 * typical[i]) > len(x) + 1:
            return True
    return False


def _fills_unit(x: np.ndarray, seen: InputRange) -> bool:
    """Tell whether images fill 0 to 1, or -1 to 1, and the fit saw normalised ones."""
    if seen.low.ndim or x.dtype.kind != "f" or x.size < 64 or seen.low > -0.3:
        return False
    low, high = x.min(), x.max()
    return any(
        start <= low <= start + edge and 1 - edge <= high <= 1
        for start, edge in ((0, 0.1), (-1, 0.15))
        if seen.low < start - 0.3
    )


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    known = (a > 0) & (b > 0)
    return a[known] / b[known]


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _some(x: np.ndarray) -> np.ndarray:
    step = x.size // _N_VALUES + 1
    return x if step == 1 else x[::step]
