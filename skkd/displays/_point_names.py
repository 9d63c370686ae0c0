"""Names beside points; numbers with a legend if names would overlap."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from skkd.displays import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DIRECTIONS = np.array(
    [(1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)], float
)
_DISTANCES = (4.0, 8.0, 14.0, 22.0, 32.0)  # points
_MARKER = 3.5  # points around the centre of a marker


def name_points(
    ax: Axes, points: np.ndarray, names: list[str], colors: list[str], front: np.ndarray
) -> tuple[list[Any], Any]:
    """Name points of shape (n, 2), best off the line through `front`.

    Returns the texts, and the legend that explains them if they are numbers.
    """
    size = 0.9 * _style.base_size(ax)
    short = _style.shorten_all(names, 24)
    shifts, overlaps = _find_room(ax, points, short, size, front)
    if not overlaps:
        return _annotate(ax, points, short, shifts, size, colors), None
    order = np.lexsort(points.T[::-1])
    numbers = (np.argsort(order) + 1).astype(str).tolist()
    legend = _numbered_legend(ax, [names[i] for i in order])
    size = max(0.8 * size, _style.SMALLEST)
    shifts, _ = _find_room(ax, points, numbers, size, front)
    return _annotate(ax, points, numbers, shifts, size, colors), legend


def _find_room(
    ax: Axes, points: np.ndarray, texts: list[str], size: float, front: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return the centre of each text seen from its point, and whether any overlap."""
    width, height = _style.size_in_points(ax)
    corner, scale = ax.get_window_extent().min, 72 / _style.root_of(ax).dpi
    at, line = (scale * (ax.transData.transform(p) - corner) for p in (points, front))
    if len(line) > 1:
        line = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(line)])
    sizes = np.array([(_style.text_width(t, size) + 2, 1.25 * size) for t in texts])
    taken = [*np.hstack([at - _MARKER, at + _MARKER])]
    distances = np.linalg.norm(at[:, None] - at, axis=2)
    crowded_first = np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1))
    shifts, overlaps = np.zeros_like(at), False
    for i in crowded_first:
        reach = np.repeat(_DISTANCES, len(_DIRECTIONS))[:, None]
        candidates = np.tile(_DIRECTIONS, (len(_DISTANCES), 1)) * (sizes[i] / 2 + reach)
        low, high = at[i] + candidates - sizes[i] / 2, at[i] + candidates + sizes[i] / 2
        outside = (low < 0).any(axis=1) | (high > (width, height)).any(axis=1)
        hits = _n_overlaps(low, high, np.array(taken)) + outside
        covered = _n_overlaps(low, high, np.hstack([line, line]))
        best = np.lexsort((covered, hits))[0]
        overlaps |= bool(hits[best])
        shifts[i] = candidates[best]
        taken.append(np.hstack([low[best], high[best]]))
    return shifts, overlaps


def _n_overlaps(low: np.ndarray, high: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return how many `boxes` (left, bottom, right, top) each candidate overlaps."""
    apart = (high[:, None] <= boxes[:, :2]) | (low[:, None] >= boxes[:, 2:])
    return (~apart.any(axis=2)).sum(axis=1)


def _annotate(
    ax: Axes,
    points: np.ndarray,
    texts: list[str],
    shifts: np.ndarray,
    size: float,
    colors: list[str],
) -> list[Any]:
    leader = {"arrowstyle": "-", "color": _style.QUIET, "lw": 0.6, "shrinkA": 0}
    written = []
    for point, text, shift, color in zip(points, texts, shifts, colors, strict=True):
        gap = np.abs(shift).min() - size if len(text) < 3 else np.abs(shift[1]) - size
        written.append(
            ax.annotate(
                text,
                point,
                xytext=tuple(shift),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=size,
                color=color,
                arrowprops=leader if gap > 8 else None,
                zorder=4,
            )
        )
        written[-1].set_in_layout(False)
    return written


def _numbered_legend(ax: Axes, names: list[str]) -> Any:
    from matplotlib.lines import Line2D

    lines = [f"{i}  {_style.shorten(name, 20)}" for i, name in enumerate(names, 1)]
    panel = _style.legend_panel(ax, len(lines), n_inside=0)
    handles = [Line2D([], [], linestyle="none") for _ in lines]
    options: dict[str, Any] = {"handlelength": 0, "handletextpad": 0}
    legend = _style.legend(ax, panel, handles=handles, labels=lines, **options)
    _style.size_in_points(ax)  # the layout takes two passes to settle
    return legend
