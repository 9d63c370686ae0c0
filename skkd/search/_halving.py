"""Successive halving over epochs, and the rules by which a search chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV


class HalvingOfEpochs(HalvingGridSearchCV):
    """Successive halving that chooses among the candidates of its last round.

    Attributes
    ----------
    rule : callable
        From ``cv_results_`` to an index; scikit-learn's own class has no such choice.
    """

    rule: Callable[[dict[str, Any]], int]

    def _select_best_index(
        self, refit: Any, refit_metric: str, results: dict[str, Any]
    ) -> int:
        last = np.flatnonzero(results["iter"] == np.max(results["iter"]))
        kept = {k: [values[i] for i in last] for k, values in results.items()}
        return int(last[self.rule(kept)])


def best(results: dict[str, Any]) -> int:
    """Return the index of the best mean score."""
    return int(np.nanargmax(results["mean_test_score"]))


def within_one_standard_error(results: dict[str, Any]) -> int:
    """Return the index of the smallest alpha that is as good as the best.

    Its mean score is at most one standard error of the best mean below this.
    """
    mean, std = results["mean_test_score"], results["std_test_score"]
    n_splits = len({k.split("_")[0] for k in results if k.startswith("split")})
    i = best(results)
    least = mean[i] - std[i] / np.sqrt(n_splits)
    params = results["params"]
    good = [i for i in range(len(mean)) if mean[i] >= least]
    return min(good, key=lambda i: (params[i]["alpha"], params[i]["temperature"]))


RULES = {"best": best, "one_standard_error": within_one_standard_error}
