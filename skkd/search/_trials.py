"""A worker's loop: begin trials until the study has enough, whoever finishes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from skkd.search._beats import Beats, Watch, give_back, is_queued_again
from skkd.search._storages import quiet

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_POLL = 2.0  # seconds, at most, between two looks at the trials of others

Objective = Callable[[optuna.Trial], float]


def run_trials(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    *,
    timeout: float | None,
    heartbeat: float,
    grace: float,
    report: Callable[[optuna.Study, Any], None],
) -> None:
    """Run trials until `n_trials` of the study are finished, by this worker or others.

    Trials that were pruned count as finished. While others run the last ones this
    worker waits: if one of them is killed, its trial is run here.

    Parameters
    ----------
    study : optuna.Study
    objective : callable
    n_trials : int
    timeout : float or None
        Seconds after which no trial is begun.
    heartbeat, grace : float
        Seconds between two signs of life of a trial; and without one until its worker
        counts as dead.
    report : callable
        Called with the study and each trial that this worker finished.
    """
    watch = Watch(grace)
    ends = float("inf") if timeout is None else time.monotonic() + timeout
    poll = min(_POLL, heartbeat / 2)
    while time.monotonic() < ends:
        watch.take_up_dead(study)
        with quiet():  # what databases know, for instance of a worker of yesterday
            optuna.storages.fail_stale_trials(study)
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        n_finished = sum(state in FINISHED for state in states)
        if n_finished >= n_trials:
            return
        if n_finished + states.count(TrialState.RUNNING) < n_trials:
            _run_one(study, objective, heartbeat, report)
        else:
            time.sleep(poll)


def _run_one(
    study: optuna.Study, objective: Objective, heartbeat: float, report: Any
) -> None:
    begun: list[int] = []

    def watched(trial: optuna.Trial) -> float:
        begun.append(trial.number)
        with Beats(trial, heartbeat):
            return objective(trial)

    try:
        study.optimize(watched, n_trials=1, callbacks=[report])
    except KeyboardInterrupt:
        for number in begun:  # for another worker, or the next start
            give_back(study, number)
        raise
    except Exception as error:
        if not (begun and _was_taken_up(study, begun[0], error)):
            raise
        optuna.logging.get_logger(__name__).warning(
            f"Trial {begun[0]} had shown no sign of life for a while, and another "
            "worker has taken it up: its result here is dropped."
        )


def _was_taken_up(study: optuna.Study, number: int, error: BaseException) -> bool:
    """Tell whether a trial failed only because another worker had taken it up."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UpdateFinishedTrialError):
            return True
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, ValueError) and is_queued_again(study, number)
