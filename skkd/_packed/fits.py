"""The fits of a search: candidates times folds, trained in groups."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from torch import Tensor

from skkd._data.keys import TEACHER_LOGITS
from skkd._packed.groups import (
    check_module,
    check_settings,
    groups_of,
    identity,
    split,
)
from skkd._packed.member import BatchOrders, CannotBePacked, Member, prepare
from skkd._packed.samples import is_equal
from skkd._packed.train import train
from skkd._utils.modules import count_parameters

# Of the parameters of a stack, their gradients and the optimizer's two moments.
_MAX_BYTES, _COPIES = 2**29, 4
# Parameters that decide on the teacher's logits, or begin like one.
_DECIDES_ON_LOGITS = ("teacher", "memory", "random_state", "unlabeled", "classes")


class Packing(NamedTuple):
    """How the fits of a search were trained.

    Attributes
    ----------
    n_packed : int
        Fits that were trained together with others.
    n_groups : int
        Stacks of these.
    n_alone : dict of str to int
        How many were trained by themselves, by the reason.
    """

    n_packed: int
    n_groups: int
    n_alone: dict[str, int]

    def __str__(self) -> str:
        n = self.n_packed + sum(self.n_alone.values())
        groups = f"{self.n_groups} group{'s' * (self.n_groups != 1)}"
        parts = [f"{self.n_packed} of {n} fits trained together, in {groups}"]
        parts += [f"{n} by themselves ({reason})" for reason, n in self.n_alone.items()]
        return "; ".join(parts)


class Fold(NamedTuple):
    """The training data of a fold, and what ``fit`` gets beside them."""

    X: Any
    y: Any
    fit_params: Mapping[str, Any]


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
        for i, fold in enumerate(folds):
            shared = _FoldFits(fold, orders, refused)
            for c, candidate in enumerate(candidates):
                start = time.perf_counter()
                try:
                    whole = clone(estimator).set_params(**clone(candidate, safe=False))
                    members[c, i], self.fitted[c, i] = shared.prepare(whole, candidate)
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
        keys = {id(member): key for key, member in members.items()}
        n_packed = n_groups = 0
        for whole_group in groups_of([*members.values()]):
            for group in split(whole_group, self._size_of(whole_group[0])):
                start = time.perf_counter()
                places = [keys[id(member)] for member in group]
                try:
                    if len(group) == 1:
                        raise CannotBePacked("no other is like it")
                    train(group)
                except CannotBePacked as reason:
                    self._reasons[str(reason)] += len(group)
                    for place in places:
                        del self.fitted[place]
                    continue
                share = (time.perf_counter() - start) / len(group)
                for place in places:
                    self.seconds[place] += share
                n_packed, n_groups = n_packed + len(group), n_groups + 1
        self.packing = Packing(n_packed, n_groups, dict(self._reasons))

    def _size_of(self, member: Member) -> int:
        if self._max_members is not None:
            return self._max_members
        n_bytes = _COPIES * 4 * count_parameters(member.net.module_)
        return max(1, _MAX_BYTES // max(n_bytes, 1))


class _FoldFits:
    """What the candidates of a fold share: steps before the student, soft targets."""

    def __init__(
        self, fold: Fold, orders: BatchOrders, refused: dict[Any, str]
    ) -> None:
        self._fold, self._orders, self._refused = fold, orders, refused
        self._heads: dict[Any, tuple[Pipeline, Fold]] = {}
        self._logits: dict[Any, Any] = {}
        self._X: list[Tensor] = []

    def prepare(
        self, estimator: Any, candidate: Mapping[str, Any]
    ) -> tuple[Member, Any]:
        """Return a member, and the estimator that it is a part of."""
        net, data, prefix, head = estimator, self._fold, "", None
        if isinstance(estimator, Pipeline):
            name, net = estimator.steps[-1]
            prefix = f"{name}__"
        check_settings(net)
        if prefix:  # the steps before are fitted once for all candidates
            own = {k: v for k, v in candidate.items() if not k.startswith(prefix)}
            if (head := identity(own)) not in self._heads:
                self._heads[head] = _fit_head(estimator, data)
            pipeline, data = self._heads[head]
            estimator = copy.copy(estimator)
            estimator.steps = [*pipeline.steps[:-1], (name, net)]
        module = identity([net.module, net.get_params_for("module")])
        if module in self._refused:
            raise CannotBePacked(self._refused[module])
        of_teacher = {
            k: v
            for k, v in candidate.items()
            if k.removeprefix(prefix).startswith(_DECIDES_ON_LOGITS)
        }
        member = self._prepare(net, data, (head, identity(of_teacher)))
        try:
            check_module(net.module_)
        except CannotBePacked as reason:
            self._refused[module] = str(reason)
            raise
        return member, estimator

    def _prepare(self, net: Any, data: Fold, key: Any) -> Member:
        """Prepare a student; the teacher runs, or is fitted, once for all of them."""
        fit_params = dict(data.fit_params)
        if net.alpha > 0 and key in self._logits:
            fit_params.pop("teacher_X", None)
            fit_params["teacher_logits"] = self._logits[key]
        member = prepare(net, data.X, data.y, fit_params, self._orders)
        # One copy for all of them, of a frame or of an array that is read-only.
        for X in self._X:
            if is_equal(X, member.X):
                member.X = X
                break
        else:
            self._X.append(member.X)
        if TEACHER_LOGITS in member.fields:
            self._logits.setdefault(key, member.fields[TEACHER_LOGITS].numpy())
        return member


def _fit_head(whole: Pipeline, fold: Fold) -> tuple[Pipeline, Fold]:
    """Fit the steps before the student; return them, and what the student is given."""
    head = clone(whole)
    name, net = head.steps[-1]
    student = _Capture(net)
    head.steps[-1] = (name, student)
    head.fit(fold.X, fold.y, **fold.fit_params)
    return head, student.data_


class _Capture(BaseEstimator):
    """The last step of a Pipeline, which keeps what it is given."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def get_metadata_routing(self) -> Any:
        return self.net.get_metadata_routing()

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> _Capture:
        self.data_ = Fold(X, y, fit_params)
        return self
