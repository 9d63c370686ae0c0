"""The teacher of a fit, looked at before anything is learnt from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.utils import to_numpy
from torch.utils.data import default_collate

from skkd._batches import TEACHER_LOGITS, TrainingSet, pair_of
from skkd._modules import cast_floats
from skkd._teaching import Lesson
from skkd.losses import FeatureLoss, HardLabel, LogitMSE
from skkd.losses.weighted_sum import flatten
from skkd.teachers import Finding, Teacher, as_teacher
from skkd.teachers._findings import examine, kind_of
from skkd.teachers.health import report, sample_rows

# Of logits that are at hand, and of a teacher that is asked about every batch.
_ROWS, _LIVE_ROWS = 1000, 200


def check_up(
    estimator: Any, adapter: Teacher | None, rows: TrainingSet, lesson: Lesson
) -> list[Finding]:
    """Warn of what is probably wrong with the teacher, or raise where `strict`.

    Parameters
    ----------
    estimator : DistilledClassifier
        Its ``temperature``, ``strict``, ``classes_`` and ``distillation_``.
    adapter : Teacher or None
        What :func:`skkd._teaching.check_teacher` returned.
    rows : TrainingSet
    lesson : Lesson
        Where it left no logits beside the rows, a live teacher is asked.

    Returns
    -------
    list of Finding
    """
    at_hand = rows.beside.get(TEACHER_LOGITS)
    if at_hand is None and lesson.live is None:  # nobody teaches, or with a weight of 0
        return []
    # The rows are the same in every fit on these data, and so are the figures:
    # Python shows a warning of one text once.
    if at_hand is not None:
        numbers = sample_rows(rows.codes, _ROWS)
        said = at_hand[numbers]
    else:
        numbers = sample_rows(rows.codes, _LIVE_ROWS)
        said = _ask_live(estimator, lesson.live, rows, numbers)
    if said is None:
        return []
    logits = said[:, 0] if said.ndim == 3 else said  # the first view
    teacher, kind = lesson.live.adapter if lesson.live else adapter, "logits"
    if teacher is None and lesson.teacher is not None and not estimator._is_prefit:
        teacher = as_teacher(lesson.teacher)
    if teacher is not None:
        # Out of fold each row has one of the members, not their mean.
        out_of_fold = adapter is None and estimator.teacher_cv is not None
        kind = kind_of(teacher.model[0] if out_of_fold else teacher)
    findings = examine(
        logits,
        rows.codes[numbers],
        teacher=teacher,
        kind=kind,
        temperature=estimator.temperature if _is_soft(estimator) else None,
        classes=estimator.classes_,
    )
    report(findings, strict=estimator.strict, stacklevel=6)
    return findings


def _is_soft(estimator: Any) -> bool:
    """Tell whether the loss learns from more of the logits than decisions or values."""
    hard = (HardLabel, LogitMSE, FeatureLoss)
    parts = flatten(estimator.distillation_)
    return not all(isinstance(part, hard) for _, part in parts)


def _ask_live(
    estimator: Any, live: Any, rows: TrainingSet, numbers: np.ndarray
) -> np.ndarray | None:
    """Ask about plain rows, in the form that training gives them to a live teacher.

    Not about views: an augmentation with a random stream of its own would go on in it.
    """
    inputs = default_collate([pair_of(rows.base, i)[0] for i in numbers.tolist()])
    plain = to_numpy(cast_floats(inputs, estimator.module_))
    try:
        with estimator._precise():
            return live.adapter.logits(plain, estimator.classes_)
    except ValueError:  # views may be of another size; if not, training will say so
        return None
