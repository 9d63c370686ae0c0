"""The parameters that a study searches, and the trials that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from skkd.losses import LOSSES, DistillationLoss
from skkd.losses._published import published_settings

Space = Mapping[str, BaseDistribution] | Callable[[optuna.Trial], dict[str, Any]]


def check_space(space: Any) -> None:
    """Raise TypeError unless `space` is a mapping of distributions or a function."""
    if isinstance(space, Mapping):
        kinds = (FloatDistribution, IntDistribution, CategoricalDistribution)
        wrong = [k for k, v in space.items() if not isinstance(v, kinds)]
        if space and not wrong:
            return
        got = f"{wrong[0]!r} is {space[wrong[0]]!r}" if wrong else "it is empty"
        raise TypeError(
            f"space: {got}. Expected a distribution of optuna.distributions for each "
            "parameter, such as FloatDistribution(0, 1)."
        )
    if not callable(space):
        raise TypeError(
            f"space={space!r}: expected a dict of parameters and distributions of "
            "Optuna, or a function of a trial that returns a dict of parameters."
        )


def suggest(space: Space, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Let a trial choose parameters of the estimator.

    Parameters
    ----------
    space : dict of str to distribution, or callable
    trial : optuna.trial.Trial

    Returns
    -------
    dict of str to object
    """
    if not isinstance(space, Mapping):
        return space(trial)  # type: ignore[arg-type]
    return {name: _suggest(trial, name, space[name]) for name in space}


def _suggest(trial: optuna.trial.BaseTrial, name: str, among: Any) -> Any:
    if isinstance(among, CategoricalDistribution):
        return trial.suggest_categorical(name, among.choices)
    suggest = trial.suggest_float
    if isinstance(among, IntDistribution):
        suggest = trial.suggest_int  # type: ignore[assignment]
    return suggest(name, among.low, among.high, step=among.step, log=among.log)


def try_out(space: Space) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Return the parameters that some trial gets, and the distributions it asks.

    Parameters
    ----------
    space : dict of str to distribution, or callable

    Returns
    -------
    params : dict of str to object
    distributions : dict of str to distribution
        Of a function, those of this trial.
    """
    # Of a study in memory, which is forgotten.
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.RandomSampler(seed=0)
        trial = optuna.create_study(sampler=sampler).ask()
    finally:
        optuna.logging.set_verbosity(level)
    params = suggest(space, trial)
    if not isinstance(params, Mapping):
        raise TypeError(
            f"space returned a {type(params).__name__}: expected a dict of parameters "
            "of the estimator."
        )
    return dict(params), dict(trial.distributions)


def published_starts(
    estimator: Any, among: Mapping[str, BaseDistribution]
) -> list[dict[str, Any]]:
    """Return the parameters of the first trials.

    The first is the student without its teacher, ``alpha=0``. The others have the
    settings with which each loss was published: the estimator's, or all that the space
    has for ``distillation``. Settings that lie outside of the space are left out.

    Parameters
    ----------
    estimator : DistilledClassifier
    among : dict of str to distribution
        The space.

    Returns
    -------
    list of dict
        Parameters that are not in one of them are chosen by the sampler.
    """
    settings: list[dict[str, Any]] = [{"alpha": 0.0}]
    for name in _losses(estimator, among):
        for published in published_settings(name):
            settings.append({"distillation": name, **published})
    out: list[dict[str, Any]] = []
    for setting in settings:
        start = {k: v for k, v in setting.items() if k in among}
        inside = all(_holds(among[name], value) for name, value in start.items())
        if start and inside and start not in out:
            out.append(start)
    return out


def _losses(estimator: Any, among: Mapping[str, BaseDistribution]) -> list[str]:
    searched = among.get("distillation")
    if isinstance(searched, CategoricalDistribution):
        return [str(name) for name in searched.choices if name in LOSSES]
    loss = estimator.distillation
    if isinstance(loss, DistillationLoss):
        return [name for name, cls in LOSSES.items() if type(loss) is cls]
    return [loss] if isinstance(loss, str) and loss in LOSSES else []


def _holds(among: Any, value: Any) -> bool:
    """Tell whether a distribution has a value."""
    if isinstance(among, CategoricalDistribution):
        return value in among.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    steps = 0.0 if among.step is None else (value - among.low) / among.step
    return among.low <= value <= among.high and abs(steps - round(steps)) < 1e-8
