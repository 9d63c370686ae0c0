"""Training and test rows of each seed, the same for both students."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, check_cv
from sklearn.utils import check_consistent_length


class Fold(NamedTuple):
    """Indices of rows; all test rows are labelled."""

    train: np.ndarray
    test: np.ndarray


_PAIRS = (
    "expected pairs of row numbers, (train, test). Put a single split into a list, "
    "[(train, test)]."
)


def check_seeds(seeds: Any) -> list[int]:
    """Return the seeds as a list; an int n stands for 0 to n - 1."""
    whole = isinstance(seeds, Integral) and not isinstance(seeds, bool)
    if not whole and not isinstance(seeds, Iterable):
        raise TypeError(f"seeds={seeds!r}: expected a number of seeds, or a list.")
    numbers = [*range(int(seeds))] if whole else [*seeds]
    right = all(isinstance(n, Integral) and 0 <= int(n) < 2**32 for n in numbers)
    if not numbers or not right or len({*numbers}) < len(numbers):
        raise ValueError(
            f"seeds={seeds!r}: expected a whole number of at least 1, or different "
            "whole numbers of at least 0."
        )
    return [int(number) for number in numbers]


def folds_of_seeds(
    cv: Any, seeds: list[int], y: np.ndarray, labelled: np.ndarray, groups: Any
) -> list[list[Fold]]:
    """Return the folds of each seed, the same number for all.

    Rows without a label are never tested. They are training rows of each fold that a
    splitter makes, unless a row of their group is tested.
    """
    if groups is not None:
        check_consistent_length(groups, y)
        groups = np.asarray(groups)
    if not callable(cv) or hasattr(cv, "split"):
        # Split once: a splitter without a seed gives others each time.
        return [_folds(cv, y, labelled, groups)] * len(seeds)
    folds = [_folds(cv(seed), y, labelled, groups) for seed in seeds]
    numbers = [len(of_seed) for of_seed in folds]
    if len({*numbers}) > 1:
        raise ValueError(
            f"cv(seed) gives {numbers} folds for the seeds {seeds}: expected the same "
            "number for each."
        )
    return folds


def _folds(
    cv: Any, y: np.ndarray, labelled: np.ndarray, groups: np.ndarray | None
) -> list[Fold]:
    cv = 5 if cv is None else cv
    given = not isinstance(cv, Integral) and not hasattr(cv, "split")
    if given:
        folds = [_as_rows(split, len(y)) for split in cv]
        folds = [Fold(train, test[labelled[test]]) for train, test in folds]
    else:
        if groups is not None and isinstance(cv, Integral):
            cv = StratifiedGroupKFold(int(cv))
        folds = _split(cv, y, labelled, groups)
    if not folds:
        raise ValueError(f"cv={cv!r} gives no fold: expected one or more.")
    for number, (train, test) in enumerate(folds):
        _check_fold(number, train, test, groups)
    return folds


def _split(
    cv: Any, y: np.ndarray, labelled: np.ndarray, groups: np.ndarray | None
) -> list[Fold]:
    known, rest = np.flatnonzero(labelled), np.flatnonzero(~labelled)
    # Encoded: check_cv does not recognise objects as classes.
    _, y_encoded = np.unique(y[known], return_inverse=True)
    of_known = None if groups is None else groups[known]
    folds = []
    for train, test in check_cv(cv, y_encoded, classifier=True).split(
        known, y_encoded, of_known
    ):
        others = rest
        if groups is not None:
            others = rest[~np.isin(groups[rest], groups[known[test]])]
        folds.append(Fold(np.concatenate([known[train], others]), known[test]))
    return folds


def _as_rows(split: Any, n: int) -> Fold:
    try:
        train, test = (np.asarray(part) for part in split)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cv holds {split!r:.100}: {_PAIRS}") from error
    parts = [np.flatnonzero(p) if p.dtype == bool else p for p in (train, test)]
    for part in parts:
        if part.ndim != 1 or part.dtype.kind not in "iu" or not len(part):
            raise ValueError(
                f"cv holds an array of shape {part.shape} and dtype {part.dtype}: "
                f"{_PAIRS}"
            )
        outside = part[(part < 0) | (part >= n)]
        if len(outside):
            raise ValueError(f"cv names row {outside[0]}, and X has rows 0 to {n - 1}.")
    return Fold(*parts)


def _check_fold(
    number: int, train: np.ndarray, test: np.ndarray, groups: np.ndarray | None
) -> None:
    if not len(test):
        raise ValueError(f"Fold {number} has no labelled row to test.")
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(
            f"Fold {number} tests {len(both)} rows that train in it (the first is row "
            f"{both[0]}): expected rows that no student has seen."
        )
    if groups is not None:
        shared = np.intersect1d(groups[train], groups[test])
        if len(shared):
            raise ValueError(
                f"Fold {number} has {len(shared)} groups on both sides (the "
                f"first is {shared[0]!r}): use a splitter that keeps groups together, "
                "such as StratifiedGroupKFold."
            )
