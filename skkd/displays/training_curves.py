"""Training curves of several fits in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skkd.displays import _style
from skkd.displays._inputs import check_mapping, last_step
from skkd.losses._registry import loss_of, needs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Parameters of the training loss: two fits are comparable if they are equal.
_LOSS = ("alpha", "temperature", "distillation", "criterion", "class_weight")


class TrainingCurvesDisplay:
    """Losses or scores over the epochs of several fits.

    Create it with :meth:`from_estimators`.

    Parameters
    ----------
    curves : mapping of str to mapping of str to ndarray of shape (n_epochs,)
        For each fit, the values of each key.
    comparable : bool, default=True
        Whether the train losses of all fits are the same function. If not, the plot
        says so.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One line for each key of each fit.

    Notes
    -----
    The train loss of a student mixes labels and teacher by its ``alpha``, so that train
    losses with different ``alpha``, ``temperature`` or loss are not comparable. The
    validation loss is the plain criterion, which is. It is recorded if ``train_split``
    of skorch holds out rows, such as ``ValidSplit(5, stratified=True)``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd import DistilledClassifier
    >>> from skkd.displays import TrainingCurvesDisplay
    >>> from skorch.dataset import ValidSplit
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> settings = {"max_epochs": 3, "train_split": ValidSplit(5, stratified=True)}
    >>> plain = DistilledClassifier(random_state=0, **settings).fit(X, y)
    >>> distilled = DistilledClassifier(teacher=teacher, random_state=0, **settings)
    >>> shown = TrainingCurvesDisplay.from_estimators(
    ...     {"plain": plain, "distilled": distilled.fit(X, y)}
    ... )
    >>> {name: list(curve) for name, curve in shown.curves.items()}
    {'plain': ['valid_loss'], 'distilled': ['valid_loss']}
    >>> plt.close(shown.figure_)
    """

    def __init__(
        self,
        curves: Mapping[str, Mapping[str, ArrayLike]],
        *,
        comparable: bool = True,
    ) -> None:
        self.curves = curves
        self.comparable = comparable

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        *,
        key: str | Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> TrainingCurvesDisplay:
        """Plot the histories of several networks.

        Parameters
        ----------
        estimators : mapping of str to fitted DistilledClassifier
            Also Pipelines that end in one, other skorch nets, and recipes, whose last
            student is shown.
        key : str or sequence of str, default=None
            Keys of the histories. None shows ``"valid_loss"`` if all recorded it,
            otherwise ``"train_loss"``.
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        TypeError
            If one has no history.
        ValueError
            If one is not fitted or did not record the key.
        """
        estimators = check_mapping("estimators", estimators, "fitted networks")
        nets = {name: _net(name, one) for name, one in estimators.items()}
        recorded = {name: _keys(net) for name, net in nets.items()}
        if key is None:
            all_valid = all("valid_loss" in keys for keys in recorded.values())
            key = "valid_loss" if all_valid else "train_loss"
        keys = [key] if isinstance(key, str) else list(key)
        for name, known in recorded.items():
            missing = [one for one in keys if one not in known]
            if missing or not keys:
                raise ValueError(
                    f"key={key!r}: {name} recorded {sorted(known)}. Keys that start "
                    "with valid_ are recorded if train_split holds out rows."
                )
        curves = {
            name: {one: np.array(net.history[:, one], float) for one in keys}
            for name, net in nets.items()
        }
        return cls(curves, comparable=_same_loss(list(nets.values()))).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> TrainingCurvesDisplay:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None creates a figure.

        Returns
        -------
        TrainingCurvesDisplay
            The display itself.
        """
        self.ax_ = ax = _style.axes_for(ax, "TrainingCurvesDisplay.plot")
        self.figure_ = ax.figure
        keys = list(dict.fromkeys(key for one in self.curves.values() for key in one))
        n_entries = len(self.curves) + (len(keys) if len(keys) > 1 else 0)
        panel = _style.legend_panel(ax, n_entries)
        self.lines_: list[Any] = []
        for i, (name, curve) in enumerate(self.curves.items()):
            for j, (key, values) in enumerate(curve.items()):
                label = _style.shorten(name, 22) if j == 0 else None
                style = _style.series_style(i)
                if len(keys) > 1:  # line styles for keys, markers for fits
                    style["linestyle"] = _line(keys.index(key))
                self._draw(ax, np.asarray(values, float), i, style | {"label": label})
        if len(keys) > 1:
            for j, key in enumerate(keys):
                line: dict[str, Any] = {"color": _style.QUIET, "linestyle": _line(j)}
                ax.plot([], [], **line, label=_key_name(key))
        shared = _key_name(keys[0]) if len(keys) == 1 else "value"
        _style.dress(ax, xlabel="epoch", ylabel=shared)
        _style.without_frame(ax)
        ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        options = {}
        if "train_loss" in keys and not self.comparable:
            options = {"title": "train losses of different\nsettings: not comparable"}
        legend = _style.legend(ax, panel, **options)
        size = legend.get_texts()[0].get_fontsize()
        legend.get_title().set(fontsize=size, style="italic")
        return self

    def _draw(
        self, ax: Axes, values: np.ndarray, i: int, style: dict[str, Any]
    ) -> None:
        # A few markers a line, shifted from fit to fit.
        stride = max(len(values) // 6, 1)
        first = (i * max(stride // 3, 1)) % stride
        epochs = np.arange(1, len(values) + 1)
        options: dict[str, Any] = {"ms": 4, "lw": 1.4, "markevery": (first, stride)}
        self.lines_ += ax.plot(epochs, values, **options, **style)


def _key_name(key: str) -> str:
    return _style.shorten(key.replace("_", " "), 40)


def _line(index: int) -> Any:
    return _style.LINES[index % len(_style.LINES)]


def _net(name: str, estimator: Any) -> Any:
    """Return the net with the history of `estimator`."""
    net = last_step(estimator)
    net = getattr(net, "student_", net)
    if not hasattr(net, "history"):
        if hasattr(net, "student") or hasattr(net, "estimator"):
            raise ValueError(f"{name} ({type(net).__name__}) is not fitted: call fit.")
        raise TypeError(
            f"{name} is a {type(net).__name__}, which keeps no history: expected a "
            "fitted DistilledClassifier, a skorch net or a Pipeline that ends in one."
        )
    if not len(net.history or ()):
        raise ValueError(
            f"{name} ({type(net).__name__}) has no history: it is not fitted (call "
            "fit), or was trained for 0 epochs."
        )
    return net


def _keys(net: Any) -> set[str]:
    """Return the keys with a number in every epoch."""
    return {
        key
        for key in net.history[0]
        if all(_is_number(row.get(key)) for row in net.history)
    } - {"epoch"}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)  # NaN, too


def _same_loss(nets: list[Any]) -> bool:
    """Tell whether all nets were trained with the same loss."""
    settings = []
    for net in nets:
        names = _LOSS if _is_distilled(net) else _LOSS[3:]
        parts = [(name, getattr(net, name, None)) for name in names]
        parts += [(name, net.get_params_for(name)) for name in names]
        settings.append(repr([names, *parts]))
    return len(set(settings)) == 1


def _is_distilled(net: Any) -> bool:
    """Tell whether the soft loss was a part of the training loss."""
    if getattr(net, "alpha", 0) == 0:
        return False
    if getattr(net, "teacher_", None) is not None:
        return True
    # Without a teacher, a loss such as label smoothing is still used.
    return not needs_of(loss_of(net))
