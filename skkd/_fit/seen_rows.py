"""Whether a fitted teacher had seen the rows that test its student."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest

from skkd._utils.warn import warn
from skkd.exceptions import TeacherWarning
from skkd.memory._lookup import lookup_or_compute, memory_of
from skkd.teachers import Finding, Teacher, as_teacher

# A teacher that is right on nearly all rows, on significantly more than its student,
# has probably learnt them: an honest one of MNIST is right on 0.995. On few rows an
# honest one may well be right on all.
_NEARLY_ALL, _SIGNIFICANCE, _MIN_ROWS = 0.998, 0.01, 100
# How much the mean confidence may exceed the accuracy, and by how many standard errors.
_TOO_SURE, _ERRORS = 0.1, 3.0

UNKNOWN = (
    "Holds only if the teacher was not fitted on the test rows, which is not known: "
    "teacher_saw='other rows' vouches for it."
)
_REMEDY = (
    "A teacher that has seen the test rows tells their labels, and a score on them "
    "proves nothing. Test on rows that it did not see; or pass it unfitted with "
    "teacher_cv=None, which fits a clone in each fold; or, if it has not seen them, "
    "say so: teacher_saw='other rows'."
)


def check_teacher_saw(value: Any) -> None:
    """Raise ValueError unless `value` is None or "other rows"."""
    if value is not None and not (isinstance(value, str) and value == "other rows"):
        raise ValueError(
            f"teacher_saw={value!r}: expected None, not known, or 'other rows' if the "
            "teacher was fitted on none of the rows that are tested."
        )


def is_prefit(net: Any) -> bool:
    """Tell whether a DistilledClassifier is taught by a teacher fitted before."""
    teacher, cv = getattr(net, "teacher", None), getattr(net, "teacher_cv", None)
    return teacher is not None and isinstance(cv, str)


def look_for_seen_rows(
    teacher_right: np.ndarray,
    student_right: np.ndarray,
    confidence: float | None = None,
) -> list[Finding]:
    """Look for signs that a teacher was fitted on the test rows.

    Parameters
    ----------
    teacher_right, student_right : ndarray of shape (n,), bool
        Whether each is right on the same test rows.
    confidence : float, default=None
        Mean probability of the teacher's decisions.

    Returns
    -------
    list of Finding
    """
    n, accuracy = len(teacher_right), float(np.mean(teacher_right))
    won = int((teacher_right & ~student_right).sum())
    lost = int((student_right & ~teacher_right).sum())
    better = won > lost and (
        binomtest(won, won + lost, alternative="greater").pvalue < _SIGNIFICANCE
    )
    if n >= _MIN_ROWS and accuracy >= _NEARLY_ALL and better:
        text = (
            f"The teacher is right on {100 * accuracy:.1f} % of {n} test rows, the "
            f"student on {100 * np.mean(student_right):.1f} %: it was probably fitted "
            f"on them. {_REMEDY}"
        )
        return [Finding("saw-test-rows", text)]
    error = max(accuracy * (1 - accuracy) / n, 1 / n**2) ** 0.5
    over = 0.0 if confidence is None else confidence - accuracy
    if confidence is not None and over > max(_TOO_SURE, _ERRORS * error):
        text = (
            "The teacher is sure beyond what it is right: its mean confidence is "
            f"{confidence:.3f} on {n} test rows, its accuracy {accuracy:.3f}, as of "
            f"one that knows some of them by heart. {_REMEDY}"
        )
        return [Finding("too-sure", text)]
    return []


def predict_with_teacher(
    settings: Any, teacher: Any, classes: np.ndarray, X: Any
) -> tuple[np.ndarray, Teacher]:
    """Return the logits of a student's teacher for test rows, and its adapter.

    Parameters
    ----------
    settings : DistilledClassifier
        Whose parameters say how the teacher is asked.
    teacher : object
        Its ``teacher_``.
    classes : ndarray of shape (n_classes,)
    X : array-like of n rows

    Returns
    -------
    logits : ndarray of shape (n, n_classes)
    adapter : Teacher
    """
    prefit = is_prefit(settings)
    transform = settings.teacher_transform if prefit else None
    adapter = as_teacher(settings.teacher if prefit else teacher, transform=transform)

    def compute(rows: Any) -> np.ndarray:
        return np.asarray(adapter.logits(rows, classes), dtype=np.float32)

    def forward(rows: Any) -> np.ndarray:
        return adapter.in_whole_batches(compute, rows)

    # Cached if these rows were trained on in another fold.
    memory = memory_of(settings) if prefit else False
    logits = lookup_or_compute(forward, adapter, classes, X, memory=memory)[0]
    return np.asarray(logits[np.arange(len(logits))]), adapter


def report_seen_rows(findings: list[Finding]) -> list[Finding]:
    """Warn of each finding, and return them."""
    for finding in findings:
        warn(str(finding), TeacherWarning)
    return findings
