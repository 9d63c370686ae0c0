"""A drawing of each display, for tests that look at all of them."""

import numpy as np
from matplotlib.text import Text

from skkd.displays import (
    ConfusionDifferenceDisplay,
    ParetoDisplay,
    ReliabilityDisplay,
    SoftLabelsDisplay,
    TemperatureAlphaDisplay,
    TrainingCurvesDisplay,
)

FEW = ["clean", "littered road after heavy rain"]
MANY = [
    f"{place} {thing}"
    for place in ("american football", "basketball", "billiard", "ice hockey", "golf")
    for thing in ("ball", "player", "court indoors", "x", "field", "trophy of 2019")
]


def draw_pareto(names, ax):
    rng = np.random.default_rng(len(names))
    cost = np.exp(rng.uniform(9, 17, size=len(names)))
    accuracy = np.minimum(0.6 + 0.02 * np.log(cost), 0.97) + rng.normal(
        scale=0.03, size=len(names)
    )
    error = np.full(len(names), 0.01)
    return ParetoDisplay(cost, accuracy, names=names, error=error).plot(ax=ax)


def draw_grid(names, ax):
    n = 3 if len(names) < 5 else 10
    temperature, alpha = np.meshgrid(np.geomspace(1, 16, n), np.linspace(0, 1, n))
    score = 0.9 + 0.03 * np.sin(np.log(temperature) + 3 * alpha)
    rows = (values.ravel() for values in (temperature, alpha, score))
    return TemperatureAlphaDisplay(*rows, score_name="mean balanced accuracy").plot(
        ax=ax
    )


def draw_points(names, ax):
    rng = np.random.default_rng(0)
    temperature, alpha = np.exp(rng.uniform(0, 2.8, size=60)), rng.random(60)
    alpha[0] = 0
    return TemperatureAlphaDisplay(
        temperature, alpha, -alpha * np.log(temperature), greater_is_better=False
    ).plot(ax=ax)


def draw_curves(names, ax):
    curves = {
        name: {"valid_loss": np.exp(-np.arange(20) / (5 + i))}
        for i, name in enumerate(names)
    }
    return TrainingCurvesDisplay(curves).plot(ax=ax)


def draw_two_keys(names, ax):
    curves = {
        name: {"train_loss": np.exp(-np.arange(20) / (5 + i)), "valid_loss": [0.5] * 20}
        for i, name in enumerate(names)
    }
    return TrainingCurvesDisplay(curves, comparable=False).plot(ax=ax)


def draw_soft(names, ax):
    logits = np.random.default_rng(0).normal(size=len(names)) * 3
    image = np.zeros((3, 8, 8), np.uint8)
    return SoftLabelsDisplay.from_predictions(
        logits, classes=names, label=names[0], image=image, ax=ax
    )


def draw_all_soft(names, ax):
    logits = np.random.default_rng(0).normal(size=len(names)) * 3
    return SoftLabelsDisplay.from_predictions(logits, classes=names, top=30, ax=ax)


def draw_reliability(names, ax):
    rng = np.random.default_rng(0)
    y = rng.integers(len(names), size=400)
    proba = {
        f"{name}, {i}": rng.dirichlet(np.full(len(names), 0.2), size=400)
        for i, name in enumerate(names)
    }
    return ReliabilityDisplay.from_predictions(y, proba, ax=ax)


def draw_difference(names, ax, normalize=None):
    rng = np.random.default_rng(0)
    y, first, second = rng.integers(len(names), size=(3, 900))
    return ConfusionDifferenceDisplay.from_predictions(
        y,
        {"distilled student": np.where(rng.random(900) < 0.8, y, first), "b": second},
        display_labels=names,
        normalize=normalize,
        ax=ax,
    )


def draw_shares(names, ax):
    return draw_difference(names, ax, "true")


DRAWN = [
    draw_pareto,
    draw_grid,
    draw_points,
    draw_curves,
    draw_two_keys,
    draw_soft,
    draw_all_soft,
    draw_reliability,
    draw_difference,
    draw_shares,
]


def texts_of(figure):
    """Return (text, box) of everything written in a figure."""
    found = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if not ax.axison:
                continue
            low, high = sorted(axis.get_view_interval())
            labels = [
                (tick.label1, place)
                for major in (True, False)
                for tick, place in zip(
                    axis.get_major_ticks() if major else axis.get_minor_ticks(),
                    axis.get_majorticklocs() if major else axis.get_minorticklocs(),
                    strict=True,
                )
            ]
            labels += [
                (tick.label2, p)
                for tick, p in zip(
                    axis.get_major_ticks(), axis.get_majorticklocs(), strict=True
                )
            ]
            found += [one for one, place in labels if low <= place <= high]
            found += [axis.label, axis.offsetText]
        found += [ax.title, *ax.texts]
        legend = ax.get_legend()
        if legend is not None:
            found += [*legend.get_texts(), legend.get_title()]
    return [
        (one.get_text(), Text.get_window_extent(one))  # of an annotation, not its line
        for one in found
        if one.get_visible() and one.get_text()
    ]
