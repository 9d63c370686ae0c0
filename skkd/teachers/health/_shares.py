"""How often a teacher decides for each class, compared with how often it is right to.

A teacher that is asked about rows on another scale than its training data often keeps
some order among them, but decides for one class, or a few, nearly always.
"""

from __future__ import annotations

import numpy as np

# Decisions for one class in three of four rows and more, if hardly a third of these
# have it; or shares of the classes that lie this far from those of the labels (total
# variation: 0 equal, 1 disjoint), by decisions and by mean probability. By both: a
# calibrated teacher of rare classes never decides for them, but its probabilities have
# the right mean. Scores have no such mean: they have to rank the rows better than they
# decide.
_ONE_CLASS, _TIMES = 0.75, 2.5
_DECISIONS_OFF, _MEAN_OFF, _RANKS_BETTER = 0.3, 0.1, 0.3
# What n rows of k classes differ by chance: at most 0.4 sqrt(k / n) on average.
_CHANCE = 0.4


def wrong_shares(
    log_p: np.ndarray,
    y_encoded: np.ndarray,
    classes: np.ndarray,
    *,
    is_poor: bool,
    ranks_better: float,
    scores: bool,
) -> str | None:
    """Describe how the shares of the decisions differ from those of the labels.

    `is_poor` tells whether the decisions are, `ranks_better` by how much the gain of
    the ranks is larger, `scores` whether these are no probabilities. None if the shares
    are right, or do no harm.
    """
    gap = ranks_better >= _RANKS_BETTER
    if not (is_poor or gap):
        return None
    n, k = log_p.shape
    labels = np.bincount(y_encoded, minlength=k) / n
    decisions = np.bincount(log_p.argmax(axis=1), minlength=k) / n
    top = int(decisions.argmax())
    of_chance = _CHANCE * np.sqrt(k / n)
    if decisions[top] < max(_ONE_CLASS, _TIMES * labels[top]):
        by_decisions = _distance(decisions, labels) - of_chance
        by_mean = _distance(np.exp(log_p).mean(axis=0), labels) - of_chance
        is_off = gap if scores else by_mean >= _MEAN_OFF
        if not is_off or by_decisions < _DECISIONS_OFF:
            return None
        top = int((decisions - labels).argmax())
    return (
        f"It decides for {classes.tolist()[top]!r} in {100 * decisions[top]:.0f} % of "
        f"the rows, and {100 * labels[top]:.0f} % have that label."
    )


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).sum() / 2)
