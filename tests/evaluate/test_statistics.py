"""Intervals and tests, against scipy and by hand."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import binomtest, bootstrap

from skkd._evaluate.statistics import bootstrap_mean, holm, mcnemar, standard_error


def test_the_interval_is_that_of_a_paired_bootstrap():
    rng = np.random.default_rng(0)
    difference = rng.choice([-1, 0, 1], p=[0.1, 0.6, 0.3], size=200).astype(float)
    expected = bootstrap(
        (difference,), np.mean, method="percentile", n_resamples=20_000, random_state=1
    ).confidence_interval
    assert_allclose(bootstrap_mean(difference, rng=0), expected, atol=0.006)


def test_copies_of_a_row_are_drawn_together():
    rng = np.random.default_rng(0)
    difference = rng.choice([-1.0, 0, 1], p=[0.1, 0.6, 0.3], size=100)
    groups = np.arange(100)
    alone = bootstrap_mean(difference, groups, rng=0)
    copies = bootstrap_mean(np.repeat(difference, 4), np.repeat(groups, 4), rng=0)
    assert alone == copies == bootstrap_mean(difference, rng=0)
    wrong = bootstrap_mean(np.repeat(difference, 4), rng=0)
    assert wrong[1] - wrong[0] < 0.6 * (copies[1] - copies[0])


def test_groups_of_several_sizes_against_draws_of_them():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, size=150)
    values = rng.choice([-1.0, 0, 1], size=150) + 0.3 * (groups % 3)
    names = np.unique(groups)
    means = []
    for _ in range(4000):
        drawn = rng.choice(names, size=len(names))
        means.append(np.mean(np.concatenate([values[groups == g] for g in drawn])))
    expected = np.quantile(means, [0.025, 0.975])
    assert_allclose(bootstrap_mean(values, groups, rng=0), expected, atol=0.02)
    assert_allclose(standard_error(values, groups), np.std(means), rtol=0.08)


def test_mcnemar_by_hand():
    right = np.array([1] * 9 + [0] * 3 + [1] * 20, dtype=bool)
    other = np.array([0] * 9 + [1] * 3 + [1] * 20, dtype=bool)
    expected = 2 * sum(map(lambda k: binomial(12, k), range(4))) / 2**12
    assert_allclose(mcnemar(right, other), expected)
    assert mcnemar(right, right) == 1.0
    copies = np.arange(32).repeat(3)
    assert_allclose(mcnemar(right.repeat(3), other.repeat(3), copies), expected)
    assert binomtest(27, 36).pvalue < expected / 10


def binomial(n, k):
    out = 1
    for i in range(k):
        out = out * (n - i) // (i + 1)
    return out


def test_holm_by_hand():
    assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(holm([0.6, 0.7]), [1, 1])
    assert holm([]).size == 0
