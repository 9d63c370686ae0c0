"""Soft targets of a fit over several processes: the main one asks the teacher."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skkd._data.batches import TrainingSet
from skkd._estimator.distributed.processes import Processes
from skkd._fit.feature_probe import build_feature_terms
from skkd._fit.param_checks import has_folds
from skkd._fit.plan import FitPlan
from skkd._fit.soft_targets import SoftTargets, live_teacher
from skkd._fit.teacher_check import TeacherCheck
from skkd._utils.modules import describe
from skkd.teachers import as_teacher

_Asked = tuple[SoftTargets, TeacherCheck]


def targets_of_main(
    plan: FitPlan,
    net: Any,
    samples: TrainingSet,
    fit_params: Mapping[str, Any],
    processes: Processes,
    ask: Callable[[], _Asked],
) -> _Asked:
    """Ask the teacher in the main process, once, and pass the answer on."""
    if processes.is_main:
        targets, check = ask()
        arrays = {key: _array(v, len(samples)) for key, v in targets.fields.items()}
        fitted = _pickled(net, targets.teacher)
        facts = (
            {key: (array.shape, array.dtype) for key, array in arrays.items()},
            None if fitted is None else fitted.shape,
            targets.cache_info,
            (check.findings, check.temperature),
        )
        processes.meet("the teacher's pass", facts)
        for array in arrays.values():
            processes.broadcast(array, (array.shape, array.dtype))
        if fitted is not None:
            processes.broadcast(fitted, (fitted.shape, fitted.dtype))
    else:
        facts = processes.meet("the teacher's pass")[0]
        kinds, size, info, found = facts
        fields = {key: processes.broadcast(None, kind) for key, kind in kinds.items()}
        teacher, adapter = net.teacher, plan.teacher
        if size is not None:
            raw = processes.broadcast(None, (size, np.dtype(np.uint8)))
            teacher = pickle.loads(raw.tobytes())
            adapter = as_teacher(teacher)
        targets = _received(plan, net, samples, fit_params, adapter, fields)
        targets = targets._replace(teacher=teacher, cache_info=info)
        samples.batch_fields.update(targets.fields)
        check = TeacherCheck(*found)
    processes.meet("the losses on layers")
    if targets.features is not None:
        own = targets.features.comparisons
        processes.copy_from_main([*own.parameters(), *own.buffers()])
    return targets, check


def _received(
    plan: FitPlan,
    net: Any,
    samples: TrainingSet,
    fit_params: Mapping[str, Any],
    adapter: Any,
    fields: dict[str, np.ndarray],
) -> SoftTargets:
    """Build what belongs to this process: losses on layers, and a live teacher."""
    terms = None
    if "features" in plan.needs:
        X = plan.teacher_X
        terms = build_feature_terms(net, plan.loss, adapter, X, samples, fit_params)
    needs = plan.needs - {"logits"} if plan.teacher_logits is not None else plan.needs
    live = None
    if adapter is not None and not has_folds(net.teacher_cv):
        live = live_teacher(plan, net, adapter, needs, terms)
    return SoftTargets(adapter=adapter, fields=fields, live=live, features=terms)


def _array(values: Any, n: int) -> np.ndarray:
    """Return what is indexed by rows as an array."""
    return np.ascontiguousarray(values[np.arange(n)])


def _pickled(net: Any, teacher: Any) -> np.ndarray | None:
    """Return the bytes of a teacher that the main process has fitted."""
    if isinstance(net.teacher_cv, str) or teacher is None:
        return None
    buffer = io.BytesIO()
    try:
        pickle.dump(teacher, buffer)
    except Exception as error:  # whatever a __reduce__ raises
        raise TypeError(
            f"The fitted teacher {describe(net.teacher)} cannot be pickled ({error}), "
            "and the other processes get it so: fit it before, and pass it with "
            "teacher_cv='prefit', in all of them."
        ) from error
    return np.frombuffer(bytearray(buffer.getvalue()), dtype=np.uint8)
