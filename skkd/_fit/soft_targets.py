"""The soft targets of a fit: from a fitted teacher, from clones, or batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skkd._data.batches import TrainingSet
from skkd._data.inputs import check_repeatable
from skkd._data.keys import INDEX, TEACHER_FEATURES, TEACHER_LOGITS, VIEW_SEEDS
from skkd._data.rows import len_of, sliceable, with_columns
from skkd._fit.feature_probe import build_feature_terms
from skkd._fit.feature_terms import FeatureTerms, features_of, flat_features
from skkd._fit.live_teacher import LiveTeacher
from skkd._fit.plan import FitPlan
from skkd._fit.teacher_cv import fit_on_all, fit_out_of_fold
from skkd._utils.modules import cast_floats
from skkd.memory._logits import CacheInfo, as_memory
from skkd.memory._lookup import lookup_or_compute, sum_cache_infos
from skkd.memory._row_keys import row_keys, view_seeds
from skkd.teachers import Teacher, as_teacher
from skkd.teachers._base import check_logits


class SoftTargets(NamedTuple):
    """What a teacher gives for the samples of a fit.

    Attributes
    ----------
    teacher : object
        Shown as ``teacher_``: the teacher, or the clones that were fitted.
    adapter : Teacher or None
        What computes logits.
    fields : mapping of str to array of n rows
        Batch fields that were computed beforehand.
    live : LiveTeacher or None
        What is asked about every batch.
    features : FeatureTerms or None
        Losses between layers.
    cache_info : CacheInfo
    """

    teacher: Any = None
    adapter: Teacher | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    live: LiveTeacher | None = None
    features: FeatureTerms | None = None
    cache_info: CacheInfo = CacheInfo()


def compute_soft_targets(
    plan: FitPlan, net: Any, samples: TrainingSet, fit_params: Mapping[str, Any]
) -> SoftTargets:
    """Compute what can be computed before training, once for each sample.

    Parameters
    ----------
    plan : FitPlan
    net : DistilledClassifier
        With its student built.
    samples : TrainingSet
    fit_params : mapping
        Further arguments of the student's ``forward``.

    Returns
    -------
    SoftTargets
    """
    fields: dict[str, Any] = {}
    if net.n_views is not None:
        fields[VIEW_SEEDS] = view_seeds(row_keys(samples.X)[0], net.n_views)
    needs = plan.needs
    if plan.teacher_logits is not None:
        needs = needs - {"logits"}
        if net.alpha > 0:
            fields[TEACHER_LOGITS] = plan.teacher_logits
    if net.teacher is None or not needs:
        shown = net.teacher if isinstance(net.teacher_cv, str) else None
        return SoftTargets(shown, fields=fields)
    check_repeatable(plan.teacher_X)
    if len_of(plan.teacher_X) != len(samples):
        raise ValueError(
            f"teacher_X has {len_of(plan.teacher_X)} rows, expected {len(samples)}, "
            "those of X."
        )
    if plan.teacher is None and net.teacher_cv is not None:
        return _out_of_fold(plan, net, fields)
    return _from_teacher(plan, net, samples, needs, fields, fit_params)


def _out_of_fold(plan: FitPlan, net: Any, fields: dict[str, Any]) -> SoftTargets:
    members, logits = fit_out_of_fold(
        net.teacher,
        net.teacher_cv,
        sliceable(plan.teacher_X),
        plan.y,
        plan.labelled,
        plan.sample_weight,
        classes=plan.classes,
        groups=plan.groups,
    )
    fields[TEACHER_LOGITS] = check_logits(logits, len(plan.y), plan.classes)
    info = CacheInfo(len(plan.y))
    return SoftTargets(members, as_teacher(members), fields, cache_info=info)


def _from_teacher(
    plan: FitPlan,
    net: Any,
    samples: TrainingSet,
    needs: frozenset[str],
    fields: dict[str, Any],
    fit_params: Mapping[str, Any],
) -> SoftTargets:
    teacher, adapter, memory, X = net.teacher, plan.teacher, net.memory, plan.teacher_X
    own_rows = X is not samples.X
    if adapter is None:
        X, memory = sliceable(X), False  # a clone is another one in every fit
        data = (X, plan.y, plan.labelled, plan.sample_weight)
        teacher = fit_on_all(teacher, *data)
        adapter = as_teacher(teacher)
        adapter.check(plan.classes)
    adapter.check_rows(X)
    terms = None
    if "features" in needs:
        terms = build_feature_terms(net, plan.loss, adapter, X, samples, fit_params)
        if own_rows and not terms.cache:
            raise ValueError(
                "teacher_X gives the teacher rows of its own, and a loss on features "
                "asks it about the batches of X: set cache=True on the loss, so "
                "that it is asked about all rows of teacher_X beforehand."
            )
    live = _live_teacher(plan, net, adapter, needs, terms)
    cached = _Cached(adapter, plan.classes, net, X, fields.get(VIEW_SEEDS), memory)
    if "logits" in needs and (live is None or not live.logits):
        fields[TEACHER_LOGITS] = cached.logits()
    if terms is not None:
        fields[INDEX] = np.arange(len(samples))
        if terms.cache:
            fields[TEACHER_FEATURES] = cached.features(terms)
    return SoftTargets(
        teacher, adapter, fields, live, terms, sum_cache_infos(cached.passes)
    )


def _live_teacher(
    plan: FitPlan,
    net: Any,
    adapter: Teacher,
    needs: frozenset[str],
    terms: FeatureTerms | None,
) -> LiveTeacher | None:
    """Return what is asked about every batch: of new views, and of layers."""
    new_views = net.augment is not None and net.n_views is None
    new_views = new_views and net.teacher_view == "same"
    if new_views and terms is not None and terms.cache:
        raise ValueError(
            "cache=True on a loss on features, and augment= shows the teacher "
            "another view in every batch: give a number of fixed views with n_views=, "
            "or leave out cache."
        )
    logits = "logits" in needs and new_views
    layers = terms.teacher_names if terms is not None and not terms.cache else []
    if not (logits or layers):
        return None
    like = plan.teacher_X
    return LiveTeacher(adapter, plan.classes, like=like, logits=logits, layers=layers)


class _Cached:
    """What is computed of all samples before training, or found in the cache."""

    def __init__(
        self,
        adapter: Teacher,
        classes: np.ndarray,
        net: Any,
        X: Any,
        seeds: np.ndarray | None,
        memory: Any,
    ) -> None:
        self.adapter, self.classes = adapter, classes
        self.net, self.X, self.seeds, self.memory = net, X, seeds, memory
        self.passes = [CacheInfo()]

    def logits(self) -> Any:
        def forward(part: Any) -> np.ndarray:
            logits = self.adapter.logits(part, self.classes)
            return check_logits(logits, len_of(part), self.classes)

        return self._lookup(forward, self.adapter, self.classes, self.memory)

    def features(self, terms: FeatureTerms) -> Any:
        names = terms.teacher_names
        memory = self.memory
        if memory is not None and memory is not False:  # `top_k` is meant for classes
            memory = clone(as_memory(memory)).set_params(top_k=None)

        def forward(part: Any) -> np.ndarray:
            features = features_of(self.adapter, part, self.classes, names)[1]
            return flat_features(features).cpu().numpy()

        columns = np.arange(terms.n_numbers)
        return self._lookup(forward, (self.adapter, tuple(names)), columns, memory)

    def _lookup(self, forward: Any, content: Any, columns: Any, memory: Any) -> Any:
        def of_part(part: Any) -> np.ndarray:  # views are arrays, whatever X is
            is_view = isinstance(part, np.ndarray)
            return forward(with_columns(part, self.X) if is_view else part)

        def as_seen(part: Any) -> Any:  # by the student, before augmentation
            part = np.array(part) if hasattr(part, "iloc") else part
            return cast_floats(part, self.net.module_)

        values, info = lookup_or_compute(
            of_part,
            content,
            columns,
            self.X,
            memory=memory,
            view_seeds=self.seeds,
            augment=self.net.augment,
            cast=as_seen,
        )
        self.passes.append(info)
        return values
