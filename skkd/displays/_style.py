"""What the displays share: colours, markers, font sizes that fit, matplotlib."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from skkd._utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

# The palette of Okabe and Ito without its yellow, which is hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
QUIET = "0.55"  # gray of secondary lines

SMALLEST = 5.0  # points; text that needs a smaller font is left out
_LINE = 1.3  # height of a line of text, in font sizes
_LETTER = 0.6  # width of a letter, in font sizes, of an ordinary sans serif


def pyplot(caller: str) -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install matplotlib."
        ) from error
    return plt


def axes_for(ax: Axes | None, caller: str) -> Axes:
    """Return `ax`, or the axes of a new figure with constrained layout."""
    plt = pyplot(caller)
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def root_of(ax: Axes) -> Any:
    """Return the figure of `ax`, not the subfigure."""
    return ax.figure.figure


def base_size(ax: Axes) -> float:
    """Return the font size, in points, that suits the size of the figure of `ax`."""
    import matplotlib as mpl

    width, height = root_of(ax).get_size_inches()
    room = min(width / 6.4, height / 4.8)
    return float(mpl.rcParams["font.size"] * np.clip(0.35 + 0.65 * room, 0.68, 1.0))


def dress(ax: Axes, **labels: Any) -> None:
    """Set labels of `ax`, with all font sizes suited to the figure."""
    size = base_size(ax)
    ax.set(**{name: literal(text) for name, text in labels.items()})
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_fontsize(size)
    ax.tick_params(which="both", labelsize=size * 0.9)
    for offset in (ax.xaxis.offsetText, ax.yaxis.offsetText):
        offset.set_fontsize(size * 0.9)


def without_frame(ax: Axes) -> None:
    """Hide the frame at the top and on the right."""
    ax.spines[["top", "right"]].set_visible(False)


def series_style(index: int) -> dict[str, Any]:
    """Return colour, marker and line style of a series: never colour alone."""
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def legend(ax: Axes, panel: Axes | None = None, **kwargs: Any) -> Any:
    """Put the legend of `ax` into it, or into a panel of its own."""
    size = base_size(ax) * 0.9
    options: dict[str, Any] = {"handlelength": 2.2, "fontsize": size}
    if panel is None:
        return ax.legend(**(options | {"loc": "best", "framealpha": 0.85} | kwargs))
    handles, labels = ax.get_legend_handles_labels()
    handles = kwargs.pop("handles", handles)
    labels = kwargs.pop("labels", labels)
    height = size_in_points(panel)[1]
    n_lines = len(labels) + len(kwargs.get("title", "").split("\n"))
    size = max(min(size, height / n_lines / 1.27), 3.5)
    options |= {"loc": "upper left", "frameon": False, "borderaxespad": 0.0}
    options |= {"labelspacing": 0.15, "fontsize": size, "markerscale": size / 10}
    return panel.legend(handles, labels, **(options | kwargs))


def legend_panel(ax: Axes, n_entries: int, n_inside: int = 6) -> Axes | None:
    """Return a panel for a long legend beside `ax`, None if it fits into `ax`."""
    if n_entries <= n_inside:
        return None
    # With a layout engine the legend makes room for itself.
    share = 0.35 if ax.get_subplotspec() is None else 0.02
    panel = split(ax, (1 - share, share))[1]
    panel.set_axis_off()
    return panel


def split(
    ax: Axes, shares: Sequence[float], keep: int = 0, down: bool = False
) -> list[Axes]:
    """Divide `ax` into panels side by side, or one below the other.

    `ax` becomes panel number `keep`.
    """
    figure, spec, n = ax.figure, ax.get_subplotspec(), len(shares)
    if spec is not None:
        if down:
            grid = spec.subgridspec(n, 1, height_ratios=shares)
        else:
            grid = spec.subgridspec(1, n, width_ratios=shares)
        ax.set_subplotspec(grid[keep])
        return [ax if i == keep else figure.add_subplot(grid[i]) for i in range(n)]
    box, panels = ax.get_position(original=True), []
    edges = np.cumsum([0.0, *shares]) / sum(shares)
    for i, (low, high) in enumerate(pairwise(edges)):
        high -= 0.03 if i < n - 1 else 0  # a gap
        if down:
            bottom, height = box.y1 - high * box.height, (high - low) * box.height
            part = (box.x0, bottom, box.width, height)
        else:
            left, width = box.x0 + low * box.width, (high - low) * box.width
            part = (left, box.y0, width, box.height)
        if i == keep:
            ax.set_position(part)
        panels.append(ax if i == keep else figure.add_axes(part))
    return panels


def literal(name: Any) -> str:
    """Return `name` as matplotlib shows it letter by letter.

    A dollar begins no formula, and what cannot be shown is escaped. Artists whose label
    begins with an underscore would be left out of the legend.
    """
    text = re.sub(r"(?<!\\)\$", r"\\$", printable(str(name)))
    return f" {text}" if text.startswith("_") else text


def shorten(name: Any, length: int) -> str:
    """Return `name` in at most `length` letters, with an ellipsis in the middle."""
    return literal(_cut(printable(str(name)), length))


def shorten_all(names: Iterable[Any], length: int) -> list[str]:
    """Shorten `names`; those that would become the same keep more of their end."""
    names = [printable(str(name)) for name in names]
    short = [_cut(name, length) for name in names]
    for i, (name, brief) in enumerate(zip(names, short, strict=True)):
        if brief != name and short.count(brief) > 1:
            short[i] = "…" + name[1 - length :]
    return [*map(literal, short)]


def _cut(name: str, length: int) -> str:
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return name[: length - 1 - tail] + "…" + (name[-tail:] if tail else "")


def text_width(text: str, size: float) -> float:
    """Return the width of a line of text, in points, without drawing it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), text or " ", prop=FontProperties(size=size))
    return float(path.vertices[:, 0].max(initial=0))


def fit_label(text: Any, room: float) -> None:
    """Reduce the font size of a label that is longer than `room` points."""
    size = text.get_fontsize()
    text.set_fontsize(size * min(1.0, room / text_width(text.get_text(), size)))


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Return width and height of `ax` in points, after a layout pass."""
    figure = root_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    return current_size(ax)


def current_size(ax: Axes) -> tuple[float, float]:
    """Return width and height of `ax` in points, as of the last layout pass."""
    box, dpi = ax.get_window_extent(), root_of(ax).dpi
    return 72 * box.width / dpi, 72 * box.height / dpi


def name_ticks(ax: Axes, x: Sequence[Any] | None, y: Sequence[Any] | None) -> None:
    """Name the cells of a heat map along each axis, so that no names overlap.

    Names are shortened, rotated, made smaller, and finally only some are shown.
    """
    size = 0.9 * base_size(ax)
    width, height = (72 * side for side in root_of(ax).get_size_inches())
    names = {"x": x, "y": y}
    # Names take room from the axes, on which their size depends: two passes.
    for _ in range(2):
        along = dict(zip("xy", size_in_points(ax), strict=True))
        for which, given in names.items():
            if given is None:
                continue
            step = along[which] / len(given)
            letters = int(0.27 * min(width, 1.4 * height) / (size * _LETTER))
            short = shorten_all(given, max(letters, 6))
            widest = max(text_width(name, size) for name in short)
            turned = which == "x" and widest > 0.95 * step
            fitting = size if which == "x" and not turned else step / _LINE
            letter = min(size, max(fitting, SMALLEST))
            thin = which == "y" or turned
            every = math.ceil(letter * _LINE / step) if thin else 1
            shown = [n if i % every == 0 else "" for i, n in enumerate(short)]
            _set_ticks(ax, which, shown, letter, 90 if turned else 0)


def _set_ticks(
    ax: Axes, which: str, shown: list[str], size: float, rotation: int
) -> None:
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_ticks(range(len(shown)), shown)
    ax.tick_params(axis=which, labelsize=size, labelrotation=rotation)  # type: ignore[arg-type]


def cell_size(ax: Axes, texts: Iterable[str], columns: int, rows: int) -> float:
    """Return the font size at which `texts` fit into cells, 0 if they do not."""
    width, height = current_size(ax)
    longest = max((len(text) for text in texts), default=1)
    fitting = min(0.9 * width / columns / longest / _LETTER, height / rows / 1.6)
    size = min(0.9 * base_size(ax), fitting)
    return size if size >= SMALLEST else 0.0


def text_color_on(color: Any) -> str:
    """Return black or white, whichever is easier to read on `color`."""
    from matplotlib.colors import to_rgb

    channels = np.array(to_rgb(color))
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if luminance > 0.179 else "white"


def blue_orange() -> Colormap:
    """Return a diverging colour map on which black text can be read everywhere."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#D55E00", "#F7C08A", "#FFFFFF", "#9CCBEA", "#2F8FC8"]
    return LinearSegmentedColormap.from_list("orange_blue", stops)


def plain_log_ticks(ax: Axes) -> None:
    """Label a short logarithmic x axis at round numbers, as 2 and not as 2e0."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.xaxis.set_minor_formatter(NullFormatter())


def count(value: float) -> str:
    """Return a number as in 20, 20k, 2M, 2G."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:g}{unit}"
    return f"{value:g}"
