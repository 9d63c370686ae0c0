"""Statistics of how well a teacher's outputs agree with the labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest, rankdata

# A permutation has to win this much recall, on rows that did not choose it, and to give
# this share of its classes the column that most of their rows are assigned to: a
# teacher of other labels assigns several classes to one column.
_MARGIN = 0.2
_ONE_TO_ONE = 0.8
_SIGNIFICANCE = 1e-3


class Evidence(NamedTuple):
    """How far scores rise above chance, 0, towards a perfect teacher, 1."""

    gain: float
    deviation: float  # standard deviation of `gain` if labels are random

    @property
    def z(self) -> float:
        return self.gain / self.deviation if self.deviation > 0 else 0.0

    def is_below(self, bound: float) -> bool:
        """Tell whether a gain of `bound` or more can be excluded, at 1 %."""
        return self.gain + 2.33 * self.deviation < bound


def evidence_of_decisions(decisions: np.ndarray, y_encoded: np.ndarray) -> Evidence:
    """Return the mean recall of the classes, as its gain over chance."""
    present, columns = np.unique(y_encoded, return_inverse=True)
    hits = 1.0 * (decisions[:, None] == present)  # (n, n_present)
    return _evidence(hits, columns, 1 - 1 / len(present))


def evidence_of_ranks(scores: np.ndarray, y_encoded: np.ndarray) -> Evidence:
    """Return how well each class's column ranks its rows first, as gain over chance.

    The gain is ``2 * AUC - 1``, the mean of one class against the rest. It counts what
    a teacher knows of a rare class that it never predicts.
    """
    present, columns = np.unique(y_encoded, return_inverse=True)
    ranks = rankdata(scores[:, present], axis=0)
    others = len(y_encoded) - np.bincount(columns)
    # Ranks over all rows; those of the rest alone make the area.
    return _evidence((ranks - (len(y_encoded) + 1) / 2) / others * 2, columns, 1.0)


def gain_of_reordering(scores: np.ndarray, y_encoded: np.ndarray) -> float:
    """Return how much better the best order of the columns ranks the rows.

    As a difference of ``2 * AUC - 1``, mean of the classes that have another column.
    """
    present, columns = np.unique(y_encoded, return_inverse=True)
    n, counts = len(y_encoded), np.bincount(columns)
    sums = np.zeros((len(present), scores.shape[1]))
    np.add.at(sums, columns, rankdata(scores, axis=0))
    gains = (sums / counts[:, None] - (n + 1) / 2) / (n - counts)[:, None] * 2
    best = linear_sum_assignment(gains, maximize=True)[1]
    rows = np.arange(len(present))[best != present]
    won = gains[rows, best[rows]] - gains[rows, present[rows]]
    return float(won.mean()) if len(won) else 0.0


def _evidence(values: np.ndarray, y_encoded: np.ndarray, perfect: float) -> Evidence:
    """Compare the class mean of ``values[i, y_encoded[i]]`` with shuffled labels.

    Mean and variance over all permutations of the labels are known exactly
    (Hoeffding 1951, "A combinatorial central limit theorem", theorem 2).
    """
    n, counts = len(y_encoded), np.bincount(y_encoded)
    weighted = values / (counts * len(counts))  # (n, n_present)
    shares = counts / n
    by_row = weighted @ shares
    by_class = weighted.mean(axis=0)
    chance = by_row.mean()
    centred = weighted - by_row[:, None] - by_class + chance
    variance = (centred**2 @ counts).sum() / (n - 1)
    seen = weighted[np.arange(n), y_encoded].sum()
    deviation = float(np.sqrt(variance)) / perfect
    return Evidence(float(seen - n * chance) / perfect, deviation)


def is_less_accurate(decisions: np.ndarray, y_encoded: np.ndarray) -> bool:
    """Tell whether predicting the most frequent class is significantly better."""
    right = decisions == y_encoded
    majority = y_encoded == np.bincount(y_encoded).argmax()
    return _is_more(int((majority & ~right).sum()), int((right & ~majority).sum()))


def find_permutation(
    decisions: np.ndarray, y_encoded: np.ndarray, n_classes: int
) -> np.ndarray | None:
    """Return the class of each column; None if no permutation is clearly better.

    It is found on one half of the rows and confirmed on the other, cycle by cycle: two
    columns may be swapped among many.
    """
    order = np.argsort(y_encoded, kind="stable")
    one, other = (
        _confusion(decisions[half], y_encoded[half], n_classes)
        for half in (order[::2], order[1::2])
    )
    first = _best_permutation(one)
    moved = [c for c in _cycles(first) if _is_confirmed(c, first[c], other)]
    if not moved:
        return None
    among = np.ix_(np.concatenate(moved), np.concatenate(moved))
    both = np.zeros_like(one)  # all rows give the best estimate
    both[among] = one[among] + other[among]
    final = _best_permutation(both)
    return final if (final != np.arange(n_classes)).any() else None


def _confusion(decisions: np.ndarray, y_encoded: np.ndarray, n: int) -> np.ndarray:
    counts = np.zeros((n, n))  # (column, class)
    np.add.at(counts, (decisions, y_encoded), 1.0)
    return counts


def _best_permutation(counts: np.ndarray) -> np.ndarray:
    recall = counts / np.maximum(counts.sum(axis=0), 1)
    # On ties, columns stay where they are.
    return linear_sum_assignment(recall + 1e-6 * np.eye(len(counts)), maximize=True)[1]


def _cycles(permutation: np.ndarray) -> list[np.ndarray]:
    """Return the columns of each cycle of two or more."""
    n = len(permutation)
    steps = coo_array((np.ones(n), (np.arange(n), permutation)), shape=(n, n))
    n_cycles, cycle_of = connected_components(steps)
    cycles = [np.flatnonzero(cycle_of == i) for i in range(n_cycles)]
    return [cycle for cycle in cycles if len(cycle) > 1]


def _is_confirmed(cycle: np.ndarray, meant: np.ndarray, counts: np.ndarray) -> bool:
    """Tell whether columns `cycle` stand for the classes `meant`."""
    rows = np.maximum(counts[:, meant].sum(axis=0), 1)
    after, before = counts[cycle, meant], counts[meant, meant]
    gain = ((after - before) / rows).mean()
    one_to_one = (after == counts[:, meant].max(axis=0)).mean()
    won, lost = int(after.sum()), int(before.sum())
    return gain > _MARGIN and one_to_one >= _ONE_TO_ONE and _is_more(won, lost)


def _is_more(won: int, lost: int) -> bool:
    if won <= lost:
        return False
    return binomtest(won, won + lost, alternative="greater").pvalue < _SIGNIFICANCE
