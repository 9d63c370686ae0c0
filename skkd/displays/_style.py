"""What the displays share: colours, marks, letters that fit, matplotlib when asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

# The palette of Okabe and Ito without its yellow, which is lost on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
QUIET = "0.55"  # gray of what stands back

SMALLEST = 5.0  # points; below that letters are left out
_LINE = 1.3  # height of a line of text, in font sizes
_LETTER = 0.6  # width of a letter, in font sizes, of an ordinary sans serif


def pyplot(caller: str) -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib: pip install "skkd[plot]".'
        ) from error
    return plt


def axes_for(ax: Axes | None, caller: str) -> Axes:
    """Return `ax`, or the axes of a new figure that keeps room for its labels."""
    plt = pyplot(caller)
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def root_of(ax: Axes) -> Any:
    """Return the figure of `ax` that is drawn, not the part of it that holds `ax`."""
    return ax.figure.figure


def base_size(ax: Axes) -> float:
    """Return the size of letters, in points, for a figure as large as that of `ax`."""
    import matplotlib as mpl

    width, height = root_of(ax).get_size_inches()
    room = min(width / 6.4, height / 4.8)
    return float(mpl.rcParams["font.size"] * np.clip(0.35 + 0.65 * room, 0.68, 1.0))


def dress(ax: Axes, **labels: Any) -> None:
    """Set labels of `ax`, all its letters in a size that suits the figure."""
    size = base_size(ax)
    ax.set(**labels)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_fontsize(size)
    ax.tick_params(which="both", labelsize=size * 0.9)
    for offset in (ax.xaxis.offsetText, ax.yaxis.offsetText):
        offset.set_fontsize(size * 0.9)


def without_frame(ax: Axes) -> None:
    """Leave only the axes that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)


def series_style(index: int) -> dict[str, Any]:
    """Return colour, marker and line of series number `index`, none by colour alone."""
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def legend(ax: Axes, n_entries: int, inside: int = 6, **kwargs: Any) -> Any:
    """Put a legend into `ax`, or beside it where it has many entries."""
    size = base_size(ax) * 0.9
    options: dict[str, Any] = {"loc": "best", "framealpha": 0.85}
    if n_entries > inside:
        height = 0.85 * root_of(ax).get_size_inches()[1] * 72
        size = max(min(size, height / n_entries / _LINE), 3.5)
        options = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "frameon": False}
        options |= {"borderaxespad": 0.0, "labelspacing": 0.15}
    options |= {"fontsize": size, "handlelength": 2.2} | kwargs
    return ax.legend(**options)


def panel(ax: Axes, where: str, share: float, **kwargs: Any) -> Axes:
    """Cut a new panel off `ax`: `share` of its room, "left", "right" or "below"."""
    down = where == "below"
    first = where == "left"
    parts = [share, 1 - share] if first else [1 - share, share]
    figure, spec = ax.figure, ax.get_subplotspec()
    if spec is not None:
        shape, ratios = ((2, 1), "height_ratios") if down else ((1, 2), "width_ratios")
        grid = spec.subgridspec(*shape, **{ratios: parts})
        ax.set_subplotspec(grid[1 if first else 0])
        return figure.add_subplot(grid[0 if first else 1], **kwargs)
    box, gap = ax.get_position(original=True), 0.12
    width, height = box.width, box.height
    if down:
        cut = share * height
        ax.set_position((box.x0, box.y0 + cut, width, height - cut))
        return figure.add_axes((box.x0, box.y0, width, cut * (1 - gap)), **kwargs)
    cut = share * width
    ax.set_position((box.x0 + (cut if first else 0), box.y0, width - cut, height))
    left = box.x0 if first else box.x1 - cut * (1 - gap)
    return figure.add_axes((left, box.y0, cut * (1 - gap), height), **kwargs)


def shorten(name: Any, length: int) -> str:
    """Return `name` in at most `length` letters, an ellipsis in its middle."""
    name = str(name)
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return name[: length - 1 - tail] + "…" + (name[-tail:] if tail else "")


def shorten_all(names: Iterable[Any], length: int) -> list[str]:
    """Shorten `names`; those that would become the same keep more of their end."""
    names = [str(name) for name in names]
    short = [shorten(name, length) for name in names]
    for i, (name, brief) in enumerate(zip(names, short, strict=True)):
        if brief != name and short.count(brief) > 1:
            short[i] = "…" + name[1 - length :]
    return short


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Return width and height of `ax` as it is laid out now, in points."""
    figure = root_of(ax)
    figure.draw_without_rendering()
    box = ax.get_window_extent()
    return 72 * box.width / figure.dpi, 72 * box.height / figure.dpi


def name_ticks(ax: Axes, x: Sequence[Any] | None, y: Sequence[Any] | None) -> None:
    """Name the cells of a heat map along each axis, so that no name meets another.

    Names are shortened, turned, made smaller, and at last only some of them shown.
    """
    size = 0.9 * base_size(ax)
    width, height = (72 * side for side in root_of(ax).get_size_inches())
    names = {"x": x, "y": y}
    # Names take room from the axes, which decides how large names may be: so twice.
    for _ in range(2):
        along = dict(zip("xy", size_in_points(ax), strict=True))
        for which, given in names.items():
            if given is None:
                continue
            step = along[which] / len(given)
            letters = int(0.24 * min(width, 1.4 * height) / (size * _LETTER))
            short = shorten_all(given, max(letters, 6))
            widest = max(map(len, short)) * size * _LETTER
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
    """Return the size of letters at which `texts` fit into cells; 0 for none."""
    width, height = size_in_points(ax)
    longest = max((len(text) for text in texts), default=1)
    fitting = min(0.9 * width / columns / longest / _LETTER, height / rows / 1.6)
    size = min(0.9 * base_size(ax), fitting)
    return size if size >= SMALLEST else 0.0


def ink_on(color: Any) -> str:
    """Return black or white, whichever reads better on `color`."""
    from matplotlib.colors import to_rgb

    channels = np.array(to_rgb(color))
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if luminance > 0.179 else "white"


def blue_orange() -> Colormap:
    """Return a diverging colour map, orange below and blue above its white middle."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#8A3A00", "#D55E00", "#F7C08A", "#FFFFFF", "#9CCBEA", "#0072B2", "#003A5D"]
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
