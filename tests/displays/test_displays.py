"""All displays: no label overlaps another, axes from anywhere, no matplotlib."""

import ast
import inspect
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import DRAWN, FEW, MANY, texts_of

import skkd.displays
from skkd.displays._style import shorten, shorten_all

SIZES = [(3.5, 2.6), (8, 6)]


def check_legible(figure):
    """Assert that no text meets another or leaves the figure."""
    figure.draw_without_rendering()
    texts = texts_of(figure)
    assert texts
    boxes = np.array([box.extents for _, box in texts])
    shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared -= np.maximum(boxes[:, None, :2], boxes[:, :2])
    meeting = np.triu(shared.min(axis=2) >= 0.5, k=1)
    pairs = [(texts[i][0], texts[j][0]) for i, j in np.argwhere(meeting)]
    assert not pairs, f"{len(pairs)} texts meet another: {pairs[:5]}"
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1
        inside &= box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text!r} leaves the figure: {box}"
    return [text for text, _ in texts]


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize(
    "names", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_no_text_meets_another(draw, names, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = draw(names, ax)
    assert display.ax_ is ax and display.figure_ is figure
    check_legible(figure)


def test_the_check_of_overlaps_can_fail():
    figure, ax = plt.subplots(figsize=(2, 2))
    ax.set_xticks(range(30), MANY)
    with pytest.raises(AssertionError, match=r"texts meet"):
        check_legible(figure)


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_axes_may_come_from_anywhere(draw):
    """Axes of a subfigure, axes without a grid, and none at all."""
    figure = plt.figure(figsize=(8, 4), layout="constrained")
    left, _ = figure.subfigures(1, 2)
    display = draw(FEW, left.subplots())
    assert display.figure_ is left
    check_legible(figure)
    free = plt.figure().add_axes((0.3, 0.3, 0.5, 0.6))
    assert draw(FEW, free).ax_ is free
    before = plt.get_fignums()
    assert draw(FEW, None).figure_.number not in before


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_without_matplotlib_the_error_names_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display.plot needs .*install matplotlib"):
        draw(FEW, None)


def test_importing_the_displays_does_not_import_matplotlib():
    for path in Path(skkd.displays.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "matplotlib" not in ast.unparse(node), path.name


def test_plot_takes_axes_by_keyword_only():
    for name in set(skkd.displays.__all__) - {"Reliability"}:
        parameters = inspect.signature(getattr(skkd.displays, name).plot).parameters
        assert parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY, name


def test_long_names_keep_both_ends():
    assert shorten("short", 8) == "short"
    assert shorten("a very long name", 9) == "a ve…name"
    assert len(shorten("a very long name", 10)) == 10
    brief = shorten_all(["long middle one end", "long centre two end"], 9)
    assert len(set(brief)) == 2


def test_the_example_writes_six_pictures(tmp_path, monkeypatch, capsys):
    examples = Path(__file__).parents[2] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    import plot_displays

    grid = {"temperature": [1, 4], "alpha": [0.5]}  # fewer fits than it makes
    monkeypatch.setattr(plot_displays, "GRID", grid)
    argv = ["plot_displays.py", str(tmp_path / "new"), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", argv)
    plot_displays.main()
    written = capsys.readouterr().out.split()
    assert len(written) == 6
    for path in written:
        assert plt.imread(path).std() > 0.05  # not an empty sheet
