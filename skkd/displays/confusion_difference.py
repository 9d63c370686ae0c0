"""Which mistakes one classifier makes more often, or less, than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

from skkd.displays import _style
from skkd.displays._inputs import check_lengths, check_mapping, predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ConfusionDifferenceDisplay:
    """Confusion matrix of one classifier minus that of another.

    Blue, positive cells are predictions that the first makes more often: correct ones
    on the diagonal, errors elsewhere. Create it with :meth:`from_estimators` or
    :meth:`from_predictions`.

    Parameters
    ----------
    difference : ndarray of shape (n_classes, n_classes)
        True classes by row, predicted ones by column: numbers of samples, or shares of
        the true class.
    display_labels : sequence of n_classes names
        In the order of the rows.
    names : tuple of str
        The two classifiers, the first minus the second.
    normalize : {"true", None}, default=None
        Whether `difference` holds shares of the true class.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_classes, n_classes) of matplotlib Text, or None
        None if values do not fit; then ``+`` and ``-`` mark the cells.
    colorbar_ : matplotlib Colorbar

    Notes
    -----
    Font sizes are fitted to the current size of the figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skkd.displays import ConfusionDifferenceDisplay
    >>> y = ["cat", "cat", "dog", "dog"]
    >>> distilled, plain = y, ["cat", "dog", "dog", "dog"]
    >>> shown = ConfusionDifferenceDisplay.from_predictions(
    ...     y, {"distilled": distilled, "plain": plain}
    ... )
    >>> shown.difference
    array([[ 1, -1],
           [ 0,  0]])
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        difference: np.ndarray,
        *,
        display_labels: Sequence[Any],
        names: tuple[str, str] = ("first", "second"),
        normalize: str | None = None,
    ) -> None:
        self.difference = difference
        self.display_labels = display_labels
        self.names = names
        self.normalize = normalize

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        display_labels: Sequence[Any] | None = None,
        normalize: str | None = None,
        ax: Axes | None = None,
    ) -> ConfusionDifferenceDisplay:
        """Plot where the predictions of two classifiers differ.

        Parameters
        ----------
        estimators : mapping of str to fitted classifier
            Exactly two: the first minus the second, such as
            ``{"distilled": ..., "plain": ...}``.
        X : array-like of n rows
        y : array-like of shape (n,)
            True labels.
        labels : array-like of shape (n_classes,), default=None
            Classes to show, in this order; None shows all that occur, sorted.
        display_labels : sequence of n_classes names, default=None
            Names to show instead of the labels.
        normalize : {"true", None}, default=None
            "true" shows shares of the true class.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        ConfusionDifferenceDisplay

        Raises
        ------
        ValueError
            If there are not exactly two, or lengths or labels do not match.
        """
        estimators = _check_two("estimators", estimators, "fitted classifiers")
        check_lengths({"X": X, "y": y})
        predicted = {
            name: predictions(name, one, X) for name, one in estimators.items()
        }
        options: dict[str, Any] = {"labels": labels, "display_labels": display_labels}
        options |= {"normalize": normalize, "ax": ax}
        return cls.from_predictions(y, predicted, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: Mapping[str, ArrayLike],
        *,
        labels: ArrayLike | None = None,
        display_labels: Sequence[Any] | None = None,
        normalize: str | None = None,
        ax: Axes | None = None,
    ) -> ConfusionDifferenceDisplay:
        """Plot where two predictions differ.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels.
        y_pred : mapping of str to array-like of shape (n,)
            Two predictions, the first minus the second.
        labels, display_labels, normalize, ax
            As in :meth:`from_estimators`.

        Returns
        -------
        ConfusionDifferenceDisplay

        Raises
        ------
        ValueError
            If there are not exactly two, or lengths or labels do not match.
        """
        y_pred = _check_two("y_pred", y_pred, "predictions")
        check_lengths({"y_true": y_true} | y_pred)
        if normalize not in ("true", None):
            raise ValueError(f"normalize={normalize!r}: expected 'true' or None.")
        if labels is None:
            labels = np.unique(np.concatenate([y_true, *y_pred.values()]))
        labels = np.asarray(labels)
        shown = labels.tolist() if display_labels is None else list(display_labels)
        if len(shown) != len(labels):
            raise ValueError(
                f"display_labels has {len(shown)} names, expected {len(labels)}, one "
                f"for each of {labels.tolist()[:20]}."
            )
        first, second = (
            confusion_matrix(y_true, one, labels=labels, normalize=normalize)
            for one in y_pred.values()
        )
        one, other = y_pred
        display = cls(
            first - second,
            display_labels=shown,
            names=(one, other),
            normalize=normalize,
        )
        return display.plot(ax=ax)

    def plot(
        self, *, ax: Axes | None = None, include_values: bool | None = None
    ) -> ConfusionDifferenceDisplay:
        """Plot the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.
        include_values : bool, default=None
            Whether to write the values into the cells; None does if they fit.

        Returns
        -------
        ConfusionDifferenceDisplay
            The display itself.
        """
        self.ax_ = ax = _style.axes_for(ax, "ConfusionDifferenceDisplay.plot")
        self.figure_ = ax.figure
        values = (100 if self.normalize else 1) * np.asarray(self.difference)
        bound = max(np.abs(values).max(), 1)
        # Until they are named as there is room.
        names = _style.shorten_all(self.display_labels, 6)
        matrix = ConfusionMatrixDisplay(values, display_labels=names)
        matrix.plot(
            ax=ax,
            include_values=False,  # until it is known whether they fit
            cmap=_style.blue_orange(),
            colorbar=False,
            # Cells that are not square use all of the figure.
            im_kw={"aspect": "auto", "vmin": -bound, "vmax": bound},
        )
        self.im_ = matrix.im_
        self._separate(ax, len(values))
        self._label(ax)
        self._write(ax, values, include_values)
        return self

    def _separate(self, ax: Axes, n: int) -> None:
        """Draw thin lines between the cells, darker ones around the diagonal."""
        ax.set_xticks(np.arange(n + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="0.88", lw=0.4)
        ax.tick_params(which="minor", length=0)
        edges = np.repeat(np.arange(n + 1) - 0.5, 2)
        for x, y in ((edges[1:], edges[:-1]), (edges[:-1], edges[1:])):
            ax.plot(x, y, color="0.3", lw=0.7, scalex=False, scaley=False)

    def _label(self, ax: Axes) -> None:
        size = _style.base_size(ax)
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=ax, pad=0.02)
        self.colorbar_.ax.tick_params(labelsize=0.9 * size)
        unit = ", % of true" if self.normalize else ", rows"
        first, second = (_style.shorten(name, 14) for name in self.names)
        self.colorbar_.set_label(f"{first} \N{MINUS SIGN} {second}{unit}", size=size)
        _style.dress(ax, xlabel="predicted", ylabel="true")
        _style.name_ticks(ax, self.display_labels, self.display_labels)
        _style.fit_label(self.colorbar_.ax.yaxis.label, _style.size_in_points(ax)[1])

    def _write(self, ax: Axes, values: np.ndarray, wanted: bool | None) -> None:
        """Write values into the cells, or signs if the values do not fit."""
        digits = 1 if self.normalize and np.abs(values).max() < 10 else 0
        texts = np.array([[_signed(v, digits) for v in row] for row in values], object)
        size = _style.cell_size(ax, texts.ravel(), len(values), len(values))
        self.text_ = None
        if wanted or (wanted is None and size):
            self.text_ = np.empty_like(texts)
            for (i, j), text in np.ndenumerate(texts):
                color = "0.6" if text == "0" else "black"
                options: dict[str, Any] = {"ha": "center", "va": "center"}
                options |= {"color": color, "fontsize": size or _style.SMALLEST}
                self.text_[i, j] = written = ax.text(j, i, text, **options)
                written.set_in_layout(False)  # inside, and many
        elif wanted is None:
            # The ends of the colour map look alike in gray: signs tell them apart.
            side = min(_style.current_size(ax)) / len(values)
            strong = np.abs(values) > 0.15 * np.abs(values).max()
            for marker, where in (("+", values > 0), ("_", values < 0)):
                rows, columns = np.nonzero(where & strong)
                area, line = (0.5 * side) ** 2, max(0.09 * side, 0.4)
                ax.scatter(columns, rows, marker=marker, color="black", s=area, lw=line)


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else "0"


def _check_two(name: str, value: Any, of: str) -> dict[str, Any]:
    value = check_mapping(name, value, of)
    if len(value) != 2:
        raise ValueError(
            f"{name} has {len(value)} entries ({', '.join(value)}), expected two {of}: "
            "the first minus the second."
        )
    return value
