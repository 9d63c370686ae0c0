"""The fits of one fold: what they share, and each of them ready to be trained."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from torch import Tensor

from skkd._data.keys import TEACHER_LOGITS
from skkd._fit.plan import FitPlan
from skkd._fit.preprocess import preprocess
from skkd._fit.seen_rows import is_prefit
from skkd._packed.groups import check_module, check_settings, identity
from skkd._packed.member import BatchOrders, Member, prepare, saved_fit
from skkd._packed.refusal import CannotBePacked
from skkd._packed.samples import is_equal

# Parameters that decide on the teacher's logits, or begin like one.
_DECIDES_ON_LOGITS = ("teacher", "memory", "random_state", "unlabeled", "classes")


class Fold(NamedTuple):
    """The training data of a fold, and what ``fit`` gets beside them."""

    X: Any
    y: Any
    fit_params: Mapping[str, Any]


class FoldFits:
    """What the candidates of a fold share: steps before the student, soft targets."""

    def __init__(
        self, fold: Fold, orders: BatchOrders, refused: dict[Any, str]
    ) -> None:
        self._fold, self._orders, self._refused = fold, orders, refused
        self._heads: dict[Any, tuple[Pipeline, Fold]] = {}
        self._preprocessed: dict[Any, FitPlan] = {}  # the first of each preprocessor
        self._taught: dict[Any, Member] = {}  # the first of each teacher
        self._X: list[Tensor] = []

    def prepare(
        self, estimator: Any, candidate: Mapping[str, Any]
    ) -> tuple[Member | None, Any]:
        """Return a member, and the estimator that it is a part of.

        There is no member if the estimator is fitted, from a checkpoint.
        """
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
        of_teacher = {
            k: v
            for k, v in candidate.items()
            if k.removeprefix(prefix).startswith(_DECIDES_ON_LOGITS)
        }
        if is_prefit(net):  # and is the same whatever the student's seed is
            of_teacher.pop(f"{prefix}random_state", None)
        return self._checked(net, data, (head, identity(of_teacher))), estimator

    def prepare_student(self, net: Any, teacher: Hashable) -> Member | None:
        """Return a member of a student alone; None if a checkpoint had it fitted.

        Parameters
        ----------
        net : DistilledClassifier
        teacher : hashable
            Of students with the same one the first asks, or fits, their teacher.
        """
        check_settings(net)
        return self._checked(net, self._fold, teacher)

    def _checked(self, net: Any, data: Fold, key: Any) -> Member | None:
        module = identity([net.module, net.get_params_for("module")])
        if module in self._refused:
            raise CannotBePacked(self._refused[module])
        saved = None
        if net.checkpoint is not None:
            saved = saved_fit(net, *data)
            if saved.is_loaded:
                return None
        member = self._prepare(net, data, key)
        member.saved = saved
        try:
            check_module(net)
        except CannotBePacked as reason:
            self._refused[module] = str(reason)
            raise
        return member

    def _prepare(self, net: Any, data: Fold, key: Any) -> Member:
        """Prepare a student; the teacher runs, or is fitted, once for all of them."""
        fit_params = dict(data.fit_params)
        taught = net.alpha > 0 and key in self._taught
        if taught:
            first = self._taught[key]
            fit_params.pop("teacher_X", None)
            fit_params["teacher_logits"] = first.fields[TEACHER_LOGITS].numpy()
        member = prepare(
            net,
            data.X,
            data.y,
            fit_params,
            self._orders,
            partial(self._preprocess, data),
        )
        if taught:
            for name in ("teacher_", "teacher_temperature_"):
                setattr(net, name, getattr(first.net, name))
        # One copy for all of them, of a frame or of an array that is read-only.
        for X in self._X:
            if is_equal(X, member.X):
                member.X = X
                break
        else:
            self._X.append(member.X)
        if TEACHER_LOGITS in member.fields:
            self._taught.setdefault(key, member)
        return member

    def _preprocess(self, data: Fold, plan: FitPlan, net: Any) -> FitPlan:
        """Return the plan of a fit on `data` with X as the student takes it.

        Equal preprocessors of students that start from the same seed are fitted once.
        """
        if isinstance(net.random_state, np.random.RandomState):  # each fit draws a seed
            return preprocess(plan, net, {})
        of_net = net.random_state, net.unlabeled
        key = id(data.X), identity(of_net), _identity_of(plan.preprocessor)
        first = self._preprocessed.get(key)
        if first is None:
            self._preprocessed[key] = first = preprocess(plan, net, {})
        return replace(
            plan,
            X=first.X,
            facts=first.facts,
            preprocessor=first.preprocessor,
            split=first.split,
        )


def _identity_of(value: Any) -> Any:
    """Return what tells transformers apart that are not fitted: class and parameters.

    What `clone` leaves as it is, such as a frozen one, is known by its id.
    """
    if isinstance(value, (list, tuple)):
        return tuple(map(_identity_of, value))
    if not hasattr(value, "get_params") or isinstance(value, type):
        return identity(value)
    if clone(value) is value:
        return id(value)
    params = value.get_params(deep=False)
    return type(value), tuple((k, _identity_of(params[k])) for k in sorted(params))


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
