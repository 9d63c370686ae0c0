"""A training in progress: where it goes on, and when it is saved."""

from __future__ import annotations

import datetime
import hashlib
import time
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skkd._data.batches import unwrap
from skkd._fit.interrupts import StopTraining
from skkd.checkpoints._state import state_of
from skkd.checkpoints._values import NotEncodable

# Of the time, if `checkpoint_every` does not say how often; and what the first file is
# taken to cost, in seconds.
_SHARE, _FIRST = 0.05, 0.02
# Rows of soft targets that are hashed at a time.
_ROWS = 4096


class Watch:
    """What is known of a training in progress.

    Parameters
    ----------
    saved : SavedFit
    net : DistilledClassifier
    """

    def __init__(self, saved: Any, net: Any) -> None:
        self.saved = saved
        self.n_before = len(net.history)
        self.n_resumed = 0
        self._started = self._last = time.monotonic()
        self._spent, self._cost = 0.0, _FIRST
        self._targets: str | None = None
        self._given: Any = None

    def begin_epoch(self, net: Any, dataset: Any) -> None:
        """Before the first epoch, go on where the fit was."""
        if self._targets is not None:
            return
        self._targets = _digest_of_targets(dataset)
        # As before the epoch: skorch has begun its row by now.
        row = net.history_.pop()
        try:
            first = state_of(net)
        except (NotEncodable, ValueError) as error:
            raise ValueError(f"checkpoint= cannot save this fit: {error}") from error
        self._given = first.content["given"]
        n = self.saved.resume(net, self._targets)
        net.history_.append({**row, "epoch": len(net.history_) + 1})
        if n:
            self.n_resumed = n - self.n_before
            total = self.n_before + net.max_epochs
            self.saved.say(f"resumed after epoch {n} of {total}")
            tell_observers(net, net.history[self.n_before : n])
            net._objective_.is_first_step = False
        self._started = self._last = time.monotonic()

    def end_epoch(self, net: Any) -> None:
        """Save the epoch if it is time; end the training after the last one."""
        n = len(net.history) - self.n_before
        if n >= net.max_epochs:
            if self.n_resumed:  # the loop knows nothing of those before
                raise StopTraining
            return
        if not self._is_time(n):
            return
        start = time.monotonic()
        state = self.saved.state_of(net)
        if state is not None and state.content["given"] != self._given:
            self.saved.give_up(
                "augment, distillation or a callback changes in the training, and "
                "what it keeps cannot be saved"
            )
        elif state is not None:
            self.saved.save(net, state, str(self._targets))
        self._last = time.monotonic()
        self._cost = self._last - start
        self._spent += self._cost

    def _is_time(self, n: int) -> bool:
        every, now = self.saved.every, time.monotonic()
        if self.saved.has_given_up:
            return False
        if isinstance(every, datetime.timedelta):
            return now - self._last >= every.total_seconds()
        if every is not None:
            return n % every == 0
        return self._spent + self._cost <= _SHARE * (now - self._started)


class _Own(Callback):
    observes_only = True
    watch: Any = None

    def __init__(self, watch: Any) -> None:
        self.watch = watch

    def __getstate__(self) -> dict[str, Any]:
        return {}  # a net that is pickled in the middle of a fit is not saved


class EpochBegin(_Own):
    """Is called first when an epoch begins."""

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kw: Any) -> None:
        if self.watch is not None:
            self.watch.begin_epoch(net, dataset_train)


class EpochEnd(_Own):
    """Is called last when an epoch ends."""

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        if self.watch is not None:
            self.watch.end_epoch(net)


def tell_observers(net: Any, epochs: list[dict[str, Any]]) -> None:
    """Tell callbacks that only observe of the epochs that they have not seen."""
    for _, callback in net.callbacks_:
        if hasattr(callback, "on_epochs_restored"):
            callback.on_epochs_restored(net, epochs)


def _digest_of_targets(dataset: Any) -> str:
    """Return a digest of all batch fields: soft targets, weights, seeds of views."""
    fields = getattr(unwrap(dataset)[0], "batch_fields", {})
    digest = hashlib.sha256()
    for name in sorted(fields):
        digest.update(name.encode())
        values = fields[name]
        for start in range(0, len(values), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(values)))
            part = values[rows]
            part = part.numpy() if isinstance(part, torch.Tensor) else part
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
