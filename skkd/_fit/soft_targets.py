"""Where the soft targets of a fit come from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from skorch import NeuralNet

from skkd._data.inputs import check_steady
from skkd._data.keys import TEACHER_FEATURES, TEACHER_LOGITS
from skkd._data.rows import len_of, sliceable
from skkd._fit.feature_probe import build_feature_terms
from skkd._fit.feature_terms import FeatureTerms, ask_with_features, flat_features
from skkd._fit.live_teacher import LiveTeacher
from skkd._fit.teacher_cv import check_fittable, fit_on_all, fit_out_of_fold
from skkd._utils.modules import describe
from skkd.memory._logits import CacheInfo, as_memory
from skkd.memory._recall import added, lookup_or_compute
from skkd.teachers import Teacher
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._base import check_logits
from skkd.teachers._transform import check_transform


class SoftTargets(NamedTuple):
    """What a teacher has to say about the rows of a fit."""

    teacher: Any = None  # what is shown as `teacher_`
    adapter: Teacher | None = None  # who was asked, or is asked
    batch_fields: Mapping[str, Any] = MappingProxyType(
        {}
    )  # what is to lie beside the rows
    live: LiveTeacher | None = None  # what is asked about every batch
    features: FeatureTerms | None = None
    taught: CacheInfo = CacheInfo()


def check_teacher(
    teacher: Any,
    teacher_cv: Any,
    classes: np.ndarray,
    *,
    transform: Any = None,
    needs: frozenset[str],
    given: bool,
    labelled: Any,
) -> Teacher | None:
    """Raise, before anything is trained, where the teacher cannot teach.

    Parameters
    ----------
    teacher, teacher_cv
        The estimator's parameters.
    classes : ndarray of shape (n_classes,)
    transform : callable or None, default=None
        The estimator's ``teacher_transform``.
    needs : frozenset of {"logits", "features"}
        What the loss needs.
    given : bool
        Whether logits were passed in place of the teacher's.
    labelled : ndarray of bool, shape (n,)

    Returns
    -------
    Teacher or None
        The fitted teacher; None where there is none, or clones are to be fitted.
    """
    if transform is not None:
        check_transform(transform)
        if not isinstance(teacher_cv, str):
            raise ValueError(
                f"teacher_transform={describe(transform)} makes the inputs of a "
                f"trained teacher, and with teacher_cv={teacher_cv!r} clones are "
                "fitted, to X as it is: make the transform a step of the teacher's own "
                "Pipeline, or pass teacher_cv='prefit'."
            )
    heard = needs and (teacher is not None or given)
    if not labelled.all() and not heard:
        raise ValueError(
            f"{int((~labelled).sum())} rows are marked as unlabelled, and only a "
            "teacher can teach these: pass teacher=, and a distillation= that listens "
            "to it, or leave them out."
        )
    asked = needs - {"logits"} if given else needs
    if given and teacher is None and asked:
        raise ValueError(
            "teacher_logits says nothing of layers, which the loss compares: pass "
            "teacher=, a torch module or a skorch net, too."
        )
    if teacher is None or not asked:
        return None
    if not isinstance(teacher_cv, str):
        check_fittable(teacher, teacher_cv)
        if "features" in asked and teacher_cv is not None:
            raise ValueError(
                f"teacher_cv={teacher_cv!r} gives each fold its own teacher, and a "
                "loss on features follows the layers of one: use 'prefit' or None, or "
                "a loss on logits, such as distillation='kd'."
            )
        if "features" in asked and not isinstance(teacher, NeuralNet):
            raise TypeError(
                f"The teacher {describe(teacher)} has no layers to learn features "
                "from: of what can be fitted on the way, expected a skorch net."
            )
        return None
    adapter = as_teacher(teacher, transform=transform).match_encoded(classes)
    adapter.check(classes)
    if "features" in asked:
        _ = adapter.network  # raises where there is none
    return adapter


def compute_soft_targets(
    adapter: Teacher | None,
    estimator: Any,
    X: Any,
    rows: Any,
    sample_weight: np.ndarray | None = None,
    *,
    needs: frozenset[str],
    fit_params: Mapping[str, Any],
) -> SoftTargets:
    """Ask the teacher about every row that is not remembered, once.

    Parameters
    ----------
    adapter : Teacher or None
        What :func:`check_teacher` returned.
    estimator : DistilledClassifier
        With its student built.
    X : array-like of n rows
        As the teacher wants them.
    rows : TrainingSet
    sample_weight : ndarray of shape (n,), default=None
        For the fitting of clones.
    needs : frozenset of {"logits", "features"}
        What the teacher is asked for.
    fit_params : mapping
        What the student's ``forward`` is given, batch_fields the input.

    Returns
    -------
    SoftTargets
    """
    classes, n = estimator.classes_, len(rows)
    if len_of(X) != n:
        raise ValueError(f"teacher_X has {len_of(X)} rows, expected {n}, those of X.")
    check_steady(X)
    teacher, memory, shown = estimator.teacher, estimator.memory, rows.X
    if adapter is None:
        same = X is shown
        X, memory = sliceable(X), False  # clones are others at every fit
        shown = X if same else shown
        data = (X, rows.y, rows.y_encoded >= 0, sample_weight)
        cv = estimator.teacher_cv
        if cv is not None:
            members, logits = fit_out_of_fold(teacher, cv, *data, classes=classes)
            said = {TEACHER_LOGITS: check_logits(logits, n, classes)}
            return SoftTargets(members, as_teacher(members), said, taught=CacheInfo(n))
        teacher = fit_on_all(teacher, *data)
        adapter = as_teacher(teacher)
        adapter.check(classes)
    adapter.check_rows(X)
    terms = None
    if "features" in needs:
        terms = build_feature_terms(estimator, adapter, X, rows, fit_params)
        if X is not shown and not terms.remember:
            raise ValueError(
                "teacher_X gives the teacher rows of its own, and a loss on features "
                "asks it about the batches of X: set remember=True on the loss, so "
                "that it is asked about all rows of teacher_X beforehand."
            )
    return _ask(adapter, estimator, X, rows, needs, terms, memory)._replace(
        teacher=teacher
    )


def _ask(
    adapter: Teacher,
    estimator: Any,
    X: Any,
    rows: Any,
    needs: frozenset[str],
    terms: FeatureTerms | None,
    memory: Any,
) -> SoftTargets:
    """Ask beforehand for what can be remembered, and leave the rest to the batches."""
    classes = estimator.classes_
    fleeting = estimator.augment is not None and estimator.views is None
    if fleeting and terms is not None and terms.remember:
        raise ValueError(
            "remember=True on a loss on features, and augment= shows the teacher "
            "another view in every batch: give a number of fixed views with views=, or "
            "leave out remember."
        )
    batch_fields, passes = {}, [CacheInfo()]
    where = {"estimator": estimator, "X": X, "rows": rows}
    if "logits" in needs and not fleeting:

        def say(part: Any) -> np.ndarray:
            return check_logits(adapter.logits(part, classes), len_of(part), classes)

        said, taught = lookup_or_compute(say, adapter, classes, memory=memory, **where)
        batch_fields[TEACHER_LOGITS] = said
        passes.append(taught)
    if terms is not None and terms.remember:
        names = terms.teacher_names

        def show(part: Any) -> np.ndarray:
            features = ask_with_features(adapter, part, classes, names)[1]
            return flat_features(features).cpu().numpy()

        said, taught = lookup_or_compute(
            show,
            (adapter, tuple(names)),
            np.arange(terms.n_numbers),
            memory=_all_columns(memory),
            **where,
        )
        batch_fields[TEACHER_FEATURES] = said
        passes.append(taught)
    logits = "logits" in needs and fleeting
    layers = terms.teacher_names if terms is not None and not terms.remember else []
    live = None
    if logits or layers:
        live = LiveTeacher(adapter, classes, logits=logits, layers=layers)
    return SoftTargets(None, adapter, batch_fields, live, terms, added(passes))


def _all_columns(memory: Any) -> Any:
    """Return a memory that keeps all of a row: `top_k` is meant for classes."""
    remembered = as_memory(memory)
    return memory if remembered is None else clone(remembered).set_params(top_k=None)
