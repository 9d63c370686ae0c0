"""The teacher of a fit, looked at before anything is learnt from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.dataset import unpack_data
from skorch.utils import to_numpy

from skkd._data.batches import TrainingSet, batch_of
from skkd._data.keys import TEACHER_LOGITS, split_inputs
from skkd._data.rows import pick
from skkd._fit.soft_targets import SoftTargets
from skkd._utils.modules import cast_floats
from skkd.losses import FeatureLoss, HardLabel, LogitMSE
from skkd.losses.weighted_sum import flatten
from skkd.teachers import Finding, Teacher
from skkd.teachers.health import check_encoding
from skkd.teachers.health._findings import examine, kind_of, report, sample_rows

# Of logits that are at hand, and of a teacher that is asked for this alone.
_ROWS, _ASKED_ROWS = 1000, 200


def check_teacher_outputs(
    estimator: Any, X: Any, rows: TrainingSet, targets: SoftTargets, *, given: bool
) -> list[Finding]:
    """Warn of what is probably wrong with the teacher, or raise where `strict`.

    Parameters
    ----------
    estimator : DistilledClassifier
        Its ``temperature``, ``strict``, ``classes_`` and ``distillation_``.
    X : array-like of n rows
        As the teacher wants them.
    rows : TrainingSet
        With the logits beside them that are at hand; only without these is the
        teacher asked.
    targets : SoftTargets
    given : bool
        Whether logits were passed in place of the teacher's.

    Returns
    -------
    list of Finding
    """
    at_hand = rows.batch_fields.get(TEACHER_LOGITS)
    teacher = None if given else targets.adapter
    if at_hand is None and teacher is None:  # nobody teaches, or with a weight of 0
        return []
    # The rows are the same in every fit on these data, and so are the figures:
    # Python shows a warning of one text once.
    numbers = sample_rows(rows.y_encoded, _ASKED_ROWS if at_hand is None else _ROWS)
    if at_hand is not None:
        said = at_hand[numbers]
    elif targets.live is not None:
        said = _ask_live(estimator, targets.live, rows, numbers)
    else:  # its features are remembered, its logits were not asked for
        said = teacher.logits(pick(X, numbers), estimator.classes_)  # type: ignore[union-attr]
    if said is not None and said.ndim == 3:
        said = said[:, 0]  # the first view
    if teacher is not None and teacher.encoded_labels is not None:
        y_encoded = rows.y_encoded[numbers]
        check_encoding(said, y_encoded, estimator.classes_, teacher)
    if said is None:
        return []
    findings = examine(
        said,
        rows.y_encoded[numbers],
        teacher=teacher,
        kind="logits" if teacher is None else _kind(estimator, teacher),
        temperature=estimator.temperature if _is_soft(estimator) else None,
        classes=estimator.classes_,
    )
    report(findings, strict=estimator.strict)
    return findings


def _kind(estimator: Any, teacher: Teacher) -> str:
    # Out of fold each row has one of the members, not their mean.
    out_of_fold = estimator.teacher_cv is not None and not isinstance(
        estimator.teacher_cv, str
    )
    return kind_of(teacher.model[0] if out_of_fold else teacher)


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
    batch = batch_of(rows, numbers.tolist())
    inputs = split_inputs(unpack_data(batch)[0])[0]
    plain = to_numpy(cast_floats(inputs, estimator.module_))
    try:
        with estimator._precise():
            return live.adapter.logits(plain, estimator.classes_)
    except ValueError:  # views may be of another size; if not, training will say so
        return None
