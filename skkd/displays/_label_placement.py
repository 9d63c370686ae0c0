"""Names beside points, none on top of another; numbers with a key where names fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skkd.displays import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where a name may stand: direction from its point, the first that is free is taken.
_DIRECTIONS = (
    *((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)),
    *((1, 0.5), (1, -0.5), (0.5, 1), (0.5, -1)),
    *((-1, 0.5), (-1, -0.5), (-0.5, 1), (-0.5, -1)),
)
_DISTANCES = (5.0, 9.0, 14.0, 20.0, 27.0, 36.0, 48.0, 62.0)  # points
_ATTEMPTS = 3


def place(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    names: list[str],
    strong: np.ndarray,
    lines: np.ndarray,
) -> tuple[list[Any], Any]:
    """Write names beside the points of `ax`.

    `lines` are points of what the names should not cover, of shape (n, 2). Returns the
    texts, and the legend that explains them where they are numbers.
    """
    size = 0.9 * _style.base_size(ax)
    short = _style.shorten_all(names, 24)
    shifts, meetings = _find(ax, x, y, short, size, lines)
    if not meetings:
        return _write(ax, x, y, short, shifts, size, strong), None
    order = np.lexsort((y, x))
    numbers = [""] * len(names)
    for number, i in enumerate(order, start=1):
        numbers[i] = str(number)
    key = _key(ax, [f"{numbers[i]}  {_style.shorten(names[i], 20)}" for i in order])
    size = max(0.8 * size, _style.SMALLEST)
    shifts, _ = _find(ax, x, y, numbers, size, lines)
    return _write(ax, x, y, numbers, shifts, size, strong), key


def _find(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    texts: list[str],
    size: float,
    lines: np.ndarray,
) -> tuple[list[NDArray], float]:
    """Return the shift of each text from its point, in points, and what they meet."""
    room = np.array(_style.size_in_points(ax))
    corner = ax.get_window_extent().min
    points, along = (
        (ax.transData.transform(places) - corner) * 72 / _style.root_of(ax).dpi
        for places in (np.column_stack([x, y]), lines)
    )
    sizes = [_extent(text, size) for text in texts]
    covered = _around(_filled(along), 0.5)
    # The most crowded points choose first, and again those that found no place.
    gaps = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)
    order = list(np.argsort(gaps[:, :4].sum(axis=1)))
    best: tuple[list[NDArray], float] = ([], np.inf)
    for _ in range(_ATTEMPTS):
        shifts, met = _try(order, points, sizes, covered, room)
        if sum(met.values()) < best[1]:
            best = [shifts[i] for i in range(len(texts))], sum(met.values())
        if not best[1]:
            break
        order.sort(key=lambda i: not met[i])
    return best


def _try(
    order: list[int],
    points: NDArray,
    sizes: list[NDArray],
    lines: NDArray,
    room: NDArray,
) -> tuple[dict[int, NDArray], dict[int, float]]:
    """Place the texts one after the other; return shifts, and how much each meets."""
    taken = _around(points, 3.5)
    shifts, met = {}, {}
    for i in order:
        others = np.delete(taken, i, axis=0)
        candidates = np.array(list(_shifts(sizes[i])))
        low = points[i] + candidates
        boxes = np.concatenate([low, low + sizes[i]], axis=1)
        outside = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > room).any(axis=1)
        # To cover a line is bad, to cover a name worse, to leave the axes worst.
        costs = 10 * _meetings(boxes, others) + 0.1 * _meetings(boxes, lines)
        costs += 100 * outside
        met[i] = np.inf
        for j in np.argsort(costs, kind="stable"):
            if costs[j] >= met[i]:
                break
            leader = _leader(points[i], candidates[j], sizes[i])
            cost = costs[j] + 10 * _meetings(leader, others).sum()
            cost += 0.1 * _meetings(leader, lines).sum()
            if cost < met[i]:
                shifts[i], met[i] = candidates[j], cost
                new = np.concatenate([boxes[j : j + 1], leader])
        taken = np.concatenate([taken, new])
    return shifts, met


def _around(points: NDArray, radius: float) -> NDArray:
    """Return squares around points, as (left, bottom, right, top)."""
    return np.concatenate([points - radius, points + radius], axis=1)


def _is_away(shift: NDArray, box: NDArray) -> bool:
    """Tell whether a text is so far from its point that a line leads to it."""
    return bool(np.maximum(np.abs(shift + box / 2) - box / 2, 0).max() > 6)


def _leader(point: NDArray, shift: NDArray, box: NDArray) -> NDArray:
    """Return what the line from a point to its text covers."""
    if not _is_away(shift, box):
        return np.empty((0, 4))
    ends = np.array([point, point + 0.9 * (shift + box / 2)])
    return _around(_filled(ends), 0.3)


def _filled(lines: np.ndarray) -> np.ndarray:
    """Return places every 3 points along lines of two ends each, (n, 2) in pairs."""
    ends = lines.reshape(-1, 2, 2)
    longest = np.abs(ends[:, 1] - ends[:, 0]).max(initial=0)
    along = np.linspace(0, 1, int(longest / 3) + 2)[:, None, None]
    return (ends[:, 0] * (1 - along) + ends[:, 1] * along).reshape(-1, 2)


def _extent(text: str, size: float) -> NDArray:
    """Return width and height of a text with some air, in points."""
    return np.array([_style.text_width(text, size) + 2, size * 1.25])


def _shifts(box: NDArray) -> Any:
    """Yield where the lower left corner of a box may be, seen from its point."""
    for distance in _DISTANCES:
        for direction in np.array(_DIRECTIONS, float):
            reach = distance * (0.7 if direction.all() else 1.0)
            # In line with the point a text is as near as its own half allows.
            centre = np.sign(direction) * box / 2 * np.abs(direction).round()
            yield centre + direction * reach - box / 2


def _meetings(boxes: NDArray, others: NDArray) -> NDArray:
    """Return with how many of `others` each of `boxes` shares room."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    return (low < high).all(axis=2).sum(axis=1)


def _write(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    texts: list[str],
    shifts: list[NDArray],
    size: float,
    strong: np.ndarray,
) -> list[Any]:
    written = []
    for i, (text, shift) in enumerate(zip(texts, shifts, strict=True)):
        box = _extent(text, size)
        centre = shift + box / 2
        line = {"arrowstyle": "-", "color": _style.QUIET, "lw": 0.6, "shrinkB": 2}
        note = ax.annotate(
            text,
            (x[i], y[i]),
            xytext=tuple(centre),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            color="black" if strong[i] else "0.35",
            arrowprops=line | {"shrinkA": 0} if _is_away(shift, box) else None,
            zorder=4,
        )
        note.set_in_layout(False)
        written.append(note)
    return written


def _key(ax: Axes, lines: list[str]) -> Any:
    """List the names behind the numbers beside the axes."""
    from matplotlib.lines import Line2D

    beside = _style.beside_for(ax, len(lines), inside=0)
    handles = [Line2D([], [], linestyle="none") for _ in lines]
    options: dict[str, Any] = {"handlelength": 0, "handletextpad": 0}
    key = _style.legend(ax, beside, handles=handles, labels=lines, **options)
    _style.size_in_points(ax)  # the layout takes two draws to settle
    return key
