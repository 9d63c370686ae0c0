"""Names that are no ordinary text: markup, bytes, control characters, great length."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import DRAWN, texts_of

from skkd.displays import (
    ReliabilityDisplay,
    TemperatureAlphaDisplay,
    TrainingCurvesDisplay,
)
from skkd.displays._style import literal, shorten_all

ODD = [
    "$x_1$",
    r"$\frac{$",
    "_hidden",
    "two\nlines",
    "\x1b[31mred",
    b"bytes \xff\xfe".decode("utf-8", "surrogateescape"),
    "<b>&amp; %s {} \\",
    "long " * 1000,
]


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_odd_names_are_drawn_letter_by_letter(draw):
    figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
    try:
        draw(ODD, ax)
        with warnings.catch_warnings():
            # A long name leaves no room in one of them: the layout is not applied.
            warnings.filterwarnings("ignore", "constrained_layout not applied")
            figure.canvas.draw()
        for text, _ in texts_of(figure):
            assert "\n" not in text.strip() or "not comparable" in text
            assert "$" not in text.replace(r"\$", "")
            assert text.replace("…", "").isprintable() or "not comparable" in text
            assert len(text) < 120
    finally:
        plt.close(figure)


def test_no_series_is_left_out_of_a_legend():
    """Matplotlib leaves out what begins with an underscore."""
    curves = {name: {"train_loss": [2.0, 1.0]} for name in ("_plain", "_x$_$", "b")}
    rng = np.random.default_rng(0)
    y, proba = rng.integers(2, size=90), rng.dirichlet([1, 1], size=90)
    try:
        shown = TrainingCurvesDisplay(curves).plot()
        texts = [one.get_text() for one in shown.ax_.get_legend().get_texts()]
        assert texts == [" _plain", r" _x\$_\$", "b"]
        shown = ReliabilityDisplay.from_predictions(y, {"_a": proba, "_b": proba})
        assert len(shown.ax_.get_legend().get_texts()) == 3
    finally:
        plt.close("all")


def test_scores_with_odd_names():
    score = {"temperature": [1, 2, 1, 2], "alpha": [0.5, 0.5, 0.9, 0.9]}
    try:
        shown = TemperatureAlphaDisplay(
            *score.values(), [0.1, 0.2, 0.3, 0.4], score_name="$F_1$\n"
        ).plot()
        shown.figure_.canvas.draw()
    finally:
        plt.close("all")


def test_what_is_literal_once_stays_literal():
    for name in ODD:
        assert literal(literal(name)) in (literal(name), f" {literal(name)}")
    assert shorten_all(["$a$", "b"], 9) == [r"\$a\$", "b"]
