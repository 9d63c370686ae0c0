"""Accuracy against what it costs: size or latency, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skkd.displays import _label_placement, _style
from skkd.displays._inputs import check_lengths, check_mapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ParetoDisplay:
    """Accuracy against cost, with the front of those that none beats in both.

    Models on the front are full marks joined by a line; the others, dominated by one
    that is as good and as cheap, are hollow and gray. Make one with
    :meth:`from_estimators` or :meth:`from_results`.

    Parameters
    ----------
    cost : array-like of shape (n_models,)
        Above 0.
    accuracy : array-like of shape (n_models,)
    names : sequence of n_models str
    error : array-like of shape (n_models,), default=None
        Half the length of the bar at each accuracy; NaN for none.
    cost_name : str, default="parameters"
        "bytes" and "latency" are shown with their unit. Latency is given in seconds, as
        :func:`skkd.report.compare` measures it, and shown in milliseconds.
    score_name : str, default="accuracy"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The front.
    text_ : list of matplotlib Text
        Names of the models, or the numbers that stand for them in `legend_`.
    legend_ : matplotlib Legend or None
        The key to the numbers, where names would have met each other.

    Notes
    -----
    Names are placed for the size that the figure has while plotting.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
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
        ax: Axes | None = None,
        **options: Any,
    ) -> ParetoDisplay:
        """Measure fitted classifiers and plot them.

        Parameters
        ----------
        estimators : mapping of str to fitted classifier
            Whatever :func:`skkd.report.compare` compares.
        X : array-like of n rows
            Rows that none of them was fitted on.
        y : array-like of shape (n,)
            True labels.
        cost : str, default="parameters"
            One of its measures: "parameters", "bytes", "multiply_adds" or "latency".
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.
        **options
            Of :func:`skkd.report.compare`, such as ``groups``.

        Returns
        -------
        ParetoDisplay
            With the standard error of each accuracy.

        Raises
        ------
        TypeError
            If one of them is no classifier.
        ValueError
            If lengths differ, or `cost` does not apply to one of them.
        """
        from skkd.report import compare  # which plots with displays

        estimators = check_mapping("estimators", estimators, "fitted classifiers")
        check_lengths({"X": X, "y": y})
        options = {"timing": cost == "latency", "n_examples": 0} | options
        return cls.from_results(compare(estimators, X, y, **options), cost=cost, ax=ax)

    @classmethod
    def from_results(
        cls,
        results: Any,
        *,
        cost: str = "parameters",
        score: str = "accuracy",
        ax: Axes | None = None,
    ) -> ParetoDisplay:
        """Plot what was measured already.

        Parameters
        ----------
        results : mapping of str to tuple or mapping, or Comparison
            For each name ``(cost, accuracy)`` or ``(cost, accuracy, error)``; or a
            mapping that has `cost` and `score` among its keys, and perhaps the error
            under ``accuracy_error`` and the like. Or what
            :func:`skkd.report.compare` returns.
        cost : str, default="parameters"
            What the cost is; of mappings, the key to it. "latency" is in seconds.
        score : str, default="accuracy"
            What the score is, greater is better; of mappings, the key to it.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

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
        return display.plot(ax)

    @property
    def on_front(self) -> np.ndarray:
        """Mask of the models that no other is at least as good and cheap as, (n,)."""
        cost, score = np.asarray(self.cost, float), np.asarray(self.accuracy, float)
        no_worse = (cost[:, None] <= cost) & (score[:, None] >= score)
        better = (cost[:, None] < cost) | (score[:, None] > score)
        return np.logical_not(np.any(no_worse & better, axis=0))

    def plot(self, ax: Axes | None = None) -> ParetoDisplay:
        """Plot the models.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

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
        step: dict[str, Any] = {"drawstyle": "steps-post", "lw": 1.4, "zorder": 2}
        color = _style.COLORS[0]
        (self.line_,) = ax.plot(cost[order], score[order], color=color, **step)
        marks: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "ms": 5,
            "zorder": 3,
        }
        ax.plot(cost[front], score[front], color=color, **marks)
        hollow = {"mfc": "white", "mec": _style.QUIET, "mew": 1.2}
        ax.plot(cost[~front], score[~front], **(marks | hollow))
        if self.error is not None:
            error = np.nan_to_num(np.asarray(self.error, float))
            bars: dict[str, Any] = {"ecolor": "0.75", "elinewidth": 0.9, "zorder": 1}
            ax.errorbar(cost, score, yerr=error, fmt="none", **bars)
        ax.set_xscale("log")
        ax.margins(x=0.12, y=0.14)
        units = {"bytes": "bytes on disk", "latency": "latency of one row, ms"}
        label = units.get(self.cost_name, self.cost_name.replace("_", " "))
        score_label = self.score_name.replace("_", " ")
        _style.dress(ax, xlabel=label, ylabel=score_label)
        _style.without_frame(ax)
        _style.plain_log_ticks(ax)
        names = list(map(str, self.names))
        lines = self._lines(cost, score, order)
        self.text_, self.legend_ = _label_placement.place(
            ax, cost, score, names, front, lines
        )
        return self

    def _lines(self, cost: np.ndarray, score: np.ndarray, order: np.ndarray) -> Any:
        """Return the ends of the lines in the picture, in pairs, (2 * n_lines, 2)."""
        x, y = cost[order], score[order]
        across = np.stack([x[:-1], y[:-1], x[1:], y[:-1]], axis=1)
        up = np.stack([x[1:], y[:-1], x[1:], y[1:]], axis=1)
        error = np.zeros(len(cost)) if self.error is None else np.asarray(self.error)
        error = np.nan_to_num(error.astype(float))
        bars = np.stack([cost, score - error, cost, score + error], axis=1)
        return np.concatenate([across, up, bars]).reshape(-1, 2)

    def _checked(self) -> tuple[np.ndarray, np.ndarray]:
        """Return costs and accuracies, or say what is wrong with them."""
        sides = {"cost": self.cost, "accuracy": self.accuracy, "names": self.names}
        check_lengths({n: np.asarray(v) for n, v in sides.items()})
        if self.error is not None:
            check_lengths({"cost": self.cost, "error": self.error})
        cost, score = np.asarray(self.cost, float), np.asarray(self.accuracy, float)
        for name, one, value in zip(self.names, cost, score, strict=True):
            if not (np.isfinite(one) and one > 0 and np.isfinite(value)):
                raise ValueError(
                    f"{name} has {self.cost_name} {one} and {self.score_name} {value}: "
                    "expected a cost above 0, for its logarithm, and a number. Leave "
                    "out models to which this cost does not apply."
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
