"""Soft labels of one sample at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from skkd._utils.checks import check_number
from skkd.displays import _style
from skkd.displays._images import as_picture, image_in
from skkd.displays._inputs import logits_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SoftLabelsDisplay:
    """Soft labels of one sample at several temperatures, beside its image.

    A panel for each temperature, a bar for each of the `top` most probable classes, and
    one for all others together. Create it with :meth:`from_estimator` or
    :meth:`from_predictions`.

    Parameters
    ----------
    probabilities : ndarray of shape (n_temperatures, n_classes)
    temperatures : sequence of n_temperatures floats
    classes : sequence of n_classes labels
    label : object, default=None
        The true class; its name is in bold.
    image : ndarray of shape (H, W), (H, W, 3) or (H, W, 4), default=None
        The sample.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the first temperature.
    axes_ : list of matplotlib Axes
        One for each temperature.
    bars_ : list of matplotlib BarContainer
        One for each temperature.
    image_ax_ : matplotlib Axes or None
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skkd.displays import SoftLabelsDisplay
    >>> shown = SoftLabelsDisplay.from_predictions(
    ...     [6.0, 4.0, 0.0], temperatures=[1, 4], classes=["cat", "lynx", "truck"]
    ... )
    >>> shown.probabilities.round(2)
    array([[0.88, 0.12, 0.  ],
           [0.55, 0.33, 0.12]])
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        probabilities: np.ndarray,
        *,
        temperatures: Sequence[float],
        classes: Sequence[Any],
        label: Any = None,
        image: np.ndarray | None = None,
    ) -> None:
        self.probabilities = probabilities
        self.temperatures = temperatures
        self.classes = classes
        self.label = label
        self.image = image

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        row: Any,
        *,
        temperatures: Sequence[float] = (1, 4, 16),
        classes: ArrayLike | None = None,
        label: Any = None,
        image: Any = None,
        top: int = 8,
        ax: Axes | None = None,
    ) -> SoftLabelsDisplay:
        """Plot what a teacher predicts for one sample.

        Parameters
        ----------
        estimator : fitted classifier, torch module or other teacher
            Everything that :func:`~skkd.teachers.as_teacher` accepts.
        row : array-like of shape (n_features,) or (C, H, W), or a path
            One row of X, in the form that the estimator expects.
        temperatures : sequence of float, default=(1, 4, 16)
            Each greater than 0.
        classes : array-like of shape (n_classes,), default=None
            Labels of the outputs; None takes ``estimator.classes_``.
        label : object, default=None
            The true class.
        image : array-like of shape (H, W), (C, H, W) or (H, W, C), default=None
            The image to show. None shows `row` if it is an image or the path of one;
            False shows none.
        top : int, default=8
            Number of classes with a bar of their own.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        SoftLabelsDisplay

        Raises
        ------
        ValueError
            If a parameter is out of range, or a class is unknown.
        """
        rows = np.asarray(row)[None]
        if hasattr(row, "to_frame"):  # a row of a DataFrame, whose columns have names
            rows = row.to_frame().T.infer_objects()
        logits, labels = logits_of(estimator, rows, classes)
        if image is None:
            image = image_in(row)
        return cls.from_predictions(
            logits[0],
            temperatures=temperatures,
            classes=labels,
            label=label,
            image=None if image is False else image,
            top=top,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        logits: ArrayLike,
        *,
        temperatures: Sequence[float] = (1, 4, 16),
        classes: ArrayLike | None = None,
        label: Any = None,
        image: Any = None,
        top: int = 8,
        ax: Axes | None = None,
    ) -> SoftLabelsDisplay:
        """Soften logits and plot them.

        Parameters
        ----------
        logits : array-like of shape (n_classes,)
            Logits or log-probabilities of one sample.
        classes : array-like of shape (n_classes,), default=None
            Labels; None numbers the classes.
        temperatures, label, image, top, ax
            As in :meth:`from_estimator`; with ``image=None`` none is shown.

        Returns
        -------
        SoftLabelsDisplay

        Raises
        ------
        ValueError
            If a parameter is out of range, or a class is unknown.
        """
        values = np.asarray(logits, dtype=float)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(
                f"logits has shape {values.shape}, expected (n_classes,) of one "
                "sample, with finite values."
            )
        labels = np.arange(len(values)) if classes is None else np.asarray(classes)
        if len(labels) != len(values):
            raise ValueError(
                f"classes has {len(labels)} labels, expected {len(values)}, one for "
                "each logit."
            )
        if label is not None and label not in labels.tolist():
            raise ValueError(
                f"label={label!r} is none of the classes {labels.tolist()[:20]}."
            )
        softness = np.atleast_1d(np.asarray(temperatures, dtype=float))
        if not len(softness) or not np.all(softness > 0):
            raise ValueError(
                f"temperatures={temperatures!r}: expected numbers above 0."
            )
        return cls(
            softmax(values / softness[:, None], axis=1),
            temperatures=softness.tolist(),
            classes=labels.tolist(),
            label=label,
            image=None if image is None else as_picture(np.asarray(image)),
        ).plot(ax=ax, top=top)

    def plot(self, *, ax: Axes | None = None, top: int = 8) -> SoftLabelsDisplay:
        """Plot the soft labels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; it is divided into panels. None creates a figure.
        top : int, default=8
            Number of classes with a bar of their own, by probability.

        Returns
        -------
        SoftLabelsDisplay
            The display itself.
        """
        check_number("top", top, Integral, low=1)
        self.ax_ = ax = _style.axes_for(ax, "SoftLabelsDisplay.plot")
        self.figure_ = ax.figure
        panels = [1.0] * len(self.temperatures)
        self.image_ax_ = None
        if self.image is None:
            self.axes_ = _style.split(ax, panels)
        else:
            self.image_ax_, *self.axes_ = _style.split(ax, [1.3, *panels], keep=1)
            cmap = "gray" if self.image.ndim == 2 else None
            self.image_ax_.imshow(self.image, cmap=cmap)
            self.image_ax_.set_axis_off()
        order, names = self._order(top)
        self.bars_: list[Any] = []
        for panel, temperature, row in zip(
            self.axes_, self.temperatures, self.probabilities, strict=True
        ):
            shares = row[order[:top]]
            if len(order) > top:
                shares = np.append(shares, row[order[top:]].sum())
            self._draw(panel, temperature, shares, len(order) > top + 1)
        for panel in self.axes_[1:]:
            panel.tick_params(labelleft=False)
        _style.name_ticks(ax, None, names)
        if self.label is not None:
            place = [self.classes[i] for i in order].index(self.label)
            tick = ax.get_yticklabels()[min(place, len(names) - 1)]
            tick.set_fontweight("bold")
        self._write()
        return self

    def _write(self) -> None:
        """Write percentages beside the bars; all panels leave the same room."""
        longest = max(bar.get_width() for bars in self.bars_ for bar in bars)
        _, height = _style.size_in_points(self.ax_)
        spare = abs(np.subtract(*self.ax_.get_ylim()))
        size = min(0.8 * _style.base_size(self.ax_), height / spare / 1.3)
        width = min(_style.current_size(panel)[0] for panel in self.axes_)
        number = _style.text_width("100 %", size) + 4
        if size < _style.SMALLEST - 0.5 or number > 0.8 * width:
            size, number = 0, 0
        for panel, bars in zip(self.axes_, self.bars_, strict=True):
            panel.set_xlim(0, longest / (1 - number / width))
            if size:
                texts = [_percent(bar.get_width()) for bar in bars]
                for text in panel.bar_label(bars, texts, padding=2, fontsize=size):
                    text.set_in_layout(False)

    def _order(self, top: int) -> tuple[np.ndarray, list[str]]:
        """Return the classes by decreasing probability, and the names of the bars."""
        # The order is the same at all temperatures, but only the highest separates
        # what underflows to 0 at low ones.
        softest = int(np.argmax(self.temperatures))
        order = np.argsort(-np.asarray(self.probabilities)[softest], kind="stable")
        names = [str(self.classes[i]) for i in order[:top]]
        if len(order) == top + 1:  # a single other class is named
            names.append(str(self.classes[order[top]]))
        elif len(order) > top:
            names.append(f"{len(order) - top} others")
        return order, names

    def _draw(
        self, ax: Axes, temperature: float, shares: np.ndarray, has_rest: bool
    ) -> None:
        bars = ax.barh(range(len(shares)), shares, color=_style.COLORS[0], height=0.7)
        self.bars_.append(bars)
        if has_rest:
            bars[-1].set(facecolor="0.85", edgecolor="0.45", hatch="////")
        spare = max(4 - len(shares), 0) / 2  # keeps few bars thin
        ax.set_ylim(len(shares) - 0.4 + spare, -0.6 - spare)
        top = 1 - spare / (len(shares) + 0.2 + 2 * spare)
        ax.set_title(f"T = {temperature:g}", y=top)
        _style.dress(ax)
        _style.without_frame(ax)
        ax.spines["bottom"].set_visible(False)
        ax.set_xticks([])
        ax.set_yticks(range(len(shares)))
        ax.tick_params(length=0)
        ax.spines["left"].set_bounds(-0.6, len(shares) - 0.4)


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
