"""Temperature, alpha and parameters of the loss that change from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback

from skkd._fit.objective import check_hyperparameters
from skkd._utils.checks import check_number
from skkd.callbacks._loss_numbers import checked_number, scheduled_numbers

_LOSS = "distillation__"


class Schedule(Callback):
    """A parameter that is a function of the epoch: a callback of the estimator.

    The estimator's own parameters stay as they were given; `get_params` and `clone` are
    not affected. The value of each epoch is recorded in the history, in a column of the
    parameter's name. Validation losses are the plain criterion and compare across
    epochs, whatever the schedule.

    Epochs are those of the history: they count on when training continues
    (`partial_fit`, ``warm_start``).

    Parameters
    ----------
    parameter : str
        "temperature", "alpha", or a number of the loss as "distillation__beta". Of a
        feature loss it is ``weight``, or, if the loss has no adapter and no `build` of
        its own, as RKD, any number that ``compare`` reads at each batch. A number that
        was given as an int stays one.
    function : callable
        Called with the epoch, from 0, and the estimator's ``max_epochs``; returns the
        value. To be pickled it must have a name, unlike a lambda.

    Raises
    ------
    ValueError
        By `fit`, before the first epoch: if the value of any epoch is out of range, as
        far as the loss's ``check`` tells, the parameter is none of these or has two
        schedules, or ``alpha=0`` turns the teacher off.
    TypeError
        If the net is not a DistilledClassifier.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd import DistilledClassifier
    >>> from skkd.callbacks import Schedule
    >>> X, y = load_iris(return_X_y=True)
    >>> def halves(epoch, max_epochs):
    ...     return 8 / 2**epoch
    >>> student = DistilledClassifier(
    ...     teacher=LogisticRegression(max_iter=500).fit(X, y),
    ...     callbacks=[("halves", Schedule("temperature", halves))],
    ...     max_epochs=3,
    ... )
    >>> student.fit(X, y).history[:, "temperature"]
    [8.0, 4.0, 2.0]
    >>> student.temperature
    1.0
    """

    def __init__(self, parameter: str, function: Callable[[int, int], float]) -> None:
        self.parameter = parameter
        self.function = function

    def value(self, epoch: int, max_epochs: int, given: Any) -> float:
        """Return the parameter's value in an epoch.

        Parameters
        ----------
        epoch : int
            From 0; may exceed `max_epochs` when training continues.
        max_epochs : int
        given : object
            The estimator's own value of this parameter.

        Returns
        -------
        float
        """
        return self.function(epoch, max_epochs)

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items())
        return f"{type(self).__name__}({settings})"

    # What skorch calls --------------------------------------------------------

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Check the values of all epochs to come."""
        self._check_net(net)
        self.given_ = _given(net, self.parameter)
        first = len(net.history)
        epochs = range(first, first + net.max_epochs)
        values = [self._checked(net, epoch) for epoch in epochs]
        if self.parameter == "alpha" and net.alpha == 0 and any(values):
            raise ValueError(
                f"{self!r}: with the estimator's own alpha=0 no teacher is used, so "
                "alpha cannot rise. Give the estimator the largest alpha of the "
                "schedule, such as alpha=0.9; the schedule may still begin at 0."
            )

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Set the epoch's value, and record it."""
        value = self._checked(net, len(net.history) - 1)
        self._set(net, value)
        net.history.record(self.parameter, value)

    def on_epoch_end(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Restore the given value, so that no other callback saves an epoch's."""
        self._set(net, self.given_)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Restore the given value, if an epoch was interrupted."""
        self._set(net, self.given_)

    # --------------------------------------------------------------------------

    def _set(self, net: Any, value: float) -> None:
        objective = net._objective_
        if self.parameter.startswith(_LOSS):
            objective.loss.set_params(**{self.parameter.removeprefix(_LOSS): value})
        else:
            setattr(objective, self.parameter, value)

    def _checked(self, net: Any, epoch: int) -> float:
        value = self.value(epoch, net.max_epochs, self.given_)
        try:
            value = float(value)
            check_number(self.parameter, value)
            if self.parameter.startswith(_LOSS):
                name = self.parameter.removeprefix(_LOSS)
                return checked_number(net._objective_.loss, name, value, self.given_)
            valid = {"temperature": 1.0, "alpha": 0.5}
            check_hyperparameters(**{**valid, self.parameter: value})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self!r}, epoch {epoch}: {error}") from error
        return value

    def _check_net(self, net: Any) -> None:
        if getattr(net, "_objective_", None) is None:
            raise TypeError(
                f"{self!r} is a callback of a {type(net).__name__}, which has no "
                "teacher: expected a DistilledClassifier."
            )
        schedules = [cb for _, cb in net.callbacks_ if isinstance(cb, Schedule)]
        if sum(other.parameter == self.parameter for other in schedules) > 1:
            raise ValueError(
                f"{self.parameter} has two schedules, {schedules}: leave out one."
            )


class Anneal(Schedule):
    """A parameter that goes from one value to another over the epochs.

    The first epoch has `start`, the last one of ``max_epochs`` has `end`, as have all
    epochs after it when training continues.

    Parameters
    ----------
    parameter : str
        "temperature", "alpha", or a number of the loss as "distillation__beta".
    start, end : float
        Values of the first and of the last epoch. A fit of one epoch has `start`.
    strategy : {"linear", "cosine"}, default="linear"
        With the progress `p` from 0 to 1: ``start + p (end - start)``, or the half
        wave ``end + (start - end) (1 + cos(pi p)) / 2``, flat at both ends.

    Notes
    -----
    The teacher is checked at the estimator's own ``temperature``.

    References
    ----------
    A. Jafari, M. Rezagholizadeh, P. Sharma, A. Ghodsi, "Annealing Knowledge
    Distillation", EACL 2021, decreases the temperature to 1 (section 3). There the
    labels follow in a second phase, and the teacher's term is a squared error; this is
    the schedule alone. https://arxiv.org/abs/2104.07163

    Examples
    --------
    >>> from skkd.callbacks import Anneal
    >>> anneal = Anneal("temperature", 9, 1)
    >>> [anneal.value(epoch, 5, None) for epoch in range(5)]
    [9.0, 7.0, 5.0, 3.0, 1.0]

    In a search the callback is given a name:

    >>> from skkd import DistilledClassifier
    >>> student = DistilledClassifier(callbacks=[("anneal", anneal)])
    >>> grid = {"callbacks__anneal__end": [1, 2]}
    """

    def __init__(
        self, parameter: str, start: float, end: float, strategy: str = "linear"
    ) -> None:
        self.parameter = parameter
        self.start = start
        self.end = end
        self.strategy = strategy

    def value(self, epoch: int, max_epochs: int, given: Any) -> float:
        """Return the parameter's value in an epoch, as :meth:`Schedule.value`."""
        if self.strategy not in ("linear", "cosine"):
            raise ValueError(
                f"strategy={self.strategy!r}: expected 'linear' or 'cosine'."
            )
        progress = min(epoch / max(max_epochs - 1, 1), 1.0)
        if self.strategy == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        # Exact at both ends.
        return (1 - progress) * self.start + progress * self.end


class WarmUp(Schedule):
    """A parameter that rises to the estimator's own value.

    In epoch `e`, from 0, it is ``min((e + 1) / n_epochs, 1)`` times this value.

    Parameters
    ----------
    parameter : str
        "alpha", or a number of the loss as "distillation__beta".
    n_epochs : int, default=20
        The first epoch that has the full value, counted from 1.

    Notes
    -----
    This is the factor of the teacher's term in the settings published with DKD. There
    the labels' term keeps its weight; with ``WarmUp("alpha")`` it has weight ``1 -
    alpha``. To scale the teacher's term alone, warm up the weights inside the loss, one
    callback for each.

    References
    ----------
    B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge Distillation", CVPR
    2022. https://arxiv.org/abs/2203.08679

    Examples
    --------
    >>> from skkd.callbacks import WarmUp
    >>> [WarmUp("alpha", 4).value(epoch, 30, given=0.5) for epoch in range(5)]
    [0.125, 0.25, 0.375, 0.5, 0.5]
    """

    def __init__(self, parameter: str, n_epochs: int = 20) -> None:
        self.parameter = parameter
        self.n_epochs = n_epochs

    def value(self, epoch: int, max_epochs: int, given: Any) -> float:
        """Return the parameter's value in an epoch, as :meth:`Schedule.value`."""
        if not self.n_epochs >= 1:
            raise ValueError(f"n_epochs={self.n_epochs!r}: expected 1 or more.")
        return min((epoch + 1) / self.n_epochs, 1.0) * given


def _given(net: Any, parameter: str) -> Any:
    """Return the estimator's own value of `parameter`."""
    if parameter in ("temperature", "alpha"):
        return getattr(net, parameter)
    known = scheduled_numbers(net._objective_.loss)
    name = parameter.removeprefix(_LOSS)
    if not parameter.startswith(_LOSS) or name not in known:
        names = ["temperature", "alpha", *(_LOSS + key for key in known)]
        raise ValueError(
            f"A schedule of {parameter!r}, expected one of {', '.join(names)}: these "
            "are the numbers that are read at every batch with distillation="
            f"{net.distillation!r}."
        )
    return known[name]
