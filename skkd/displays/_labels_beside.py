"""Names beside points, none on top of another; numbers with a key where names fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skkd.displays import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where a name may stand: direction from its point, the first that is free is taken.
_DIRECTIONS = ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
_DISTANCES = (5.0, 9.0, 14.0, 20.0, 27.0, 36.0)  # points


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
    shifts = _find(ax, x, y, short, size, lines)
    if shifts is not None:
        return _write(ax, x, y, short, shifts, size, strong), None
    order = np.lexsort((y, x))
    numbers = [""] * len(names)
    for number, i in enumerate(order, start=1):
        numbers[i] = str(number)
    key = _key(ax, [f"{numbers[i]}  {_style.shorten(names[i], 20)}" for i in order])
    size = max(0.8 * size, _style.SMALLEST)
    for obstacles in (lines, lines[:0]):
        shifts = _find(ax, x, y, numbers, size, obstacles)
        if shifts is not None:
            break
    else:  # more than there is room for: better overlapping than lost
        shifts = [np.array([4.0, 0.0])] * len(names)
    return _write(ax, x, y, numbers, shifts, size, strong), key


def _find(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    texts: list[str],
    size: float,
    lines: np.ndarray,
) -> list[NDArray] | None:
    """Return the shift of each text from its point, in points; None without room."""
    width, height = _style.size_in_points(ax)
    to_points = 72 / _style.root_of(ax).dpi
    corner = ax.get_window_extent().min
    points, obstacles = (
        (ax.transData.transform(places) - corner) * to_points
        for places in (np.column_stack([x, y]), lines)
    )
    taken = np.concatenate([_around(points, 3.5), _around(_filled(obstacles), 0.5)])
    sizes = [_extent(text, size) for text in texts]
    frame = np.array([0, 0, width, height])
    shifts: dict[int, NDArray] = {}
    # The most crowded points choose first.
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    for i in np.argsort(np.sort(gaps, axis=1)[:, : min(4, len(gaps))].sum(axis=1)):
        others = np.delete(taken, i, axis=0)
        for shift in _shifts(sizes[i]):
            low = points[i] + shift
            box = np.array([[*low, *(low + sizes[i])]])
            leader = _leader(points[i], shift, sizes[i])
            inside = (box[0, :2] >= frame[:2]).all() and (box[0, 2:] <= frame[2:]).all()
            if inside and not _meet(np.concatenate([box, leader]), others):
                taken = np.concatenate([taken, box, leader])
                shifts[i] = shift
                break
        else:
            return None
    return [shifts[i] for i in range(len(texts))]


def _around(points: NDArray, radius: float) -> NDArray:
    """Return squares around points, as (left, bottom, right, top)."""
    return np.concatenate([points - radius, points + radius], axis=1)


def _is_away(shift: NDArray, box: NDArray) -> bool:
    """Tell whether a text is so far from its point that a line leads to it."""
    return bool(np.maximum(np.abs(shift + box / 2) - box / 2, 0).max() > 8)


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
            centre = direction * (distance + box / 2 - 0.5)
            if direction.all():
                centre = direction * (0.7 * distance + box / 2)
            yield centre - box / 2


def _meet(boxes: NDArray, others: NDArray) -> bool:
    """Tell whether any of `boxes` shares room with any of `others`."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    return bool((low < high).all(axis=2).any())


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
        line = {"arrowstyle": "-", "color": _style.QUIET, "lw": 0.5, "shrinkB": 3}
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
