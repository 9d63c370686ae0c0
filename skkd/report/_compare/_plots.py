"""The plots of a page, as SVG."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skkd.displays import ConfusionDifferenceDisplay, ParetoDisplay, ReliabilityDisplay

# Readable when it is shown as wide as a phone.
_INCHES = (5.2, 4.2)
# With fewer rows in a bin a reliability curve shows chance.
_ROWS_OF_A_BIN = 60


@dataclass(frozen=True)
class Plot:
    """A picture, the text for readers who cannot see it, and its caption."""

    svg: bytes
    alt: str
    caption: str


def plots_of(result: Any) -> list[Plot]:
    """Return the plots that apply to a comparison.

    Raises ImportError if matplotlib is not installed.
    """
    plots = (_accuracy_against_size(result), _reliability(result), _confusion(result))
    return [plot for plot in plots if plot is not None]


def _accuracy_against_size(result: Any) -> Plot | None:
    of_all = all(values["parameters"] for values in result.measures.values())
    cost = "parameters" if of_all else "bytes"
    shown = {name: v for name, v in result.measures.items() if v[cost]}
    if len(shown) < 2:
        return None
    words = ", ".join(
        f"{name} {v['accuracy']:.3f} with {v[cost]:,} {cost}"
        for name, v in shown.items()
    )
    return Plot(
        _drawn(lambda ax: ParetoDisplay.from_results(shown, cost=cost, ax=ax)),
        f"Accuracy against {cost}: {words}.",
        "Accuracy against size, with standard errors: the higher and the further left, "
        "the better. The line joins the models that no other beats in both.",
    )


def _reliability(result: Any) -> Plot | None:
    proba = {
        name: one.proba
        for name, one in result.predictions.items()
        if one.proba is not None
    }
    if not proba:
        return None
    errors = ", ".join(
        f"{name} {result.measures[name]['calibration_error']:.3f}" for name in proba
    )
    n_bins = min(15, max(3, len(result.y) // _ROWS_OF_A_BIN))

    def draw(ax: Any) -> None:
        shown = ReliabilityDisplay.from_predictions(
            result.y, proba, classes=result.classes, n_bins=n_bins, ax=ax
        )
        # The errors are those of the table, whatever the bins of the plot.
        legend: Any = shown.ax_.get_legend()
        _, *names = legend.get_texts()
        for text, name in zip(names, proba, strict=True):
            error = result.measures[name]["calibration_error"]
            text.set_text(f"{text.get_text().rpartition(', ECE')[0]}, ECE {error:.3f}")

    return Plot(
        _drawn(draw),
        f"Reliability curves. Expected calibration errors: {errors}.",
        f"How often a model is right, against its confidence, in {n_bins} bins. On the "
        "diagonal the two are equal; below it the model is overconfident, above it "
        "underconfident.",
    )


def _confusion(result: Any) -> Plot | None:
    names = _two(result)
    if names is None:
        return None
    first, second = names
    predicted = {name: result.predictions[name].labels for name in names}
    return Plot(
        _drawn(
            lambda ax: ConfusionDifferenceDisplay.from_predictions(
                result.y, predicted, labels=result.classes, ax=ax
            )
        ),
        f"Confusion matrix of {first} minus that of {second}.",
        f"Rows by true and predicted label: those of {first} minus those of {second}. "
        f"More on the diagonal, or fewer elsewhere, is better for {first}.",
    )


def _two(result: Any) -> tuple[str, str] | None:
    """Return a student and the model that it is compared with."""
    roles = [name for name in (result.baseline, result.teacher) if name is not None]
    others = [name for name in result.predictions if name not in roles]
    if others and roles:
        return others[0], roles[0]
    names = roles or others
    return (names[0], names[1]) if len(names) > 1 else None


def _drawn(draw: Callable[[Any], Any]) -> bytes:
    from matplotlib import style
    from matplotlib.figure import Figure

    # Whatever the user's settings of matplotlib: the same bytes each time.
    own = {"svg.hashsalt": "skkd", "font.size": 12}
    with style.context(["default", own]):
        figure = Figure(figsize=_INCHES, layout="constrained")
        draw(figure.subplots())
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
