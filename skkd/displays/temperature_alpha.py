"""Scores over temperature and alpha, of a search or a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skkd.displays import _style
from skkd.displays._search_params import names_of, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.study import Study

_GRID = 12  # values a side up to which settings are shown as a grid


class TemperatureAlphaDisplay:
    """Scores over temperature and alpha.

    A heat map where the settings form a grid, coloured points where they do not. The
    best is framed. Rows with ``alpha=0``, the student without a teacher, are shown as
    one, whatever their temperature, and as a line on the colour bar: what is no
    brighter gains nothing. Make one with :meth:`from_search` or :meth:`from_study`.

    Parameters
    ----------
    temperature, alpha, score : array-like of shape (n_settings,)
        One entry for each setting. NaN scores stay blank.
    score_name : str, default="score"
    greater_is_better : bool, default=True

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage or PathCollection
        The cells or the points.
    text_ : list of matplotlib Text
        Values in the cells; empty where they do not fit.
    colorbar_ : matplotlib Colorbar

    Notes
    -----
    Where other parameters were searched too, a cell shows the best over them. The best
    of many is an optimistic estimate: confirm a gain on rows that the search did not
    see.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skkd import DistilledClassifier
    >>> from skkd.displays import TemperatureAlphaDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> student = DistilledClassifier(teacher=teacher, max_epochs=2, random_state=0)
    >>> grid = {"temperature": [1, 4], "alpha": [0.0, 0.5]}
    >>> search = GridSearchCV(student, grid, cv=2).fit(X, y)
    >>> shown = TemperatureAlphaDisplay.from_search(search)
    >>> len(shown.score)
    4
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        temperature: ArrayLike,
        alpha: ArrayLike,
        score: ArrayLike,
        *,
        score_name: str = "score",
        greater_is_better: bool = True,
    ) -> None:
        self.temperature = temperature
        self.alpha = alpha
        self.score = score
        self.score_name = score_name
        self.greater_is_better = greater_is_better

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        metric: str | None = None,
        temperature: str | None = None,
        alpha: str | None = None,
        ax: Axes | None = None,
    ) -> TemperatureAlphaDisplay:
        """Plot a grid or random search of scikit-learn.

        Parameters
        ----------
        search : fitted GridSearchCV, RandomizedSearchCV or the like
        metric : str, default=None
            Which of several scores; None takes the one that `refit` names.
        temperature, alpha : str, default=None
            Names of the parameters. None finds those that end in ``temperature`` and
            ``alpha``, such as ``distilledclassifier__alpha``. What was not searched is
            as the estimator has it.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TemperatureAlphaDisplay

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        TypeError
            If it is no search.
        ValueError
            If neither was searched, or a name is ambiguous or not known.
        """
        if not hasattr(search, "cv_results_") and not hasattr(search, "scoring"):
            raise TypeError(
                f"Got a {type(search).__name__}; expected a fitted GridSearchCV, "
                "RandomizedSearchCV or the like, which scores each candidate."
            )
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        metric = metric or (search.refit if isinstance(search.refit, str) else "score")
        column = f"mean_test_{metric}"
        if column not in results:
            known = [n[10:] for n in results if n.startswith("mean_test_")]
            raise ValueError(f"metric={metric!r}: the search scored {known}.")
        params = search.estimator.get_params()
        names = names_of(results["params"], params, temperature, alpha)
        temperatures, alphas = (
            values_of(results["params"], name, params.get(name)) for name in names
        )
        label = "accuracy" if metric == "score" and not search.scoring else metric
        label = search.scoring if _is_plain(search.scoring, metric) else label
        scores = results[column]
        display = cls(temperatures, alphas, scores, score_name=f"mean {label}")
        return display.plot(ax)

    @classmethod
    def from_study(
        cls,
        study: Study,
        *,
        temperature: str | None = None,
        alpha: str | None = None,
        score_name: str = "objective",
        ax: Axes | None = None,
    ) -> TemperatureAlphaDisplay:
        """Plot the completed trials of an Optuna study.

        Parameters
        ----------
        study : optuna.study.Study
            With one objective.
        temperature, alpha : str, default=None
            Names of the parameters, as in :meth:`from_search`.
        score_name : str, default="objective"
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TemperatureAlphaDisplay

        Raises
        ------
        ValueError
            If the study has several objectives, no completed trial, or did not search
            both.
        """
        directions = [direction.name for direction in study.directions]
        if len(directions) != 1:
            raise ValueError(
                f"The study has {len(directions)} objectives: expected one. Plot that "
                "of interest with TemperatureAlphaDisplay(temperature, alpha, score)."
            )
        trials = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        if not trials:
            raise ValueError(
                f"The study has no completed trial among its {len(study.trials)}."
            )
        chosen = [trial.params for trial in trials]
        names = names_of(chosen, {}, temperature, alpha)
        temperatures, alphas = (values_of(chosen, name, None) for name in names)
        return cls(
            temperatures,
            alphas,
            np.array([trial.value for trial in trials], dtype=float),
            score_name=score_name,
            greater_is_better=directions[0] == "MAXIMIZE",
        ).plot(ax)

    @property
    def baseline(self) -> float | None:
        """The score without a teacher, at ``alpha=0``; None where there is none."""
        alone = np.asarray(self.score, float)[np.asarray(self.alpha, float) == 0]
        alone = alone[~np.isnan(alone)]
        return float(self._best(alone)) if len(alone) else None

    def plot(
        self, ax: Axes | None = None, *, kind: str = "auto"
    ) -> TemperatureAlphaDisplay:
        """Plot the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.
        kind : {"auto", "grid", "points"}, default="auto"
            "auto" takes the grid where there are at most 12 values a side and at least
            a third of the cells is filled.

        Returns
        -------
        TemperatureAlphaDisplay
            The display itself.

        Raises
        ------
        ValueError
            If lengths differ, values are out of range, or no score is a number.
        """
        if kind not in ("auto", "grid", "points"):
            raise ValueError(f"kind={kind!r}: expected 'auto', 'grid' or 'points'.")
        settings = self._settings()
        self.ax_ = ax = _style.axes_for(ax, "TemperatureAlphaDisplay.plot")
        self.figure_ = ax.figure
        self.text_: list[Any] = []
        if kind == "auto":
            kind = "grid" if _is_grid(settings) else "points"
        cmap = "cividis" if self.greater_is_better else "cividis_r"
        best = self._best(settings[:, 2], arg=True)
        draw = self._draw_grid if kind == "grid" else self._draw_points
        draw(ax, settings, int(best), cmap)
        return self

    def _settings(self) -> np.ndarray:
        """Return a row (temperature, alpha, best score) for each setting."""
        lengths = {
            name: np.shape(getattr(self, name))
            for name in ("temperature", "alpha", "score")
        }
        if len(set(lengths.values())) > 1 or len(lengths["score"]) != 1:
            raise ValueError(f"Shapes {lengths} differ: expected (n_settings,) each.")
        rows = np.column_stack([self.temperature, self.alpha, self.score]).astype(float)
        temperature, alpha, score = rows.T
        if np.any(alpha < 0) or np.any(alpha > 1) or np.isnan(alpha).any():
            raise ValueError(
                f"alpha is from {alpha.min()} to {alpha.max()}: expected [0, 1]."
            )
        if not np.all(temperature[alpha > 0] > 0):
            raise ValueError("temperature: expected numbers above 0.")
        if not np.isfinite(score).any():
            raise ValueError("No score is a number: every fit failed.")
        temperature[alpha == 0] = np.nan  # without a teacher it means nothing
        best: dict[tuple[float, float], float] = {}
        for row in rows[np.isfinite(score)].tolist():
            key = (row[0] if row[1] else -1.0, row[1])
            best[key] = float(self._best(np.array([best.get(key, row[2]), row[2]])))
        return np.array([[*key, value] for key, value in best.items()])

    def _best(self, values: np.ndarray, arg: bool = False) -> Any:
        sign = 1 if self.greater_is_better else -1
        place = np.argmax(sign * values)
        return place if arg else values[place]

    def _draw_grid(self, ax: Axes, settings: np.ndarray, best: int, cmap: str) -> None:
        temperatures = np.unique(settings[settings[:, 1] > 0, 0])
        alphas = np.unique(settings[:, 1])
        n_columns = max(len(temperatures), 1)
        cells = np.full((len(alphas), n_columns), np.nan)
        for temperature, alpha, score in settings:
            row = np.searchsorted(alphas, alpha)
            if alpha == 0:  # one cell as wide as the map
                cells[row] = score
            else:
                cells[row, np.searchsorted(temperatures, temperature)] = score
        self.im_: Any = ax.imshow(cells, cmap=cmap, aspect="auto", origin="lower")
        _style.dress(ax, xlabel="temperature", ylabel="alpha (weight of the teacher)")
        self._add_colorbar(ax)
        x_names = [f"{value:.3g}" for value in temperatures]
        _style.name_ticks(ax, x_names or None, [f"{value:.3g}" for value in alphas])
        if not x_names:
            ax.set_xticks([])
        self._separate(ax, cells, alphas)
        self._write(ax, cells, alphas)
        temperature, alpha, _ = settings[best]
        row = int(np.searchsorted(alphas, alpha))
        column = int(np.searchsorted(temperatures, temperature)) if alpha else 0
        self._frame(ax, row, column, 1 if alpha else n_columns)

    def _separate(self, ax: Axes, cells: np.ndarray, alphas: np.ndarray) -> None:
        """Draw white lines between cells, none inside of the row without teacher."""
        first = 0.5 if alphas[0] == 0 else -0.5
        rows, columns = cells.shape
        options: dict[str, Any] = {"color": "white", "lw": 1}
        ax.vlines(np.arange(1, columns) - 0.5, first, rows - 0.5, **options)
        ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, **options)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)

    def _write(self, ax: Axes, cells: np.ndarray, alphas: np.ndarray) -> None:
        digits = _digits(cells)
        rows, columns = cells.shape
        longest = f"{np.nanmax(cells):.{digits}f}"
        size = _style.cell_size(ax, [longest], columns, rows)
        for (i, j), value in np.ndenumerate(cells):
            if size and alphas[i] > 0 and not np.isnan(value):
                self._put(ax, float(j), i, value, f"{value:.{digits}f}", size)
        if self.baseline is not None:
            alone = f"{self.baseline:.{digits}f}"
            for text in (f"without teacher: {alone}", alone):
                size = _style.cell_size(ax, [text], 1, rows)
                if size:
                    middle = (columns - 1) / 2
                    self._put(ax, middle, 0, self.baseline, text, size)
                    break

    def _put(
        self, ax: Axes, x: float, y: float, value: float, text: str, size: float
    ) -> None:
        ink = _style.ink_on(self.im_.cmap(self.im_.norm(np.array(value))))
        options: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size}
        self.text_.append(ax.text(x, y, text, color=ink, **options))
        self.text_[-1].set_in_layout(False)

    def _frame(self, ax: Axes, row: int, column: int, width: int) -> None:
        from matplotlib.patches import Rectangle

        for color, line in (("white", 3.6), ("black", 1.6)):
            corner, side = (column - 0.44, row - 0.44), width - 0.12
            ax.add_patch(Rectangle(corner, side, 0.88, fill=False, ec=color, lw=line))

    def _draw_points(
        self, ax: Axes, settings: np.ndarray, best: int, cmap: str
    ) -> None:
        taught = settings[settings[:, 1] > 0]
        temperature, alpha, score = taught.T
        area = 6 * _style.base_size(ax)
        self.im_ = ax.scatter(
            temperature, alpha, c=score, cmap=cmap, s=area, edgecolors="0.3", lw=0.5
        )
        self.im_.set_clim(settings[:, 2].min(), settings[:, 2].max())
        ax.set_xscale("log")
        ax.set_ylim(-0.04, 1.04)
        if settings[best, 1] > 0:
            options: dict[str, Any] = {"s": 4 * area, "facecolors": "none", "lw": 1.6}
            ax.scatter(*settings[best, :2, None], edgecolors="black", **options)
        _style.dress(ax, xlabel="temperature", ylabel="alpha (weight of the teacher)")
        _style.without_frame(ax)
        _style.plain_log_ticks(ax)
        self._add_colorbar(ax)

    def _add_colorbar(self, ax: Axes) -> None:
        size = _style.base_size(ax)
        self.colorbar_ = bar = self.figure_.colorbar(self.im_, ax=ax, pad=0.02)
        bar.ax.tick_params(labelsize=0.9 * size)
        bar.outline.set_visible(False)
        label = self.score_name.replace("_", " ")
        if self.baseline is not None:
            bar.ax.axhline(self.baseline, color="black", lw=3)
            bar.ax.axhline(self.baseline, color="white", lw=1.2)
            label += " (line: without teacher)"
        bar.set_label(label, size=0.9 * size)
        room = _style.size_in_points(ax)[1]
        for text in (bar.ax.yaxis.label, ax.yaxis.label):
            _style.fit_label(text, room)


def _is_plain(scoring: Any, metric: str) -> bool:
    return isinstance(scoring, str) and metric == "score"


def _is_grid(settings: np.ndarray) -> bool:
    taught = settings[settings[:, 1] > 0]
    columns, rows = (len(np.unique(taught[:, i])) for i in (0, 1))
    return max(columns, rows) <= _GRID and 3 * len(taught) >= columns * rows


def _digits(cells: np.ndarray) -> int:
    """Return how many decimals tell the scores apart: two, three or four."""
    spread = np.nanmax(cells) - np.nanmin(cells)
    return int(np.clip(1 - np.floor(np.log10(max(spread, 1e-9))), 2, 4))
