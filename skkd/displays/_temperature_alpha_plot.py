"""Scores over temperature and alpha, drawn as a heat map or as points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skkd.displays import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRID = 12  # maximum number of values a side of a heat map


def is_grid(settings: np.ndarray) -> bool:
    """Tell whether settings fill at least a third of a small grid."""
    with_teacher = settings[settings[:, 1] > 0]
    columns, rows = (len(np.unique(with_teacher[:, i])) for i in (0, 1))
    return max(columns, rows) <= _GRID and 3 * len(with_teacher) >= columns * rows


def draw_grid(ax: Axes, settings: np.ndarray, best: int, cmap: str) -> Any:
    """Draw a heat map, the best cell framed."""
    cells, temperatures, alphas = _cells(settings)
    image = ax.imshow(cells, cmap=cmap, aspect="auto", origin="lower")
    _separate(ax, cells, alphas)
    temperature, alpha, _ = settings[best]
    row = int(np.searchsorted(alphas, alpha))
    column = int(np.searchsorted(temperatures, temperature)) if alpha else 0
    _frame(ax, row, column, 1 if alpha else cells.shape[1])
    return image


def draw_points(ax: Axes, settings: np.ndarray, best: int, cmap: str) -> Any:
    """Draw coloured points, a circle around the best."""
    temperature, alpha, score = settings[settings[:, 1] > 0].T
    area = 6 * _style.base_size(ax)
    points = ax.scatter(
        temperature, alpha, c=score, cmap=cmap, s=area, edgecolors="0.3", lw=0.5
    )
    points.set_clim(settings[:, 2].min(), settings[:, 2].max())
    ax.set_xscale("log")
    ax.set_ylim(-0.04, 1.04)
    if settings[best, 1] > 0:
        options: dict[str, Any] = {"s": 4 * area, "facecolors": "none", "lw": 1.6}
        ax.scatter(*settings[best, :2, None], edgecolors="black", **options)
    _style.without_frame(ax)
    _style.plain_log_ticks(ax)
    return points


def label_cells(
    ax: Axes, image: Any, settings: np.ndarray, baseline: float | None
) -> list[Any]:
    """Name rows and columns; write the scores into the cells if they fit."""
    cells, temperatures, alphas = _cells(settings)
    x_names = [f"{value:.3g}" for value in temperatures]
    _style.name_ticks(ax, x_names or None, [f"{value:.3g}" for value in alphas])
    if not x_names:
        ax.set_xticks([])
    _style.size_in_points(ax)  # lays out the names
    return _write(ax, image, cells, alphas, baseline)


def _cells(settings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the scores, NaN for none, and the values of their columns and rows."""
    temperatures = np.unique(settings[settings[:, 1] > 0, 0])
    alphas = np.unique(settings[:, 1])
    cells = np.full((len(alphas), max(len(temperatures), 1)), np.nan)
    for temperature, alpha, score in settings:
        row = np.searchsorted(alphas, alpha)
        if alpha == 0:  # one cell as wide as the map
            cells[row] = score
        else:
            cells[row, np.searchsorted(temperatures, temperature)] = score
    return cells, temperatures, alphas


def _separate(ax: Axes, cells: np.ndarray, alphas: np.ndarray) -> None:
    """Draw white lines between cells, none within the row without a teacher."""
    first = 0.5 if alphas[0] == 0 else -0.5
    rows, columns = cells.shape
    options: dict[str, Any] = {"color": "white", "lw": 1}
    ax.vlines(np.arange(1, columns) - 0.5, first, rows - 0.5, **options)
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, **options)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _write(
    ax: Axes, image: Any, cells: np.ndarray, alphas: np.ndarray, baseline: float | None
) -> list[Any]:
    """Write the scores into the cells if they fit."""
    digits = _digits(cells)
    rows, columns = cells.shape
    size = _style.cell_size(ax, [f"{np.nanmax(cells):.{digits}f}"], columns, rows)
    places = [
        (float(j), i, value, f"{value:.{digits}f}", size)
        for (i, j), value in np.ndenumerate(cells)
        if size and alphas[i] > 0 and not np.isnan(value)
    ]
    if baseline is not None:
        alone = f"{baseline:.{digits}f}"
        for text in (f"without teacher: {alone}", alone):
            if size := _style.cell_size(ax, [text], 1, rows):
                places.append(((columns - 1) / 2, 0, baseline, text, size))
                break
    texts = []
    for x, y, value, text, fontsize in places:
        color = _style.text_color_on(image.cmap(image.norm(np.array(value))))
        options: dict[str, Any] = {"ha": "center", "va": "center", "color": color}
        texts.append(ax.text(x, y, text, fontsize=fontsize, **options))
        texts[-1].set_in_layout(False)
    return texts


def _frame(ax: Axes, row: int, column: int, width: int) -> None:
    from matplotlib.patches import Rectangle

    for color, line in (("white", 3.6), ("black", 1.6)):
        corner, side = (column - 0.44, row - 0.44), width - 0.12
        ax.add_patch(Rectangle(corner, side, 0.88, fill=False, ec=color, lw=line))


def add_colorbar(ax: Axes, scores: Any, score_name: str, baseline: float | None) -> Any:
    """Add a colour bar, with a line at the baseline."""
    size = _style.base_size(ax)
    bar = ax.figure.colorbar(scores, ax=ax, pad=0.02)
    bar.ax.tick_params(labelsize=0.9 * size)
    bar.outline.set_visible(False)
    label = _style.shorten(score_name.replace("_", " "), 40)
    if baseline is not None:
        bar.ax.axhline(baseline, color="black", lw=3)
        bar.ax.axhline(baseline, color="white", lw=1.2)
        label += " (line: without teacher)"
    bar.set_label(label, size=0.9 * size)
    _, height = _style.size_in_points(ax)
    for text in (bar.ax.yaxis.label, ax.yaxis.label):
        _style.fit_label(text, height)
    return bar


def _digits(cells: np.ndarray) -> int:
    """Return how many decimals distinguish the scores: two, three or four."""
    spread = np.nanmax(cells) - np.nanmin(cells)
    return int(np.clip(1 - np.floor(np.log10(max(spread, 1e-9))), 2, 4))
