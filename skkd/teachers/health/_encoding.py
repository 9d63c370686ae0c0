"""Whether the numbers in y stand for the labels that a teacher knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax

from skkd.teachers._base import Teacher
from skkd.teachers.health._evidence import evidence_of_ranks, gain_of_reordering

# One-sided, 1 %.
_SIGNIFICANT = 2.33
# Of ``2 * AUC - 1``: two classes that a teacher confuses differ by less.
_MARGIN = 0.2


def check_encoding(
    logits: np.ndarray | None,
    y_encoded: np.ndarray,
    classes: Any,
    teacher: Teacher,
) -> None:
    """Raise unless the logits show that the numbers in y stand for a teacher's labels.

    The logits must agree with y better than by chance, and no better in another order
    of the columns. They are None if the teacher could not predict the samples.
    """
    known, classes = teacher.encoded_labels, np.asarray(classes).tolist()
    numbers = [*range(len(known or ()))]
    names = f"as_teacher(model, classes={numbers[:20]})"
    if logits is None:
        seen = "could not predict the training samples as they are"
    else:
        labelled = y_encoded >= 0
        y = y_encoded[labelled]
        with np.errstate(invalid="ignore"):
            log_p = log_softmax(np.asarray(logits, np.float64)[labelled], axis=1)
        if not np.isfinite(log_p).all():
            seen = "gives outputs that are not finite"
        elif len(np.unique(y)) < 2 or evidence_of_ranks(log_p, y).z < _SIGNIFICANT:
            seen = f"is no better than chance on {len(y)} labelled samples"
        elif gain_of_reordering(log_p, y) > _MARGIN:
            seen = f"is better on {len(y)} labelled samples if they are reordered"
        else:
            return
    raise ValueError(
        f"y has the classes {classes[:20]}, and the teacher {teacher.described} knows "
        f"{(known or [])[:20]}. scikit-learn replaces sorted labels by 0 to "
        f"{len(numbers) - 1}, but with its columns in this order the teacher {seen}. "
        f"If the order is right, say so: {names}; if not, list the numbers in the "
        "order of its columns."
    )
