"""A student at the start of its training: what a single fit would do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import Tensor

from skkd._data.batches import TrainingSet, make_iterator, to_tensor
from skkd._data.keys import HARD_WEIGHT, SOFT_WEIGHT, TEACHER_LOGITS
from skkd._estimator.build_student import adapt_standardize
from skkd._fit.objective import Objective
from skkd._fit.plan import FitPlan, plan_fit
from skkd._packed.refusal import CannotBePacked
from skkd._packed.schedules import schedules_of
from skkd.checkpoints._saved_fit import SavedFit

_OF_FIT = {"teacher_logits", "teacher_X", "sample_weight", "groups"}
# The batches of fits that start from the same random state, by what they depend on.
BatchOrders = dict[tuple[Any, ...], tuple[list[list[np.ndarray]], Tensor]]


@dataclass
class Member:
    """A student that waits for its training, with all that the training needs.

    Attributes
    ----------
    net : DistilledClassifier
        Built, initialized, and not trained.
    X : Tensor of shape (n_samples, ...)
    y : Tensor of shape (n_samples,), int64
        -1 for unlabelled samples.
    fields : dict of str to Tensor of n_samples rows
        Teacher's logits and weights, where there are any.
    objective : Objective
    batches : list of list of ndarray of int
        The samples of each batch of each epoch, in the order of a single fit.
    schedules : list of Callback
        They are called at the beginning and the end of each epoch.
    start : Tensor
        State of the random stream before the first epoch.
    saved : SavedFit or None
        Where it is saved once it is trained.
    """

    net: Any
    X: Tensor
    y: Tensor
    fields: dict[str, Tensor]
    objective: Objective
    batches: list[list[np.ndarray]]
    schedules: list[Callback]
    start: Tensor
    saved: SavedFit | None = None

    @property
    def alpha(self) -> float:
        """Weight of the teacher's term; 0 if nobody teaches."""
        is_taught = TEACHER_LOGITS in self.fields or not self.objective.needs
        return float(self.objective.alpha) if is_taught else 0.0


def prepare(
    net: Any,
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    orders: BatchOrders,
    preprocess: Callable[[FitPlan, Any], FitPlan],
) -> Member:
    """Do all that ``net.fit(X, y, **fit_params)`` does before its first step.

    Parameters
    ----------
    net : DistilledClassifier
        One for which :func:`skkd._packed.groups.check_settings` raises nothing.
    X, y : array-like of n samples
    fit_params : mapping
        ``teacher_logits``, ``teacher_X``, ``sample_weight``, ``groups``.
    orders : dict
        Is filled, and read by the next members.
    preprocess : callable
        Returns the plan of a net with X as its preprocessor makes it.

    Returns
    -------
    Member

    Raises
    ------
    CannotBePacked
        If the samples do not lie in an array.
    Exception
        What ``fit`` raises.
    """
    if unknown := fit_params.keys() - _OF_FIT:
        raise CannotBePacked(f"{min(unknown)}= of the student's forward")
    found: dict[str, Any] = {}

    def stop_before_training(samples: TrainingSet) -> None:
        train, _ = net.get_split_datasets(samples, samples.y)
        adapt_standardize(net, train, {})
        found["start"] = torch.get_rng_state()
        found["batches"] = _batches(net, samples, orders)
        found["objective"], found["samples"] = net._objective_, samples
        found["schedules"] = schedules_of(net)
        for schedule in found["schedules"]:  # they check the values of all epochs
            schedule.on_train_begin(net)

    plan = plan_fit(net, X, y, fresh=True, **fit_params)
    if not plan.is_preprocessed:
        plan = preprocess(plan, net)
    net._run(plan, {}, stop_before_training)
    samples = found["samples"]
    if not isinstance(samples.arrays(), (np.ndarray, Tensor)):
        raise CannotBePacked("the samples of X do not lie in one array")
    if samples.batch_fields.keys() - {TEACHER_LOGITS, HARD_WEIGHT, SOFT_WEIGHT}:
        raise CannotBePacked("its batches have fields of their own")
    every = np.arange(len(samples))
    fields = {
        key: torch.as_tensor(values[every])
        for key, values in samples.batch_fields.items()
    }
    objective = found["objective"]
    if TEACHER_LOGITS in fields and objective.teacher_temperature != 1:
        fields[TEACHER_LOGITS] = fields[TEACHER_LOGITS] / objective.teacher_temperature
        objective.teacher_temperature = 1.0
    return Member(
        net,
        to_tensor(samples.arrays()),
        torch.as_tensor(samples.y_encoded),
        fields,
        objective,
        found["batches"],
        found["schedules"],
        found["start"],
    )


def saved_fit(net: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> SavedFit:
    """Return the checkpoint of a fit; the net is fitted if that was finished before.

    It is another one than that of a single fit, whose last digits differ.

    Parameters
    ----------
    net, X, y, fit_params : object
        As of :func:`prepare`.

    Returns
    -------
    SavedFit
        ``is_loaded`` tells whether the net is fitted.
    """
    plan = plan_fit(net, X, y, fresh=True, **fit_params)
    saved = SavedFit(net, plan, {}, "together")
    if saved.is_finished:
        with suppress(_NotFinished):
            net._run(plan, {}, _stop, saved)
    return saved


class _NotFinished(Exception):
    """Ends a fit that was to be loaded."""


def _stop(samples: TrainingSet) -> None:
    raise _NotFinished  # the file was damaged


def _batches(net: Any, samples: TrainingSet, orders: BatchOrders) -> list[Any]:
    """Draw the batches of all epochs, leaving the random stream as a fit leaves it."""
    n_samples, state = len(samples), torch.get_rng_state()
    options = {"batch_size": net.batch_size, **net.get_params_for("iterator_train")}
    start = bytes(state.tolist())
    key = (start, n_samples, net.max_epochs, *sorted(options.items()))
    if key not in orders:
        iterator = index_iterator(net, n_samples)
        epochs = [[y.numpy() for _, y in iterator] for _ in range(net.max_epochs)]
        orders[key] = epochs, torch.get_rng_state()
    batches, state = orders[key]
    torch.set_rng_state(state)
    return batches


def index_iterator(net: Any, n_samples: int) -> Any:
    """Return an iterator over the training batches, of sample numbers alone."""
    index = np.arange(n_samples)
    indices = TrainingSet(Dataset(index, index), X=index, y=index, y_encoded=index)
    options = {"batch_size": net.batch_size, **net.get_params_for("iterator_train")}
    # Not by `get_iterator`, which tries the student on a sample: these are indices.
    return make_iterator(
        net.iterator_train, indices, device=net.device, fitting=True, **options
    )
