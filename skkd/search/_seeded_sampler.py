"""A sampler whose draws depend on the number of the trial, not on the process."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial


class SeededSampler(BaseSampler):
    """Optuna's TPE, seeded anew for each trial.

    A sampler with one seed makes the same first guesses in each worker, and again when
    a study goes on. Numbers of trials are unique in a study.

    Parameters
    ----------
    random_state : int
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def _of(self, trial: FrozenTrial) -> TPESampler:
        sequence = np.random.SeedSequence([self.random_state, trial.number])
        return TPESampler(seed=int(sequence.generate_state(1)[0]))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is sampled together, as TPE does."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        """Sample parameters together, as TPE does."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, distribution: Any
    ) -> Any:
        """Sample a parameter by itself, as TPE does."""
        # Of one trial, parameters of one distribution are not to be equal.
        seed = [self.random_state, trial.number, *param_name.encode()]
        state = np.random.SeedSequence(seed).generate_state(1)
        sampler = TPESampler(seed=int(state[0]))
        return sampler.sample_independent(study, trial, param_name, distribution)
