"""ParetoDisplay: the front, names and costs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import MANY, draw_pareto

from skkd.displays import ParetoDisplay
from skkd.displays._style import shorten
from skkd.report import compare


def test_front_is_what_brute_force_finds():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.integers(1, 8, size=40), rng.integers(0, 8, size=40) / 10
    display = ParetoDisplay(cost, accuracy, names=[""] * 40)
    for i in range(40):
        beaten = any(
            cost[j] <= cost[i]
            and accuracy[j] >= accuracy[i]
            and (cost[j], accuracy[j]) != (cost[i], accuracy[i])
            for j in range(40)
        )
        assert display.on_front[i] == (not beaten)


def test_pareto_marks_dominated_models_apart():
    display = ParetoDisplay.from_results(
        {"large": (1e6, 0.9), "small": (1e4, 0.8), "worse": (1e5, 0.7)}
    )
    assert display.line_.get_xydata().tolist() == [[1e4, 0.8], [1e6, 0.9]]
    front, others = display.ax_.lines[1:3]
    assert len(front.get_xdata()) == 2 and len(others.get_xdata()) == 1
    assert others.get_markerfacecolor() == "white"
    assert display.ax_.get_xscale() == "log"
    assert [text.get_text() for text in display.text_] == ["large", "small", "worse"]


def test_pareto_falls_back_to_a_key():
    _, ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    display = draw_pareto(MANY, ax)
    order = np.argsort(display.cost)
    lines = [text.get_text() for text in display.legend_.get_texts()]
    for number, i in enumerate(order, start=1):
        assert display.text_[i].get_text() == str(number)
        assert lines[number - 1] == f"{number}  {shorten(MANY[i], 20)}"


def test_pareto_of_estimators(iris, fitted):
    X, y = iris
    networks = {name: fitted[name] for name in ("plain", "distilled")}
    display = ParetoDisplay.from_estimators(networks, X, y)
    assert display.accuracy.tolist() == [n.score(X, y) for n in networks.values()]
    counts = [
        sum(p.numel() for p in net.module_.parameters())
        for net in (fitted["plain"], fitted["distilled"][-1])
    ]
    assert display.cost.tolist() == counts
    hit = display.accuracy
    np.testing.assert_allclose(display.error, np.sqrt(hit * (1 - hit) / 150), rtol=0.01)
    sizes = ParetoDisplay.from_estimators(fitted, X, y, cost="bytes").cost
    assert sizes[1] > 4 * counts[0]  # of float32


def test_pareto_shows_latency_in_milliseconds(iris, fitted):
    X, y = iris
    result = compare({"plain": fitted["plain"]}, X, y, batch_size=1)
    display = ParetoDisplay.from_results(result, cost="latency")
    seconds = result.measures["plain"]["latency"]
    assert display.cost.tolist() == [seconds]
    assert display.ax_.get_xlabel() == "latency of one row, ms"
    assert display.line_.get_xdata()[0] == pytest.approx(1000 * seconds)


def test_pareto_of_a_comparison(iris, fitted):
    X, y = iris
    result = compare(fitted, X, y, timing=False)
    for results in (result, result.measures):
        display = ParetoDisplay.from_results(results, cost="bytes", score="log_loss")
        for i, name in enumerate(fitted):
            measures = result.measures[name]
            assert display.cost[i] == measures["bytes"]
            assert display.accuracy[i] == measures["log_loss"]


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        ([(1, 0.5)], TypeError, "mapping of names"),
        ({}, ValueError, "results is empty"),
        ({"a": (1,)}, ValueError, "expected .cost, accuracy"),
        ({"a": 3}, ValueError, "expected .cost, accuracy"),
        ({"a": (0, 0.5)}, ValueError, "a has parameters 0.0"),
        ({"a": (1, np.nan)}, ValueError, "accuracy nan"),
    ],
)
def test_pareto_refuses(results, error, message):
    with pytest.raises(error, match=message):
        ParetoDisplay.from_results(results)


def test_pareto_refuses_lengths_and_costs(iris, fitted):
    X, y = iris
    with pytest.raises(ValueError, match=r"cost: 2, accuracy: 1, names: 1"):
        ParetoDisplay([1, 2], [0.5], names=["a"]).plot()
    with pytest.raises(ValueError, match=r"teacher has no parameters, only .*bytes"):
        ParetoDisplay.from_estimators(fitted, X, y)
    with pytest.raises(ValueError, match=r"X: 150, y: 149"):
        ParetoDisplay.from_estimators(fitted, X, y[1:])


def test_pareto_of_groups_has_larger_errors(iris, fitted):
    X, y = iris
    copies, groups = np.repeat(np.arange(150), 2), np.repeat(np.arange(150), 2)
    plain = {"plain": fitted["plain"]}
    once = ParetoDisplay.from_estimators(plain, X, y)
    twice = ParetoDisplay.from_estimators(plain, X[copies], y[copies])
    grouped = ParetoDisplay.from_estimators(plain, X[copies], y[copies], groups=groups)
    np.testing.assert_allclose(grouped.error, once.error)
    np.testing.assert_allclose(twice.error, once.error / np.sqrt(2))
