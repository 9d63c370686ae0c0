"""The interval of a gain, its verdict and how it is shown."""

import sys

import numpy as np
import pytest
from gain_students import X, student, y
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import ShuffleSplit

from skkd.report import Fit, Gain, gain
from skkd.report._gain._interval import crossed_interval
from skkd.report._gain._scoring import differences


def drawn(rng, n_seeds, n_rows, *, of_seed, of_row, of_both=1.0, mean=0.0):
    return (
        mean
        + of_seed * rng.normal(size=(n_seeds, 1))
        + of_row * rng.normal(size=n_rows)
        + of_both * rng.normal(size=(n_seeds, n_rows))
    )


@pytest.mark.parametrize("n_seeds", [1, 3, 5])
@pytest.mark.parametrize("of_seed", [0.0, 0.3])
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_intervals_hold_what_they_promise(n_seeds, of_seed, mean):
    rng = np.random.default_rng(7)
    of_seed = of_seed if n_seeds > 1 else 0.0
    held, n = 0, 1000
    for _ in range(n):
        d = drawn(rng, n_seeds, 60, of_seed=of_seed, of_row=0.5, mean=mean)
        means = d.mean(axis=1)
        low, high = crossed_interval(means, (d - means[:, None]) / 60, 0.95)
        held += low <= mean <= high
    assert 0.935 <= held / n <= 0.99


def test_a_bootstrap_would_promise_too_much():
    """What the interval is for: five seeds that differ, a bootstrap holds 86 %."""
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(300):
        d = drawn(rng, 5, 60, of_seed=1.0, of_row=0.2)
        means = d.mean(axis=1)
        low, high = crossed_interval(means, (d - means[:, None]) / 60, 0.95)
        seeds = rng.multinomial(5, [0.2] * 5, size=400) / 5
        rows = rng.multinomial(60, [1 / 60] * 60, size=400) / 60
        resampled = np.einsum("bs,sr,br->b", seeds, d, rows)
        bounds = np.quantile(resampled, [0.025, 0.975])
        held += [low <= 0 <= high, bounds[0] <= 0 <= bounds[1]]
    ours, bootstrap = held / 300
    assert ours > 0.92 and bootstrap < 0.91


def made(plain, distilled, truth, folds=None, **params):
    """Make a Gain of predictions, (n_seeds, n_rows)."""
    fits = []
    folds = [np.arange(len(truth))] if folds is None else folds
    for network, said in {"plain": plain, "distilled": distilled}.items():
        for seed, of_seed in enumerate(np.asarray(said)):
            for number, rows in enumerate(folds):
                fits.append(
                    Fit(
                        network, seed, number, rows, truth[rows], of_seed[rows], 1.0, 10
                    )
                )
    units = params.pop("units", np.arange(len(truth)))
    return Gain(tuple(fits), units, **params)


@pytest.fixture
def noisy():
    """Predictions of three seeds on 90 rows of three classes, unequally many."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [50, 25, 15])
    said = [
        np.where(rng.random((3, 90)) < share, truth, rng.integers(0, 3, (3, 90)))
        for share in (0.5, 0.7)
    ]
    return *said, truth


def test_one_seed_is_the_paired_t_interval(noisy):
    plain, distilled, truth = noisy
    result = made(plain[:1], distilled[:1], truth)
    d = (distilled[0] == truth) * 1.0 - (plain[0] == truth)
    from scipy.stats import ttest_1samp

    expected = ttest_1samp(d, 0).confidence_interval(0.95)
    assert result.interval == pytest.approx(tuple(expected))
    assert "covers other test rows, not other seeds or" in result.covers


def test_the_interval_by_its_formula(noisy):
    plain, distilled, truth = noisy
    folds = [np.arange(0, 90, 2), np.arange(1, 90, 2)]
    result = made(plain, distilled, truth, folds, confidence=0.9)
    d = (distilled == truth) * 1.0 - (plain == truth)
    from scipy.stats import t

    seeds = d.mean(axis=1).var(ddof=1) / 3
    rows = np.mean([np.cov(d)[i, j] for i in range(3) for j in range(3) if i != j]) / 90
    rows = max(rows, 0)
    width = np.sqrt(t.ppf(0.95, 2) ** 2 * seeds + t.ppf(0.95, 89) ** 2 * rows)
    width = max(width, t.ppf(0.95, 89) * (np.cov(d).mean() / 90) ** 0.5)
    assert result.interval == pytest.approx((d.mean() - width, d.mean() + width))


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("accuracy", accuracy_score),
        ("balanced_accuracy", balanced_accuracy_score),
    ],
)
def test_named_metrics_are_those_functions(noisy, metric, function):
    plain, distilled, truth = noisy
    one = made(plain, distilled, truth, metric=metric)
    two = made(plain, distilled, truth, metric=lambda t, p: function(t, p))
    assert one.plain == pytest.approx(two.plain)
    assert one.gain == pytest.approx(two.gain)
    widths = [np.diff(result.interval).item() for result in (one, two)]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)
    assert "points" in one.verdict and "points" not in two.verdict
    assert one.with_metric(two.metric).interval == two.interval


def test_a_copy_of_a_row_is_no_evidence(noisy):
    plain, distilled, truth = noisy
    once = made(plain, distilled, truth)
    twice = [np.concatenate([said, said], axis=-1) for said in (plain, distilled)]
    rows = np.concatenate([np.arange(90)] * 2)
    grouped = made(*twice, np.tile(truth, 2), units=rows, grouped=True)
    assert grouped.interval == pytest.approx(once.interval)
    assert "180 test rows in 90 groups" in grouped.covers
    alone = made(*twice, np.tile(truth, 2))
    assert np.diff(alone.interval) < np.diff(once.interval)


def test_rows_that_are_tested_twice_count_once(noisy):
    plain, distilled, truth = noisy
    once = made(plain, distilled, truth)
    again = made(plain, distilled, truth, [np.arange(90), np.arange(90)])
    assert again.interval == pytest.approx(once.interval)
    of_seeds, influence = differences(
        "accuracy",
        [
            [(a, b)]
            for a, b in zip(once._of("plain"), once._of("distilled"), strict=True)
        ],
        once.units,
    )
    assert influence.shape == (3, 90) and len(of_seeds) == 3
    assert influence.sum(axis=1) == pytest.approx(0)


def test_rows_that_are_not_tested_do_not_count():
    cv = ShuffleSplit(2, test_size=10, random_state=0)
    result = gain(student(), X, y, seeds=2, cv=cv)
    tested = {row for fit in result.predictions for row in fit.rows}
    assert f"{len(tested)} test rows" in result.covers


def test_agreement_on_few_rows_proves_nothing():
    truth = np.arange(20) % 2
    result = made(truth[None], truth[None], truth)
    low, high = result.interval
    assert low == -high and 0.05 < high < 0.15
    assert result.verdict.startswith("no evidence of a gain: +0.0 points")


def test_one_row_of_one_seed_proves_nothing():
    truth = np.array([1])
    result = made([[0]], [[1]], truth)
    assert result.interval == (-np.inf, np.inf)
    assert result.verdict.startswith("no evidence of a gain: +100.0 points")
    several = made([[0], [1]], [[1], [1]], truth)
    assert several.interval[0] < 0 < several.interval[1]
    assert "1 test row. The interval covers nothing, not" in result.covers
    assert "covers other seeds, not other test rows or" in several.covers
    group = np.zeros(2, dtype=int)
    one = made([[0, 1]], [[1, 1]], np.ones(2), units=group, grouped=True)
    assert "2 test rows in 1 group. The interval covers nothing" in one.covers


# Shown ----------------------------------------------------------------------


def test_verdicts():
    truth = np.zeros(100, dtype=int)
    right, wrong = np.zeros((2, 100)), np.arange(100) < [[20], [21]]
    better = made(wrong * 1.0, right, truth)
    assert better.verdict.startswith("gain of +20.5 points (95 % interval +")
    worse = made(right, wrong * 1.0, truth)
    assert worse.verdict.startswith("a loss of 20.5 points (95 % interval -")
    mixed = made(wrong * 1.0, (np.arange(100) > 79) * np.ones((2, 1)), truth)
    assert mixed.verdict.startswith("no evidence of a gain: +0.5 points (95 % inter")


def test_no_evidence_is_what_a_useless_teacher_gives():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(120, 3)).astype(np.float32)
    labels = rng.integers(0, 2, 120)
    result = gain(student(teacher=LogisticRegression()), noise, labels, seeds=3, cv=2)
    assert result.verdict.startswith("no evidence of a gain")


def test_shown_as_text_markdown_and_html(noisy):
    plain, distilled, truth = noisy

    def a_metric(y_true, y_pred):
        return accuracy_score(y_true, y_pred)

    a_metric.__name__ = "<script>"
    result = made(plain, distilled, truth)
    text = str(result).splitlines()
    assert text == repr(result).splitlines()
    assert text[0].split() == ["accuracy", "parameters", "seconds", "to", "fit"]
    assert text[1].startswith("plain student") and text[2].startswith("distilled")
    assert text[-2:] == [result.verdict, result.covers]
    lines = result.to_markdown().splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert all(line.count("|") == 5 for line in lines[:4])
    strange = result.with_metric(a_metric)
    assert "<script>" not in strange._repr_html_() and "score" in str(strange)


def test_shown_as_a_frame(noisy, monkeypatch):
    pd = pytest.importorskip("pandas")
    result = made(*noisy)
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame) and len(frame) == 6
    means = frame.groupby("network")["score"].mean()
    assert means["distilled"] - means["plain"] == pytest.approx(result.gain)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_frame()
