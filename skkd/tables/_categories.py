"""The encoder of a column of categories: what a student gets of their levels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from skkd._data.columns import levels_of
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning
from skkd.tables._numbers import Lookups


class CategoryEncoder:
    """Give each level a column, or a number; rare levels share one.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    max_categories, min_frequency : int
        Where there are more than `max_categories` levels, at most so many keep their
        own, of those in `min_frequency` rows or more.
    as_codes : bool
        Whether a level becomes a number, 0 standing for unknown levels.
    """

    def __init__(
        self, name: str, max_categories: int, min_frequency: int, as_codes: bool
    ) -> None:
        self.name, self.as_codes = name, as_codes
        self.max_categories, self.min_frequency = max_categories, min_frequency

    def fit(self, column: Any) -> CategoryEncoder:
        codes, levels = levels_of(column, self.name)
        counts = Counter(codes.tolist())
        # In an order of their own, whatever that of the rows or of the levels is.
        seen = sorted(
            (i for i in range(len(levels)) if counts[i]), key=lambda i: str(levels[i])
        )
        kept = seen
        if len(seen) > self.max_categories:
            often = [i for i in seen if counts[i] >= self.min_frequency]
            often.sort(key=lambda i: -counts[i])
            kept = often[: self.max_categories]
            if not kept:
                self._warn_of_rare_levels(len(seen), len(codes))
        names = [levels[i] for i in kept]
        self.kinds = {_kind(level) for level in (levels[i] for i in seen)}
        self.example = levels[seen[0]] if seen else None
        # Number 0 is for levels that are not known.
        self.number: dict[Any, int] = {level: i for i, level in enumerate(names, 1)}
        self.suffixes = [f"_{level}" for level in names]
        self.rare = self.missing = 0
        if len(kept) < len(seen):
            self.suffixes.append("_rare")
            self.rare = len(self.suffixes)
            self.number.update((levels[i], self.rare) for i in seen if i not in {*kept})
        if counts[-1]:
            self.suffixes.append("_missing")
            self.missing = len(self.suffixes)
        self.n_levels = len(self.suffixes)
        if self.as_codes:
            self.suffixes = [""]
        return self

    @property
    def n_categories(self) -> int:
        return self.n_levels + 1 if self.as_codes else 0

    def transform(self, column: Any, out: np.ndarray) -> None:
        numbers = self._numbers(column)
        if self.as_codes:
            out[0] = numbers
        else:
            known = np.flatnonzero(numbers)
            out[numbers[known] - 1, known] = 1

    def _numbers(self, column: Any, first: int = 0) -> np.ndarray:
        """Return the number of the level of each row, counted from `first`."""
        codes, levels = levels_of(column, self.name)
        numbers = [self.number.get(level, self.rare) for level in levels]
        self._check_kinds([v for v in levels if v not in self.number], codes, levels)
        # Code -1, of a gap, is the last.
        return np.array([*numbers, self.missing], dtype=np.int32)[codes] + first

    # As lookups (see skkd/tables/_lookups.py) ---------------------------------------

    n_lookups = 1

    def look_up(self, column: Any, out: Lookups, first: int, means: Any) -> None:
        index, weight = out
        index[0], weight[0] = self._numbers(column, first), 1

    @property
    def n_rows(self) -> int:
        return self.n_levels + 1

    def rows(self, weights: np.ndarray, means: np.ndarray, codes: Any) -> np.ndarray:
        if codes is not None:  # embedded
            return codes
        if self.as_codes:  # taken for numbers
            return (np.arange(self.n_rows)[:, None] - means) * weights
        return np.vstack([np.zeros_like(weights[:1]), weights]) - means @ weights

    def _check_kinds(
        self, unknown: list[Any], codes: np.ndarray, levels: list[Any]
    ) -> None:
        """Raise if unknown levels are of a type that the levels of the fit were not."""
        for level in unknown:
            if self.kinds and _kind(level) not in self.kinds:
                if not (codes == levels.index(level)).any():
                    continue  # declared, and in no row
                raise ValueError(
                    f"X: {self.name} holds {level!r:.40} ({type(level).__name__}), and "
                    f"in fit it held {self.example!r:.40} "
                    f"({type(self.example).__name__}): pass values of the same type."
                )

    def _warn_of_rare_levels(self, n_levels: int, n_rows: int) -> None:
        warn(
            f"X: {self.name} has {n_levels} levels in {n_rows} rows, none of them in "
            f"{self.min_frequency} rows: nothing can be learnt from it. Leave it out, "
            "or encode it by a preprocessor= of your own.",
            DistillationWarning,
        )


def _kind(level: Any) -> type:
    return str if isinstance(level, (str, bytes)) else float
