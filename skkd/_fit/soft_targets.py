"""The soft targets of a fit: from a fitted teacher, from clones, or batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from skkd.memory._lookup import (
    logits_of,
    lookup_or_compute,
    memory_of,
    sum_cache_infos,
)
from skkd.memory._row_keys import row_keys, view_seeds
from skkd.teachers import Teacher, as_teacher
from skkd.teachers._check_logits import check_logits


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
        Computes targets for every batch.
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
    """Compute what can be computed before training, once for each sample."""
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
    own_rows = plan.teacher_X is not plan.X_as_given
    if own_rows and len_of(plan.teacher_X) != len(samples):
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
    teacher, adapter, memory, X = (
        net.teacher,
        plan.teacher,
        memory_of(net),
        plan.teacher_X,
    )
    own_rows = X is not samples.X or plan.preprocessor is not None
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
                "teacher_X= or preprocessor= gives the teacher other rows than the "
                "student, and a loss on features runs it on the student's batches: set "
                "cache=True on the loss, so that it runs on all its rows before "
                "training."
            )
    live = live_teacher(plan, net, adapter, needs, terms)
    infos = [CacheInfo()]

    def lookup(key: str, *computation: Any) -> None:
        seeds = fields.get(VIEW_SEEDS)
        fields[key], info = _lookup(net, X, len(samples), seeds, *computation)
        infos.append(info)

    if "logits" in needs and (live is None or not live.logits):
        forward = partial(logits_of, adapter, plan.classes)
        lookup(TEACHER_LOGITS, memory, forward, adapter, plan.classes)
    if terms is not None:
        fields[INDEX] = np.arange(len(samples))
    if terms is not None and terms.cache:
        names, columns = tuple(terms.teacher_names), np.arange(terms.n_numbers)
        if memory is not None and memory is not False:  # `top_k` is meant for classes
            memory = clone(as_memory(memory)).set_params(top_k=None)
        forward = partial(_features, adapter, plan.classes, names)
        lookup(TEACHER_FEATURES, memory, forward, (adapter, names), columns)
    info = sum_cache_infos(infos)
    return SoftTargets(teacher, adapter, fields, live, terms, info)


def live_teacher(
    plan: FitPlan,
    net: Any,
    adapter: Teacher,
    needs: frozenset[str],
    terms: FeatureTerms | None,
) -> LiveTeacher | None:
    """Return a teacher for every batch, if views are new or features are not cached."""
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


def _features(
    adapter: Teacher, classes: np.ndarray, names: Sequence[Any], X: Any
) -> np.ndarray:
    def compute(part: Any) -> np.ndarray:
        features = features_of(adapter, part, classes, names)[1]
        return flat_features(features).cpu().numpy()

    return adapter.in_whole_batches(compute, X)


def _lookup(
    net: Any,
    X: Any,
    n_samples: int,
    view_seeds: np.ndarray | None,
    memory: Any,
    forward: Callable[[Any], np.ndarray],
    content: Any,
    columns: np.ndarray,
) -> tuple[Any, CacheInfo]:
    """Return what `forward` gives for all samples, or for the fixed views of them."""
    is_frame = hasattr(X, "columns")

    def forward_view(part: Any) -> np.ndarray:  # views are arrays, whatever X is
        is_view = is_frame and isinstance(part, np.ndarray)
        return forward(with_columns(part, X) if is_view else part)

    def cast(part: Any) -> Any:  # as the student gets it, before augmentation
        part = part.toarray() if hasattr(part, "toarray") else part
        return cast_floats(np.array(part) if is_frame else part, net.module_)

    return lookup_or_compute(
        forward_view,
        content,
        columns,
        X,
        memory=memory,
        n_samples=n_samples,
        view_seeds=view_seeds,
        augment=net.augment,
        cast=cast,
    )
