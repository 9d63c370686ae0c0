"""How a worker begins a study, or joins it if another one has."""

from __future__ import annotations

import time
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage

from skkd.search import _agreement

# Of the study: what it was begun with. Set at once, when its first trials are queued.
BEGUN = "skkd:begun"
_SECONDS_TO_BEGIN = 10.0
_POLL = 0.1


def join_study(
    storage: BaseStorage,
    name: str,
    estimator: Any,
    facts: dict[str, Any],
    first_trials: list[dict[str, Any]],
    *,
    allow_other_versions: bool,
    **settings: Any,
) -> optuna.Study:
    """Create a study with its first trials, or load it and compare it.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
    name : str
    estimator : DistilledClassifier
        Its memory's folder is marked, or looked for the mark.
    facts : dict
        "versions", "definition" and "data", as of :mod:`skkd.search._agreement`.
    first_trials : list of dict
        Parameters of the trials that are run first.
    allow_other_versions : bool
    **settings
        direction, sampler and pruner of Optuna.

    Returns
    -------
    optuna.Study

    Raises
    ------
    OtherMachineError
        If the study was begun with other facts.
    """
    study, created = _create_or_load(storage, name, settings)
    begun = None if created else _wait_until_begun(study)
    if begun is None:
        # Also if the process that created it was killed before it got here.
        for params in first_trials:
            study.enqueue_trial(params, skip_if_exists=True)
        mark = _agreement.mark_memory(estimator)
        study.set_user_attr(BEGUN, {**facts, "memory": mark})
        return study
    if not allow_other_versions:
        _agreement.check_versions(begun["versions"], facts["versions"])
    _agreement.check_definition(begun["definition"], facts["definition"])
    _agreement.check_data(begun["data"], facts["data"])
    _agreement.check_memory_mark(estimator, begun["memory"])
    return study


def _create_or_load(
    storage: BaseStorage, name: str, settings: dict[str, Any]
) -> tuple[optuna.Study, bool]:
    """Return the study, and whether this process has created it."""
    try:
        study = optuna.create_study(study_name=name, storage=storage, **settings)
        return study, True
    except DuplicatedStudyError:
        loaded = {k: settings[k] for k in ("sampler", "pruner")}
        return optuna.load_study(study_name=name, storage=storage, **loaded), False


def _wait_until_begun(study: optuna.Study) -> dict[str, Any] | None:
    """Return what a study was begun with; None if nobody seems to begin it."""
    ends = time.monotonic() + _SECONDS_TO_BEGIN
    while True:
        begun = study.user_attrs.get(BEGUN)
        if begun is not None or time.monotonic() > ends:
            return begun
        time.sleep(_POLL)
