"""Callbacks that a stack calls: schedules, which change a number by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import ReduceLROnPlateau

from skkd._packed.refusal import CannotBePacked
from skkd.callbacks import Anneal, Schedule, WarmUp

if TYPE_CHECKING:
    from skkd._packed.member import Member

# Of a subclass nobody knows what it does, or looks at.
SCHEDULES = (Schedule, Anneal, WarmUp, LRScheduler)


def schedules_of(net: Any) -> list[Callback]:
    """Return the schedules among the callbacks of a net that is initialized.

    Raises
    ------
    CannotBePacked
        If one goes by the batch, or by what is recorded.
    """
    schedules = [cb for _, cb in net.callbacks_ if type(cb) in SCHEDULES]
    for callback in schedules:
        if not isinstance(callback, LRScheduler):
            continue
        if callback.step_every != "epoch":
            raise CannotBePacked(f"an LRScheduler by {callback.step_every}")
        policy = callback.policy_
        if isinstance(policy, type) and issubclass(policy, ReduceLROnPlateau):
            raise CannotBePacked(f"an LRScheduler of policy {policy.__name__}")
    return schedules


def of_optimizer(schedules: Sequence[Callback]) -> list[Any]:
    """Return what tells the schedules of settings of an optimizer from others."""
    by_epoch = [cb for cb in schedules if isinstance(cb, LRScheduler)]
    return [(callback.policy_, callback.kwargs) for callback in by_epoch]


def begin_epoch(members: Sequence[Member]) -> None:
    """Record an epoch, and set what the schedules say for it."""
    for member in members:
        history = member.net.history_
        history.new_epoch()
        history.record("epoch", len(history))
        with member.net._training(member.objective):
            for callback in member.schedules:
                callback.on_epoch_begin(member.net)


def end_epoch(members: Sequence[Member]) -> None:
    """Set back what the schedules of the loss set, and go on with the others."""
    for member in members:
        with member.net._training(member.objective):
            for callback in member.schedules:
                if isinstance(callback, LRScheduler):
                    # Of no gradients: torch wants a step before that of a schedule.
                    member.net.optimizer_.step()
                callback.on_epoch_end(member.net)
