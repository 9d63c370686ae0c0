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
_NEAR = (4.0,)  # points between a marker and its text
_NEAR_AND_FAR = (4.0, 8.0, 14.0, 22.0, 32.0)
_MARKER = 3.5  # points around the centre of a marker


def name_points(
    ax: Axes, points: np.ndarray, names: list[str], colors: list[str], front: np.ndarray
) -> tuple[list[Any], Any]:
    """Name points of shape (n, 2), best off the line through `front`.

    Returns the texts, and the legend that explains them if they are numbers.
    """
    size = 0.9 * _style.base_size(ax)
    short = _style.shorten_all(names, 24)
    shifts, overlaps = _find_room(ax, points, short, size, front, _NEAR)
    if not overlaps:
        return _annotate(ax, points, short, shifts, size, colors), None
    order = np.lexsort(points.T[::-1])
    numbers = (np.argsort(order) + 1).astype(str).tolist()
    legend = _numbered_legend(ax, [names[i] for i in order])
    size = max(0.8 * size, _style.SMALLEST)
    shifts, _ = _find_room(ax, points, numbers, size, front, _NEAR_AND_FAR)
    return _annotate(ax, points, numbers, shifts, size, colors), legend


def _find_room(
    ax: Axes,
    points: np.ndarray,
    texts: list[str],
    size: float,
    front: np.ndarray,
    distances: tuple[float, ...],
) -> tuple[np.ndarray, bool]:
    """Return the centre of each text seen from its point, and whether any overlap."""
    width, height = _style.size_in_points(ax)
    corner, scale = ax.get_window_extent().min, 72 / _style.root_of(ax).dpi
    at, line = (scale * (ax.transData.transform(p) - corner) for p in (points, front))
    if len(line) > 1:
        line = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(line)])
    sizes = np.array([(_style.text_width(t, size) + 2, 1.25 * size) for t in texts])
    taken = [*np.hstack([at - _MARKER, at + _MARKER])]
    between = np.sort(np.linalg.norm(at[:, None] - at, axis=2), axis=1)
    crowded_first = np.argsort(between[:, :4].sum(axis=1))
    reach = np.repeat(distances, len(_DIRECTIONS))[:, None]
    directions = np.tile(_DIRECTIONS, (len(distances), 1))
    shifts, overlaps = np.zeros_like(at), False
    for i in crowded_first:
        candidates = directions * (sizes[i] / 2 + reach)
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
        is_far = np.abs(shift[1]) > size + 8  # which only a number can be
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
                arrowprops=leader if is_far else None,
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
