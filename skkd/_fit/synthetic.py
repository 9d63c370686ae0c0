"""Synthetic rows of a fit: made of its training samples, and taught by the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from skorch.dataset import Dataset

from skkd._data.batches import TrainingSet
from skkd._data.frames import is_frame, to_numbers
from skkd._data.keys import TEACHER_LOGITS
from skkd._data.preprocessed import numbers_of_student
from skkd._data.rows import take_rows
from skkd._data.weights import sample_weight_fields
from skkd._fit.split import Split, draw_split
from skkd._utils.modules import describe
from skkd.memory._lookup import lookup_or_compute, memory_of, sum_cache_infos

if TYPE_CHECKING:
    from skkd._fit.plan import FitPlan
    from skkd._fit.soft_targets import SoftTargets


def check_synthetic(net: Any, teacher_logits: Any, teacher_X: Any) -> None:
    """Raise if ``synthetic`` cannot make rows, or nobody could label them."""
    if not (hasattr(net.synthetic, "make") and hasattr(net.synthetic, "check")):
        raise TypeError(
            f"synthetic={net.synthetic!r}: expected None or "
            "skkd.tables.SyntheticRows()."
        )
    net.synthetic.check()
    given = "teacher_logits=" if teacher_logits is not None else "teacher_X="
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            f"synthetic= makes rows of X, which the teacher is asked about, and {given}"
            " is of the rows of X alone: leave out one of the two. A student that "
            "takes other numbers than the teacher makes them by preprocessor=."
        )
    if net.augment is not None or net.teacher_transform is not None:
        raise ValueError(
            "synthetic= makes rows of a table, and augment= or teacher_transform= is "
            "of images: leave out one of the two."
        )


def with_synthetic(
    plan: FitPlan,
    net: Any,
    samples: TrainingSet,
    targets: SoftTargets,
    fit_params: Mapping[str, Any],
) -> tuple[TrainingSet, SoftTargets]:
    """Return the samples with synthetic ones behind them, and what was cached.

    Those are made of training samples alone, and have no label. Where no teacher runs,
    as with ``alpha=0``, there are none.
    """
    logits = samples.batch_fields.get(TEACHER_LOGITS)
    if targets.features is not None:
        raise ValueError(
            f"synthetic={net.synthetic!r} gives more rows to learn logits from, and "
            f"distillation={describe(plan.loss)} compares features: leave out one of "
            "the two."
        )
    if logits is None or targets.adapter is None:
        return samples, targets
    n = len(samples)
    why = "synthetic= makes rows of those of X"
    split = draw_split(net, samples, fit_params, why)
    rows = net.synthetic.make(take_rows(plan.X_as_given, split.train))
    more, info = _logits_of(plan, net, targets, rows)
    student = _numbers_of(plan, net, rows)
    y_encoded = np.concatenate([samples.y_encoded, np.full(len(student), -1)])
    labelled = y_encoded >= 0
    weight = plan.weight
    if weight is not None:  # as much as a row weighs in the mean
        weight = np.concatenate([weight, np.full(len(student), weight.mean())])
    fields = {
        **samples.batch_fields,
        TEACHER_LOGITS: np.concatenate([logits[np.arange(n)], more]),
        **sample_weight_fields(weight, labelled),
    }
    X = np.concatenate([np.asarray(plan.X), student.astype(plan.X.dtype)])
    whole = TrainingSet(
        Dataset(X, y_encoded),
        X=samples.X,
        y=samples.y,
        y_encoded=y_encoded,
        batch_fields=fields,
        split=Split(np.append(split.train, np.arange(n, len(X))), split.valid),
    )
    infos = [targets.cache_info, info]
    return whole, targets._replace(cache_info=sum_cache_infos(infos))


def _logits_of(plan: FitPlan, net: Any, targets: SoftTargets, rows: Any) -> Any:
    adapter: Any = targets.adapter

    def forward(part: Any) -> np.ndarray:
        return np.asarray(adapter.logits(part, plan.classes), dtype=np.float32)

    memory = memory_of(net) if isinstance(net.teacher_cv, str) else False
    found = lookup_or_compute(forward, adapter, plan.classes, rows, memory=memory)
    return found[0][np.arange(len(found[0]))], found[1]


def _numbers_of(plan: FitPlan, net: Any, rows: Any) -> np.ndarray:
    fitted = net.preprocessor_
    if fitted is not None:
        return numbers_of_student(fitted, fitted.transform(rows), rows)
    return to_numbers(rows, "X") if is_frame(rows) else np.asarray(rows)
