"""Signs of life of trials, in storages that have no heartbeat of their own.

Optuna's databases have one, its journals and proxies have none: there a thread counts
up an attribute of the running trial. Who watches a count that has not changed for a
while, by a clock of its own that never jumps, takes the worker for dead. Clocks of
several machines are not compared.
"""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from skkd.search._storages import first_line, quiet, retry

_BEAT = "skkd:beat"


class Beats:
    """Count up an attribute of a trial, in a thread, while the block runs."""

    def __init__(self, trial: optuna.Trial, interval: float) -> None:
        self.trial = trial
        self.interval = interval
        self._over = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Beats:
        self.trial.set_user_attr(_BEAT, 0)
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        count = 0
        while not self._over.wait(self.interval):
            count += 1
            try:
                self.trial.set_user_attr(_BEAT, count)
            except UpdateFinishedTrialError:  # taken up by another worker
                return
            except Exception as error:  # it may be back at the next one
                optuna.logging.get_logger(__name__).warning(
                    f"No heartbeat of a trial was recorded: {first_line(error)}"
                )


class Watch:
    """Remember since when the trials of other workers have shown no sign of life."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._seen: dict[int, tuple[Any, float]] = {}  # by number: count, since when

    def take_up_dead(self, study: optuna.Study) -> None:
        """Put the trials of dead workers into the queue again.

        Parameters
        ----------
        study : optuna.Study
        """
        now = time.monotonic()
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        seen, self._seen = self._seen, {}
        for trial in running:
            count = trial.user_attrs.get(_BEAT)
            if count is None:  # of a worker that gives no signs
                continue
            last, since = seen.get(trial.number, (None, now))
            since = since if count == last else now
            self._seen[trial.number] = count, since
            if now - since > self.grace:
                release(study, trial.number)


def release(study: optuna.Study, number: int) -> None:
    """Mark a running trial as failed, and queue its parameters again.

    Of several workers that try so at the same time, one does.

    Parameters
    ----------
    study : optuna.Study
    number : int
        Of the trial.
    """
    try:
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):  # finished, or another was first
        return
    with quiet():
        retry()(study, study.get_trials()[number])


def give_back(study: optuna.Study, number: int) -> None:
    """Queue the parameters of a trial again that was interrupted, and so has failed."""
    trial = study.get_trials()[number]
    if trial.state == TrialState.RUNNING:
        release(study, number)
    elif trial.state == TrialState.FAIL and not is_queued_again(study, number):
        with quiet():
            retry()(study, trial)


def is_queued_again(study: optuna.Study, number: int) -> bool:
    """Tell whether a failed trial has a successor with its parameters."""
    history = RetryHeartbeatStaleTrialCallback.retry_history
    with quiet():
        return any(number in history(t) for t in study.get_trials(deepcopy=False))
