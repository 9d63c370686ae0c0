"""The fits of a search: candidates times folds, trained in groups."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import clone

from skkd._packed.folds import Fold, FoldFits
from skkd._packed.member import BatchOrders, Member
from skkd._packed.refusal import CannotBePacked
from skkd._packed.together import Packing, train_together


class PackedFits:
    """Fitted estimators of all candidates and folds.

    Parameters
    ----------
    estimator : DistilledClassifier or Pipeline that ends in one
    candidates : list of dict
        Parameters to set.
    folds : list of Fold
    max_members : int or None
        Of a group; None is chosen by the size of the student.

    Attributes
    ----------
    fitted : dict of (int, int) to estimator or Exception
        By candidate and fold; those that are to be trained by themselves are missing.
    seconds : dict of (int, int) to float
        The time of each, a group's in equal shares.
    packing : Packing
    """

    def __init__(
        self,
        estimator: Any,
        candidates: Sequence[Mapping[str, Any]],
        folds: Sequence[Fold],
        max_members: int | None,
    ) -> None:
        self.fitted: dict[tuple[int, int], Any] = {}
        self.seconds: dict[tuple[int, int], float] = {}
        self._max_members = max_members
        self._reasons: Counter[str] = Counter()
        members: dict[tuple[int, int], Member] = {}
        orders: BatchOrders = {}
        refused: dict[Any, str] = {}
        self._n_loaded = 0
        for i, fold in enumerate(folds):
            shared = FoldFits(fold, orders, refused)
            for c, candidate in enumerate(candidates):
                start = time.perf_counter()
                try:
                    whole = clone(estimator).set_params(**clone(candidate, safe=False))
                    member, self.fitted[c, i] = shared.prepare(whole, candidate)
                    if member is None:
                        self._n_loaded += 1
                    else:
                        members[c, i] = member
                except CannotBePacked as reason:
                    self._reasons[str(reason)] += 1
                except Exception as error:  # as `fit` would raise it
                    self.fitted[c, i] = error
                self.seconds[c, i] = time.perf_counter() - start
        self._train(members)
        self._next_fold = Counter[int]()
        self._n_folds = len(folds)

    def fit(
        self, candidate: int, estimator: Any, X: Any, y: Any, fit_params: Any
    ) -> Any:
        """Return the fitted estimator of a candidate: of its next fold, then of all.

        Parameters
        ----------
        candidate : int
        estimator : estimator
            Fitted where it was not trained together with others.
        X, y, fit_params : object
            As of ``fit``.
        """
        fold = self._next_fold[candidate]
        self._next_fold[candidate] += 1
        place = candidate, fold
        if fold >= self._n_folds:
            return estimator.fit(X, y, **fit_params)
        if place not in self.fitted:
            start = time.perf_counter()
            try:
                self.fitted[place] = estimator.fit(X, y, **fit_params)
            finally:
                self.seconds[place] += time.perf_counter() - start
        if isinstance(self.fitted[place], Exception):
            raise self.fitted[place]
        return self.fitted[place]

    def of_candidate(self, candidate: int) -> list[Any]:
        """Return what was fitted of a candidate, by fold."""
        found = [self.fitted.get((candidate, i)) for i in range(self._n_folds)]
        return [f for f in found if f is not None and not isinstance(f, Exception)]

    def _train(self, members: dict[tuple[int, int], Member]) -> None:
        trained = train_together(members, self._max_members)
        for place, share in trained.seconds.items():
            self.seconds[place] += share
        for place, reason in trained.reasons.items():
            self._reasons[reason] += 1
            del self.fitted[place]
        n_packed, reasons = len(trained.seconds), dict(self._reasons)
        self.packing = Packing(n_packed, trained.n_groups, reasons, self._n_loaded)
