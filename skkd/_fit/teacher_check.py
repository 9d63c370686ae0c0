"""What a teacher gives in a fit, checked before anything is learnt from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from skorch.dataset import unpack_data
from skorch.utils import to_numpy

from skkd._data.batches import TrainingSet, batch_of
from skkd._data.keys import TEACHER_LOGITS, split_inputs
from skkd._data.rows import pick, with_columns
from skkd._fit.param_checks import has_folds
from skkd._fit.plan import FitPlan
from skkd._fit.score_scale import calibrate, scale_of_scores
from skkd._fit.soft_targets import SoftTargets
from skkd._utils.modules import cast_floats
from skkd.losses import FeatureLoss, HardLabel, LogitMSE
from skkd.losses._registry import flatten
from skkd.teachers import Finding, Teacher
from skkd.teachers.health import check_encoding
from skkd.teachers.health._by_heart import examine_memory
from skkd.teachers.health._decisions import N_ROWS, compare_decisions, has_threshold
from skkd.teachers.health._extra_classes import examine_extra_classes
from skkd.teachers.health._findings import (
    examine,
    is_sure_and_right,
    report,
    sample_rows,
)

# How many samples are looked at: of logits at hand, and of a teacher that is to be
# run for this alone.
_N_SAMPLES, _N_ASKED = 1000, 200


class TeacherCheck(NamedTuple):
    """What the outputs of a teacher for some samples tell.

    Attributes
    ----------
    findings : list of Finding
    temperature : float
        Divides its scores, if it gives such.
    """

    findings: list[Finding]
    temperature: float = 1.0


def check_teacher_outputs(
    plan: FitPlan, net: Any, samples: TrainingSet, targets: SoftTargets
) -> TeacherCheck:
    """Warn of what is probably wrong with the teacher, or raise if ``strict``."""
    logits = targets.fields.get(TEACHER_LOGITS)
    teacher = None if plan.teacher_logits is not None else targets.adapter
    if logits is None and teacher is None:  # nobody teaches, or with a weight of 0
        return TeacherCheck([])
    # The samples are the same in every fit on these data, and so are the figures:
    # Python shows a warning of one text once.
    index = sample_rows(plan.y_encoded, _N_ASKED if logits is None else _N_SAMPLES)
    if logits is not None:
        logits = logits[index]
    elif targets.live is not None:
        logits = _live_logits(plan, net, samples, targets.live, index)
    else:  # its features are cached, its logits were not needed
        logits = teacher.logits(pick(plan.teacher_X, index), plan.classes)  # type: ignore[union-attr]
    if logits is not None and logits.ndim == 3:
        logits = logits[:, 0]  # the first view
    if teacher is not None and teacher.encoded_labels is not None:
        check_encoding(logits, plan.y_encoded[index], plan.classes, teacher)
    if logits is None:
        return TeacherCheck([])
    kind = "logits"
    out_of_fold = has_folds(net.teacher_cv)
    if teacher is not None:
        # Out of fold each sample has one of the members, not their mean.
        kind = (teacher.model[0] if out_of_fold else teacher).output_kind()
    may_be_scores = kind != "proba" and "logits" in plan.needs
    scale, more = 1.0, list[Finding]()
    if teacher is not None and net.teacher_calibration is not None:
        every = targets.fields[TEACHER_LOGITS]
        scale = calibrate(every, plan.y_encoded, plan.sample_weight)
    elif teacher is not None and may_be_scores and teacher.gives_scores:
        scale, more = scale_of_scores(plan, net, teacher, logits, index)
    findings = examine(
        logits,
        plan.y_encoded[index],
        teacher=teacher,
        kind=kind,
        temperature=net.temperature * scale if _is_soft(plan.loss) else None,
        classes=plan.classes,
        out_of_fold=out_of_fold,
    )
    findings += plan.findings
    is_one = teacher is not None and not out_of_fold
    if is_one and is_sure_and_right(logits, plan.y_encoded[index]):
        rows = pick(plan.teacher_X, index)
        findings += examine_memory(teacher, rows, plan.y_encoded[index])  # type: ignore[arg-type]
    if teacher is not None and teacher.has_extra_classes(plan.classes):
        few = index[:: -(-len(index) // _N_ASKED)]
        findings += _of_extra_classes(plan, net, samples, targets, few)
    findings += more
    one = teacher.model[0] if teacher is not None and out_of_fold else teacher
    if one is not None and one.may_decide_otherwise and _is_asked(net, one, targets):
        few = sample_rows(plan.y_encoded[index], N_ROWS)
        rows = pick(plan.teacher_X, index[few])
        given = logits[few] if one is teacher else one.logits(rows, plan.classes)
        findings += compare_decisions(one, rows, given / scale, plan.classes)
    report(findings, strict=net.strict)
    return TeacherCheck(findings, scale)


def _is_asked(net: Any, teacher: Teacher, targets: SoftTargets) -> bool:
    """Tell whether to ask for decisions: a teacher that runs anyway, or is cheap."""
    runs = net.strict or targets.live or targets.cache_info.misses
    return bool(runs) or has_threshold(teacher)


def _is_soft(loss: Any) -> bool:
    """Tell whether the loss learns from more of the logits than decisions or values."""
    hard = (HardLabel, LogitMSE, FeatureLoss)
    return not all(isinstance(part, hard) for _, part in flatten(loss))


def _of_extra_classes(
    plan: FitPlan, net: Any, samples: TrainingSet, targets: SoftTargets, index: Any
) -> list[Finding]:
    """Ask the teacher again, for what was left out of its logits."""
    live = targets.live is not None
    X = _as_live(plan, net, samples, index) if live else pick(plan.teacher_X, index)
    y_encoded, classes = plan.y_encoded[index], plan.classes
    try:
        return [*examine_extra_classes(targets.adapter, X, y_encoded, classes)]  # type: ignore[arg-type]
    except ValueError:
        if net.augment is None:
            raise
        return []  # views are of another size, and clean samples are not taken


def _live_logits(
    plan: FitPlan, net: Any, samples: TrainingSet, live: Any, index: np.ndarray
) -> np.ndarray | None:
    """Return logits of clean samples, in the form that a live teacher is given.

    Not of views: an augmentation with a random stream of its own would go on in it.
    """
    try:
        return live.adapter.logits(_as_live(plan, net, samples, index), plan.classes)
    except ValueError:  # views may be of another size; if not, training fails
        return None


def _as_live(plan: FitPlan, net: Any, samples: TrainingSet, index: np.ndarray) -> Any:
    inputs = split_inputs(unpack_data(batch_of(samples, index.tolist()))[0])[0]
    return with_columns(to_numpy(cast_floats(inputs, net.module_)), plan.teacher_X)
