"""Reliability curves: how accurate classifiers are at each level of confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skkd.displays import _style
from skkd.displays._inputs import check_lengths, check_mapping, probabilities
from skkd.displays._reliability_curve import Reliability, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ReliabilityDisplay:
    """Reliability curves, with a histogram of confidences below.

    Create it with :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    curves : mapping of str to Reliability
        A curve for each name.
    n_bins : int, default=15
        Bins of equal width on [0, 1].
    pos_label : object, default=None
        The class whose probability is shown; None for the predicted class.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the curves.
    histogram_ax_ : matplotlib Axes
        Axes of the histogram.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        A line for each curve.

    Notes
    -----
    With ``pos_label=None`` the confidence is the probability of the predicted class,
    and the curve shows how often it is correct. The expected calibration error
    (:attr:`Reliability.ece`) is in the legend.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skkd.displays import ReliabilityDisplay
    >>> proba = [[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.2, 0.8]]
    >>> shown = ReliabilityDisplay.from_predictions([0, 1, 1, 1], {"student": proba})
    >>> round(shown.curves["student"].ece, 3)
    0.175
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        curves: Mapping[str, Reliability],
        *,
        n_bins: int = 15,
        pos_label: Any = None,
    ) -> None:
        self.curves = curves
        self.n_bins = n_bins
        self.pos_label = pos_label

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        n_bins: int = 15,
        pos_label: Any = None,
        ax: Axes | None = None,
    ) -> ReliabilityDisplay:
        """Predict with classifiers and plot their reliability.

        Parameters
        ----------
        estimators : mapping of str to fitted classifier
            With ``predict_proba``, or torch modules that return logits.
        X : array-like of n rows
            Rows that none of them was fitted on.
        y : array-like of shape (n,)
            True labels.
        classes : array-like of shape (n_classes,), default=None
            Labels of the outputs of torch modules.
        n_bins : int, default=15
            Bins of equal width on [0, 1]; 15 as in :func:`skkd.report.compare`.
        pos_label : object, default=None
            A class, to plot how often it is the true one against its probability. None
            plots how often the predicted class is correct.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        TypeError
            If a classifier has no probabilities.
        ValueError
            If lengths differ or a class is unknown.
        """
        estimators = check_mapping("estimators", estimators, "fitted classifiers")
        check_lengths({"X": X, "y": y})
        curves = {}
        for name, estimator in estimators.items():
            proba, labels = probabilities(name, estimator, X, classes)
            curves[name] = reliability(name, y, proba, labels, n_bins, pos_label)
        return cls(curves, n_bins=n_bins, pos_label=pos_label).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: Mapping[str, ArrayLike],
        *,
        classes: ArrayLike | None = None,
        n_bins: int = 15,
        pos_label: Any = None,
        ax: Axes | None = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels.
        y_proba : mapping of str to array-like of shape (n, n_classes)
            Probabilities, for each name.
        classes : array-like of shape (n_classes,), default=None
            Labels of the columns; None takes the sorted labels of `y_true`.
        n_bins, pos_label, ax
            As in :meth:`from_estimators`.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If shapes differ, a class is unknown, or values are not probabilities.
        """
        y_proba = check_mapping("y_proba", y_proba, "predicted probabilities")
        labels = np.unique(np.asarray(y_true)) if classes is None else classes
        curves = {
            name: reliability(
                name, y_true, proba, np.asarray(labels), n_bins, pos_label
            )
            for name, proba in y_proba.items()
        }
        return cls(curves, n_bins=n_bins, pos_label=pos_label).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> ReliabilityDisplay:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; the histogram takes its lower part. None creates a figure.

        Returns
        -------
        ReliabilityDisplay
            The display itself.
        """
        self.ax_ = ax = _style.axes_for(ax, "ReliabilityDisplay.plot")
        self.figure_ = ax.figure
        panel = _style.legend_panel(ax, len(self.curves) + 1, n_inside=5)
        self.histogram_ax_ = below = _style.split(ax, (0.73, 0.27), down=True)[1]
        below.sharex(ax)
        edges = np.linspace(0, 1, self.n_bins + 1)
        (perfect,) = ax.plot([0, 1], [0, 1], color=_style.QUIET, lw=1, ls=(0, (1, 2)))
        perfect.set_label("perfect")
        self.lines_ = []
        for i, (name, curve) in enumerate(self.curves.items()):
            style = _style.series_style(i)
            label = f"{_style.shorten(name, 22)}, ECE {curve.ece:.3f}"
            self.lines_ += ax.plot(
                curve.confidence, curve.accuracy, **style, ms=4, lw=1.4, label=label
            )
            del style["marker"]
            shares = curve.counts / curve.counts.sum()
            below.stairs(shares, edges, lw=1.2, **style)
        used = np.flatnonzero(sum(curve.counts for curve in self.curves.values()))
        low = edges[used[0]]
        lowest = min(low, *(curve.accuracy.min() for curve in self.curves.values()))
        wide = 0.02 * (1 - low)
        ax.set(xlim=(low - wide, 1 + wide), ylim=(lowest - 0.03, 1.03))
        below.set_ylim(0, None)
        self._label(ax, below)
        _style.legend(ax, panel)
        return self

    def _label(self, ax: Axes, below: Axes) -> None:
        about = "predicted class"
        if self.pos_label is not None:
            about = _style.shorten(self.pos_label, 22)
        label = "accuracy" if self.pos_label is None else "fraction of positives"
        _style.dress(ax, ylabel=label)
        _style.dress(below, xlabel=f"probability of {about}", ylabel="rows")
        ax.tick_params(labelbottom=False)
        for part in (ax, below):
            _style.without_frame(part)
        below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        below.yaxis.get_major_locator().set_params(nbins=2)  # type: ignore[call-arg]
        self.figure_.align_ylabels([ax, below])
