"""Reliability curves: whether a classifier is right as often as it is sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skkd._evaluate.quality import bins_of
from skkd.displays import _style
from skkd.displays._inputs import check_lengths, check_mapping, probabilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Reliability:
    """The reliability curve of one classifier; bins without a row are left out.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins_used,)
        Mean confidence of the rows of each bin.
    accuracy : ndarray of shape (n_bins_used,)
        Share of these that are right.
    counts : ndarray of shape (n_bins,)
        Rows of every bin, 0 for an empty one.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap, weighted by rows [1]_.

        References
        ----------
        .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", 2017,
           equation 3. https://arxiv.org/abs/1706.04599
        """
        counts = self.counts[self.counts > 0]
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.average(gaps, weights=counts))


class ReliabilityDisplay:
    """Reliability curves of teacher and students, confidences below.

    Make one with :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    curves : mapping of str to Reliability
        A curve for each name.
    n_bins : int, default=15
        Bins of equal width on [0, 1].
    pos_label : object, default=None
        The class that the curves are about; None for the predicted one.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the curves.
    histogram_ax_ : matplotlib Axes
        Of the confidences.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        A line for each curve.

    Notes
    -----
    With ``pos_label=None`` the confidence is the probability of the predicted class,
    and the curve tells how often it is the right one. Its error
    (:attr:`Reliability.ece`) stands in the legend.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
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
        """Ask classifiers and plot how reliable they are.

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
            A class: plots how often it is this one, against its probability. None
            plots how often the predicted class is right.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        TypeError
            If a classifier gives no probabilities.
        ValueError
            If lengths differ or a class is not known.
        """
        estimators = check_mapping("estimators", estimators, "fitted classifiers")
        check_lengths({"X": X, "y": y})
        curves = {}
        for name, estimator in estimators.items():
            proba, labels = probabilities(name, estimator, X, classes)
            curves[name] = _curve(name, y, proba, labels, n_bins, pos_label)
        return cls(curves, n_bins=n_bins, pos_label=pos_label).plot(ax)

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
            If shapes differ, a class is not known, or these are no probabilities.
        """
        y_proba = check_mapping("y_proba", y_proba, "predicted probabilities")
        labels = np.unique(np.asarray(y_true)) if classes is None else classes
        curves = {
            name: _curve(name, y_true, proba, np.asarray(labels), n_bins, pos_label)
            for name, proba in y_proba.items()
        }
        return cls(curves, n_bins=n_bins, pos_label=pos_label).plot(ax)

    def plot(self, ax: Axes | None = None) -> ReliabilityDisplay:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; its lower part is cut off for the histogram. None makes a
            figure.

        Returns
        -------
        ReliabilityDisplay
            The display itself.
        """
        self.ax_ = ax = _style.axes_for(ax, "ReliabilityDisplay.plot")
        self.figure_ = ax.figure
        beside = _style.beside_for(ax, len(self.curves) + 1, inside=5)
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
        _style.legend(ax, beside)
        return self

    def _label(self, ax: Axes, below: Axes) -> None:
        about = "predicted class" if self.pos_label is None else f"{self.pos_label}"
        right = "share right" if self.pos_label is None else "share of it"
        _style.dress(ax, ylabel=right)
        _style.dress(below, xlabel=f"probability of {about}", ylabel="rows")
        ax.tick_params(labelbottom=False)
        for part in (ax, below):
            _style.without_frame(part)
        below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        below.yaxis.get_major_locator().set_params(nbins=2)  # type: ignore[call-arg]
        self.figure_.align_ylabels([ax, below])


def _curve(
    name: str, y: Any, proba: Any, classes: np.ndarray, n_bins: int, pos_label: Any
) -> Reliability:
    """Sort the rows into bins by confidence."""
    y, proba = np.asarray(y), np.asarray(proba, dtype=float)
    _check(name, y, proba, classes, n_bins)
    if pos_label is None:
        confidence, hit = proba.max(axis=1), classes[proba.argmax(axis=1)] == y
    else:
        if pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={pos_label!r} is none of the classes of {name}, "
                f"{classes.tolist()[:20]}."
            )
        column = classes.tolist().index(pos_label)
        confidence, hit = proba[:, column], y == pos_label
    bins = bins_of(confidence, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    used = counts > 0
    sure, right = (
        np.bincount(bins, weights=values, minlength=n_bins)[used] / counts[used]
        for values in (confidence, hit.astype(float))
    )
    return Reliability(sure, right, counts)


def _check(
    name: str, y: np.ndarray, proba: np.ndarray, classes: np.ndarray, n_bins: int
) -> None:
    if not isinstance(n_bins, (int, np.integer)) or n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r}: expected an integer of at least 1.")
    if proba.shape != (len(y), len(classes)):
        raise ValueError(
            f"{name} has probabilities of shape {proba.shape}, expected "
            f"{(len(y), len(classes))}: a row for each of y, a column for each class "
            f"of {classes.tolist()[:20]}. Name other columns by classes=[...]."
        )
    if len(y) and not set(y.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"{name} knows none of the labels of y: its columns stand for "
            f"{classes.tolist()[:5]}, y holds {np.unique(y).tolist()[:5]}. Give y the "
            "labels that it was trained on."
        )
    if not len(y):
        raise ValueError("y is empty: expected at least one row.")
    sums = proba.sum(axis=1)
    if not (np.all(proba >= 0) and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            f"{name} has no probabilities: expected values of at least 0 whose rows "
            f"sum to 1, got {proba.min():.3g} to {proba.max():.3g} with sums "
            f"from {sums.min():.3g} to {sums.max():.3g}. Logits go through a softmax "
            "first."
        )
