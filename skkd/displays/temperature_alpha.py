"""Scores of a search or a study over temperature and alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skkd.displays import _style
from skkd.displays._search_params import names_of, values_of
from skkd.displays._temperature_alpha_plot import (
    add_colorbar,
    draw_grid,
    draw_points,
    is_grid,
    label_cells,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.study import Study


class TemperatureAlphaDisplay:
    """Scores over temperature and alpha.

    A heat map if the settings form a grid, otherwise coloured points. The best setting
    is framed. Settings with ``alpha=0``, the student without a teacher, are shown as
    one, whatever their temperature, and as a line on the colour bar: settings below it
    gain nothing. Create it with :meth:`from_search` or :meth:`from_study`.

    Parameters
    ----------
    temperature, alpha, score : array-like of shape (n_settings,)
        One entry for each setting. NaN scores are left blank.
    score_name : str, default="score"
    greater_is_better : bool, default=True

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage or PathCollection
        The cells or the points.
    text_ : list of matplotlib Text
        Values in the cells; empty if they do not fit.
    colorbar_ : matplotlib Colorbar

    Notes
    -----
    If other parameters were searched too, a cell shows the best score over them. The
    best of many is an optimistic estimate: confirm a gain on rows that the search did
    not see.

    Examples
    --------
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
        """Plot a search of scikit-learn or skkd.

        Parameters
        ----------
        search : fitted GridSearchCV, DistilledClassifierCV or the like
        metric : str, default=None
            Which of several scores; None takes that of `refit`.
        temperature, alpha : str, default=None
            Names of the parameters. None finds those that end in ``temperature`` and
            ``alpha``, such as ``distilledclassifier__alpha``. A parameter that was not
            searched has the estimator's value.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        TemperatureAlphaDisplay

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        TypeError
            If it is not a search.
        ValueError
            If neither was searched, or a name is ambiguous or unknown.
        """
        if not hasattr(search, "cv_results_") and not hasattr(search, "scoring"):
            raise TypeError(
                f"Got a {type(search).__name__}; expected a fitted GridSearchCV, "
                "RandomizedSearchCV or a similar search with cv_results_."
            )
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        refit = getattr(search, "refit", True)  # DistilledClassifierCV has none
        metric = metric or (refit if isinstance(refit, str) else "score")
        column = f"mean_test_{metric}"
        if column not in results:
            known = [n[10:] for n in results if n.startswith("mean_test_")]
            raise ValueError(f"metric={metric!r}: the search scored {known}.")
        params = getattr(search, "estimator", search).get_params()
        names = names_of(results["params"], params, temperature, alpha)
        temperatures, alphas = (
            values_of(results["params"], name, params.get(name)) for name in names
        )
        label = metric
        if metric == "score" and isinstance(search.scoring or "", str):
            label = search.scoring or "accuracy"
        display = cls(temperatures, alphas, results[column], score_name=f"mean {label}")
        return display.plot(ax=ax)

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
            Where to plot; None creates a figure.

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
                f"The study has {len(directions)} objectives: expected one. Plot one "
                "of them with TemperatureAlphaDisplay(temperature, alpha, score)."
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
        ).plot(ax=ax)

    @property
    def baseline(self) -> float | None:
        """The score without a teacher, at ``alpha=0``; None if there is none."""
        alone = np.asarray(self.score, float)[np.asarray(self.alpha, float) == 0]
        alone = alone[~np.isnan(alone)]
        return float(self._best(alone)) if len(alone) else None

    def plot(
        self, *, ax: Axes | None = None, kind: str = "auto"
    ) -> TemperatureAlphaDisplay:
        """Plot the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.
        kind : {"auto", "grid", "points"}, default="auto"
            "auto" draws a grid if there are at most 12 values a side and at least a
            third of the cells is filled.

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
        if kind == "auto":
            kind = "grid" if is_grid(settings) else "points"
        cmap = "cividis" if self.greater_is_better else "cividis_r"
        best = int(self._best(settings[:, 2], arg=True))
        draw = draw_grid if kind == "grid" else draw_points
        self.im_ = draw(ax, settings, best, cmap)
        _style.dress(ax, xlabel="temperature", ylabel="alpha (weight of the teacher)")
        self.colorbar_ = add_colorbar(ax, self.im_, self.score_name, self.baseline)
        self.text_: list[Any] = []
        if kind == "grid":
            self.text_ = label_cells(ax, self.im_, settings, self.baseline)
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
        temperature[alpha == 0] = np.nan  # has no effect without a teacher
        best: dict[tuple[float, float], float] = {}
        for row in rows[np.isfinite(score)].tolist():
            key = (row[0] if row[1] else -1.0, row[1])
            best[key] = float(self._best(np.array([best.get(key, row[2]), row[2]])))
        return np.array([[*key, value] for key, value in best.items()])

    def _best(self, values: np.ndarray, arg: bool = False) -> Any:
        sign = 1 if self.greater_is_better else -1
        place = np.argmax(sign * values)
        return place if arg else values[place]
