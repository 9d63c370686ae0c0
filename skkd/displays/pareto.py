"""Accuracy against cost, such as size or latency, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skkd._evaluate.evaluate import evaluate
from skkd.displays import _style
from skkd.displays._inputs import check_lengths, check_mapping
from skkd.displays._point_names import name_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ParetoDisplay:
    """Accuracy against cost, with the Pareto front.

    Models on the front have filled markers joined by a line; the others, for which
    there is a model at least as good and as cheap, have hollow gray ones. Create it
    with :meth:`from_estimators` or :meth:`from_results`.

    Parameters
    ----------
    cost : array-like of shape (n_models,)
        Greater than 0.
    accuracy : array-like of shape (n_models,)
    names : sequence of n_models str
    error : array-like of shape (n_models,), default=None
        Half the length of the bar at each accuracy; NaN for none.
    cost_name : str, default="parameters"
        "bytes" and "latency" are shown with their unit. Latency is in seconds, as in
        :func:`skkd.report.compare`, and shown in milliseconds.
    score_name : str, default="accuracy"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The front.
    text_ : list of matplotlib Text
        Names of the models, or their numbers in `legend_`.
    legend_ : matplotlib Legend or None
        The names of the numbers, if names would overlap in the plot.

    Notes
    -----
    Names are placed for the current size of the figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skkd.displays import ParetoDisplay
    >>> shown = ParetoDisplay.from_results(
    ...     {"teacher": (2_000_000, 0.93), "plain": (90_000, 0.85),
    ...      "distilled": (90_000, 0.90)}
    ... )
    >>> shown.on_front
    array([ True, False,  True])
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        cost: ArrayLike,
        accuracy: ArrayLike,
        *,
        names: Sequence[str],
        error: ArrayLike | None = None,
        cost_name: str = "parameters",
        score_name: str = "accuracy",
    ) -> None:
        self.cost = cost
        self.accuracy = accuracy
        self.names = names
        self.error = error
        self.cost_name = cost_name
        self.score_name = score_name

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        cost: str = "parameters",
        X_by_model: Mapping[str, Any] | None = None,
        groups: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> ParetoDisplay:
        """Measure fitted classifiers and plot them.

        Parameters
        ----------
        estimators : mapping of str to fitted classifier
            Models as in :func:`skkd.report.compare`.
        X : array-like of n rows
            Rows that none of them was fitted on.
        y : array-like of shape (n,)
            True labels.
        cost : str, default="parameters"
            "parameters", "bytes", "multiply_adds" or "latency".
        X_by_model : mapping of str to array-like of n rows, default=None
            The same rows in another form, for the models that need it.
        groups : array-like of shape (n,), default=None
            Rows that belong together, for the standard errors.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        ParetoDisplay
            With the standard error of each accuracy.

        Raises
        ------
        TypeError
            If one of them is not a classifier.
        ValueError
            If lengths differ, or `cost` does not apply to one of them.
        """
        estimators = check_mapping("estimators", estimators, "fitted classifiers")
        check_lengths({"X": X, "y": y})
        found = evaluate(
            estimators,
            X,
            y,
            X_by_model=X_by_model,
            groups=groups,
            batch_size=int(cost == "latency"),
        )
        return cls.from_results(found.measures, cost=cost, ax=ax)

    @classmethod
    def from_results(
        cls,
        results: Any,
        *,
        cost: str = "parameters",
        score: str = "accuracy",
        ax: Axes | None = None,
    ) -> ParetoDisplay:
        """Plot measures that are known.

        Parameters
        ----------
        results : mapping of str to tuple or mapping, or Comparison
            For each name ``(cost, accuracy)`` or ``(cost, accuracy, error)``; or a
            mapping with the keys `cost` and `score`, and optionally the error, such as
            ``accuracy_error``. Or the result of :func:`skkd.report.compare`.
        cost : str, default="parameters"
            Name of the cost, and its key in mappings. "latency" is in seconds.
        score : str, default="accuracy"
            Name of the score, greater is better, and its key in mappings.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        ParetoDisplay

        Raises
        ------
        ValueError
            If a value is missing or out of range.
        """
        rows = check_mapping(
            "results", getattr(results, "measures", results), "results"
        )
        points = [_point(name, row, cost, score) for name, row in rows.items()]
        costs, scores, errors = np.array(points, dtype=float).T
        display = cls(
            costs,
            scores,
            names=list(rows),
            error=None if np.isnan(errors).all() else errors,
            cost_name=cost,
            score_name=score,
        )
        return display.plot(ax=ax)

    @property
    def on_front(self) -> np.ndarray:
        """Mask of the models on the Pareto front, (n_models,)."""
        cost, score = np.asarray(self.cost, float), np.asarray(self.accuracy, float)
        no_worse = (cost[:, None] <= cost) & (score[:, None] >= score)
        better = (cost[:, None] < cost) | (score[:, None] > score)
        return np.logical_not(np.any(no_worse & better, axis=0))

    def plot(self, *, ax: Axes | None = None) -> ParetoDisplay:
        """Plot the models.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        ParetoDisplay
            The display itself.

        Raises
        ------
        ValueError
            If lengths differ or a cost is not above 0.
        """
        cost, score = self._checked()
        if self.cost_name == "latency":
            cost = 1000 * cost
        self.ax_ = ax = _style.axes_for(ax, "ParetoDisplay.plot")
        self.figure_ = ax.figure
        front = self.on_front
        order = np.flatnonzero(front)[np.lexsort((score[front], cost[front]))]
        self._draw(ax, cost, score, order)
        ax.set_xscale("log")
        ax.margins(x=0.12, y=0.14)
        units = {"bytes": "bytes on disk", "latency": "latency of one row, ms"}
        names = (name.replace("_", " ") for name in (self.cost_name, self.score_name))
        cost_label, score_label = (_style.shorten(name, 40) for name in names)
        label = units.get(self.cost_name, cost_label)
        _style.dress(ax, xlabel=label, ylabel=score_label)
        _style.without_frame(ax)
        _style.plain_log_ticks(ax)
        # The corners of the steps: first to the right, then up.
        x, y = np.repeat(cost[order], 2)[1:], np.repeat(score[order], 2)[:-1]
        self.text_, self.legend_ = name_points(
            ax,
            np.column_stack([cost, score]),
            [str(name) for name in self.names],
            ["black" if on_front else "0.35" for on_front in front],
            np.column_stack([x, y]),
        )
        return self

    def _draw(
        self, ax: Axes, cost: np.ndarray, score: np.ndarray, order: np.ndarray
    ) -> None:
        """Draw the front, the markers of both kinds, and the error bars."""
        step: dict[str, Any] = {"drawstyle": "steps-post", "lw": 1.4, "zorder": 2}
        color = _style.COLORS[0]
        (self.line_,) = ax.plot(cost[order], score[order], color=color, **step)
        marks: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 5, "zorder": 3}
        front = self.on_front
        ax.plot(cost[front], score[front], color=color, **marks)
        hollow = {"mfc": "white", "mec": _style.QUIET, "mew": 1.2}
        ax.plot(cost[~front], score[~front], **(marks | hollow))
        if self.error is not None:
            error = np.nan_to_num(np.asarray(self.error, float))
            bars: dict[str, Any] = {"ecolor": "0.75", "elinewidth": 0.9, "zorder": 1}
            ax.errorbar(cost, score, yerr=error, fmt="none", **bars)

    def _checked(self) -> tuple[np.ndarray, np.ndarray]:
        """Return costs and accuracies, or say what is wrong with them."""
        given = {"cost": self.cost, "accuracy": self.accuracy, "names": self.names}
        check_lengths({name: np.asarray(value) for name, value in given.items()})
        if self.error is not None:
            check_lengths({"cost": self.cost, "error": self.error})
        cost, score = np.asarray(self.cost, float), np.asarray(self.accuracy, float)
        for name, one, value in zip(self.names, cost, score, strict=True):
            if not (np.isfinite(one) and one > 0 and np.isfinite(value)):
                raise ValueError(
                    f"{name} has {self.cost_name} {one} and {self.score_name} {value}: "
                    "expected a finite cost above 0, for the log scale, and a finite "
                    "score. Leave out models to which this cost does not apply."
                )
        return cost, score


def _point(name: str, row: Any, cost: str, score: str) -> tuple[float, float, float]:
    """Return cost, score and error of a model, NaN for no error."""
    if isinstance(row, Mapping):
        error = row.get(f"{score}_error")
        missing = [key for key in (cost, score) if row.get(key) is None]
        if missing:
            known = sorted(str(key) for key, value in row.items() if value is not None)
            raise ValueError(
                f"{name} has no {' and no '.join(missing)}, only {known}. Take another "
                "cost, such as 'bytes' or 'latency', or leave this model out."
            )
        return row[cost], row[score], np.nan if error is None else error
    values = tuple(row) if isinstance(row, Sequence) else ()
    if len(values) not in (2, 3):
        raise ValueError(
            f"{name} is {row!r}: expected (cost, accuracy), (cost, accuracy, error) or "
            f"a mapping with the keys {cost!r} and {score!r}."
        )
    return values[0], values[1], values[2] if len(values) == 3 else np.nan
