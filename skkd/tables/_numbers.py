"""Encoders of single columns: what a student gets of a number, and of a date."""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd._data.columns import numbers_of, seconds_of
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

# Fewer rows between two quantiles are no reason for a step.
_ROWS_OF_A_BIN = 20
# Scaled numbers of single precision: how far away, and how near to each other.
_LARGEST, _RESOLUTION = 1e30, 1e-5
_HUGE = 1e300
_DAY = 86400.0
_PERIODS = {"day": _DAY, "week": 7 * _DAY, "year": 365.2425 * _DAY}


# Rows to be looked up, and how often each is taken, both (n_lookups, n_samples).
Lookups = tuple[np.ndarray, np.ndarray]


class NumberEncoder:
    """Scale by median and quartiles, clip smoothly, and mark what is missing.

    Values beyond `clip` quartile ranges are pressed together below it, as in RealMLP
    (Holzmüller et al., 2024): one typing error does not squeeze all other rows. Beside
    the number stands its place between quantiles, a piecewise linear encoding
    (Gorishniy et al., 2022), from which a network learns steps as trees do. Quantiles
    of the distinct values tell apart what few rows have, as where most are zero.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    clip : float
        The largest absolute value of the scaled number.
    n_bins : int
        Between how many quantiles of the rows, and of the distinct values.
    """

    n_categories = 0

    def __init__(self, name: str, clip: float, n_bins: int = 0) -> None:
        self.name, self.clip, self.n_bins = name, clip, n_bins

    def fit(self, column: Any) -> NumberEncoder:
        return self.fit_numbers(numbers_of(column, self.name))

    def fit_numbers(self, numbers: np.ndarray) -> NumberEncoder:
        gaps = np.isnan(numbers)
        # Differences of larger ones would be infinite.
        known = np.clip(numbers[~gaps], -_HUGE, _HUGE)
        self.has_gaps, self.center, self.scale = bool(gaps.any()), 0.0, 0.0
        if len(known):
            q1, self.center, q3 = np.quantile(known, [0.25, 0.5, 0.75])
            size = q3 - q1
            if (
                size == 0
            ):  # half of the values are the same, as zeros: how far others lie
                away = np.abs(known[known != self.center] - self.center)
                size = np.median(away) if len(away) else np.inf
            self.scale = 1 / max(size, 1 / _HUGE)
        self.low, scaled = self._pieces(known)
        width = np.diff(scaled)
        self.slope = (1 / width).astype(np.float32)[:, None]
        self.start = (scaled[:-1] / width).astype(np.float32)[:, None]
        self.suffixes = ["", *[f"_from_{edge:g}" for edge in self.low]]
        self.suffixes += ["_missing"] * self.has_gaps
        return self

    def _pieces(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where pieces begin, and scaled where they begin and where all end.

        Of few rows there are fewer.
        """
        none = np.zeros(0), np.zeros(0)
        steps = np.linspace(0, 1, min(self.n_bins, len(known) // _ROWS_OF_A_BIN) + 1)
        if len(steps) < 3:
            return none
        quantiles = [np.quantile(v, steps) for v in (known, np.unique(known))]
        edges = np.unique(np.concatenate(quantiles))
        scaled = self._scaled(edges)
        # Of two values the number itself says all. Neighbours of one float are one.
        apart = _RESOLUTION * np.maximum(1, np.abs(scaled))
        wide = np.diff(scaled, append=np.inf) > apart
        return (edges[wide][:-1], scaled[wide]) if wide.sum() > 2 else none

    def _scaled(self, numbers: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            z = (numbers - self.center) * self.scale
        return np.clip(z, -_LARGEST, _LARGEST, out=z)

    def transform(self, column: Any, out: np.ndarray) -> None:
        self.transform_numbers(numbers_of(column, self.name), out)

    def transform_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        z, gaps = self._without_gaps(numbers)
        out[0] = self._clipped(z)
        if len(self.low):  # in single precision, which half of the memory is enough for
            pieces = out[1 : 1 + len(self.low)]
            np.multiply(self.slope, z.astype(np.float32), out=pieces)
            pieces -= self.start
            np.clip(pieces, 0, 1, out=pieces)
        if self.has_gaps:
            out[-1] = gaps

    def _without_gaps(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scaled numbers, of a gap that of the median, and where gaps are."""
        gaps, z = np.isnan(numbers), self._scaled(numbers)
        if gaps.any():
            z[gaps] = 0
            if not self.has_gaps:
                warn(
                    f"X: {self.name} has {int(gaps.sum())} gaps, and had none in fit: "
                    "the median takes their place. Fit on rows with such gaps, or fill "
                    "them in.",
                    DistillationWarning,
                )
        return z, gaps

    def _clipped(self, z: np.ndarray) -> np.ndarray:
        return z / np.sqrt(1 + np.square(z / self.clip))

    # As lookups (see skkd/tables/_lookups.py) ---------------------------------------

    @property
    def n_lookups(self) -> int:
        return 1 + 2 * bool(len(self.low)) + self.has_gaps

    def look_up(self, column: Any, out: Lookups, first: int, means: Any) -> None:
        self.look_up_numbers(numbers_of(column, self.name), out, first, means)

    def look_up_numbers(
        self, numbers: np.ndarray, out: Lookups, first: int, means: Any
    ) -> None:
        z, gaps = self._without_gaps(numbers)
        index, weight = out
        index[0], weight[0] = first, self._clipped(z).astype(np.float32) - means[0]
        if len(self.low):
            z = z.astype(np.float32)
            start, slope = self.start[:, 0], self.slope[:, 0]
            piece = np.searchsorted(start[1:] / slope[1:], z, side="right")
            place = np.multiply(slope.take(piece), z, out=weight[2])
            place -= start.take(piece)
            np.clip(place, 0, 1, out=place)
            np.subtract(1, place, out=weight[1])
            index[1], index[2] = piece + (first + 1), piece + (first + 2)
        if self.has_gaps:
            index[-1], weight[-1] = first + self.n_rows - 1, gaps - means[-1]

    @property
    def n_rows(self) -> int:
        return len(self.suffixes) + bool(len(self.low))

    def rows(self, weights: np.ndarray, means: np.ndarray, codes: Any) -> np.ndarray:
        part = slice(1, 1 + len(self.low))
        pieces = weights[part]
        if len(pieces):  # all that lie below are 1
            pieces = np.vstack([np.zeros_like(pieces[:1]), pieces.cumsum(axis=0)])
            pieces -= means[part] @ weights[part]
        return np.vstack([weights[:1], pieces, weights[part.stop :]])


class DateEncoder:
    """Give the time as a number, and its place in the day, the week and the year.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    clip : float
        As of :class:`NumberEncoder`.
    """

    n_categories = 0

    def __init__(self, name: str, clip: float) -> None:
        self.name, self.time = name, NumberEncoder(name, clip)

    def fit(self, column: Any) -> DateEncoder:
        seconds = seconds_of(column, self.name)
        self.time.fit_numbers(seconds)
        known = seconds[~np.isnan(seconds)]
        self.periods = {  # dates without a time of day have one place in the day
            name: period
            for name, period in _PERIODS.items()
            if len(known) and np.ptp(known % period) > 0
        }
        self.suffixes = [f"_time{suffix}" for suffix in self.time.suffixes]
        for name in self.periods:
            self.suffixes += [f"_{name}_sin", f"_{name}_cos"]
        return self

    def transform(self, column: Any, out: np.ndarray) -> None:
        seconds = seconds_of(column, self.name)
        n_time = len(self.time.suffixes)
        self.time.transform_numbers(seconds, out[:n_time])
        out[n_time:] = self._circles(seconds)

    def _circles(self, seconds: np.ndarray) -> np.ndarray:
        """Return sine and cosine of each period; a gap is in the middle, at zero."""
        circles = [np.zeros((0, len(seconds)))]
        for period in self.periods.values():
            angle = 2 * np.pi / period * seconds
            circles.append(np.stack([np.sin(angle), np.cos(angle)]))
        return np.nan_to_num(np.concatenate(circles), copy=False)

    # As lookups (see skkd/tables/_lookups.py) ---------------------------------------

    @property
    def n_lookups(self) -> int:
        return self.time.n_lookups + 2 * len(self.periods)

    def look_up(self, column: Any, out: Lookups, first: int, means: Any) -> None:
        seconds, (index, weight) = seconds_of(column, self.name), out
        n, n_time = self.time.n_lookups, len(self.time.suffixes)
        of_time = index[:n], weight[:n]
        self.time.look_up_numbers(seconds, of_time, first, means[:n_time])
        # As much as single precision holds, which the mean is subtracted from there.
        weight[n:] = self._circles(seconds).astype(np.float32) - means[n_time:, None]
        index[n:] = first + self.time.n_rows + np.arange(len(index) - n)[:, None]

    @property
    def n_rows(self) -> int:
        return self.time.n_rows + 2 * len(self.periods)

    def rows(self, weights: np.ndarray, means: np.ndarray, codes: Any) -> np.ndarray:
        n_time = len(self.time.suffixes)
        of_time = self.time.rows(weights[:n_time], means[:n_time], None)
        return np.vstack([of_time, weights[n_time:]])
