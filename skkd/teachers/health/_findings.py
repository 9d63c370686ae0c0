"""Mistakes in a teacher that show in its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.utils import check_random_state

from skkd._utils.warn import warn
from skkd.exceptions import TeacherWarning
from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._torch import ModuleTeacher
from skkd.teachers._transform import TransformedTeacher
from skkd.teachers.health._finding import Finding, name_of
from skkd.teachers.health._labels import compare_with_labels
from skkd.teachers.health._networks import layers_in_train_mode

# Fewer labels prove nothing against a teacher.
_MIN_ROWS = 30
# Right on nearly all rows, and sure: two thirds of a forest's trees know a row, and the
# mean probability of the labels of its own rows is about 0.9.
_RIGHT, _SURE, _MIN_SURE = 0.998, 0.85, 100
# A fiftieth of the 10 % that label smoothing usually spreads over the other classes. A
# tree leaves 0.0001 for each other class at temperature 4; seven healthy classifiers
# of scikit-learn left 0.04 to 0.75 on the rows of iris, digits, wine and breast cancer
# that they were fitted on.
_SOFT_ENOUGH = 0.002


def examine(
    logits: np.ndarray,
    y_encoded: np.ndarray,
    *,
    teacher: Teacher | None = None,
    kind: str | None = None,
    temperature: float | None = None,
    classes: Any,
    out_of_fold: bool = False,
) -> list[Finding]:
    """Look for mistakes in the logits of a teacher.

    `y_encoded` is -1 for unlabelled samples; `teacher` None if logits were passed in
    its place; `kind` what the logits were made of, by default the teacher's output
    kind; `temperature` None if the loss uses no soft targets; `out_of_fold` whether
    the logits of a sample come from a teacher that was not fitted to it.
    """
    logits, classes = np.asarray(logits, dtype=np.float64), np.asarray(classes)
    kind = kind or ("logits" if teacher is None else teacher.output_kind())
    teacher = _inner(teacher)
    findings = list(_of_mode(teacher))
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        text = (
            f"{name_of(teacher)} gives outputs that are not finite in "
            f"{int((~finite).sum())} of {len(logits)} rows: expected numbers. Look for "
            "a division by zero, an overflow of half precision or missing values."
        )
        return [*findings, Finding("non-finite", text)]
    if logits.shape[1] < 2:
        return findings
    log_p = log_softmax(logits, axis=1)
    declared = list(_of_declaration(logits, kind, teacher))
    findings += declared
    if _is_constant(log_p):
        text = (
            f"{name_of(teacher)} gives the same outputs for all of {len(logits)} rows: "
            "expected outputs that depend on the row. Check that it is the trained "
            "one, and that X is on the scale of its training data."
        )
        return [*findings, Finding("constant-output", text)]
    known = y_encoded >= 0
    log_p, y_encoded = log_p[known], y_encoded[known]
    if len(y_encoded) >= _MIN_ROWS and not _is_right(log_p, y_encoded):
        findings += compare_with_labels(log_p, y_encoded, teacher, classes)
    if temperature is not None and not declared and len(logits) >= _MIN_ROWS:
        if teacher is not None and teacher.gives_scores:
            temperature = 1.0  # they have no scale before a fit
        text = _lack_of_softness(logits, temperature, teacher)
        if text:
            findings.append(Finding("saturated", text + _SOFTEN[out_of_fold]))
    return findings


def is_sure_and_right(logits: np.ndarray, y_encoded: np.ndarray) -> bool:
    """Tell whether a teacher is right on nearly all labelled rows, and sure of it."""
    known = y_encoded >= 0
    logits, y = logits[known], y_encoded[known]
    if len(y) < _MIN_SURE or (logits.argmax(axis=1) == y).mean() < _RIGHT:
        return False
    return bool(softmax(logits, axis=1)[np.arange(len(y)), y].mean() >= _SURE)


def _is_right(log_p: np.ndarray, y_encoded: np.ndarray) -> bool:
    """Tell whether the decisions alone show that the labels give no finding.

    If three of four rows of each class are right, the gain of the mean recall over
    chance is half of what is possible or more (the highest bound in `_labels` is 1/3),
    and in each half of a class's rows at least half are right, so that no other order
    of the columns wins.
    """
    right = y_encoded[log_p.argmax(axis=1) == y_encoded]
    n_rows = np.bincount(y_encoded, minlength=log_p.shape[1])
    n_right = np.bincount(right, minlength=log_p.shape[1])
    return bool((4 * n_right >= 3 * n_rows).all())


def sample_rows(
    y_encoded: np.ndarray, n_samples: int, random_state: Any = 0
) -> np.ndarray:
    """Return the indices of at most `n_samples` rows, each class with its share."""
    if len(y_encoded) <= n_samples:
        return np.arange(len(y_encoded))
    shuffled = check_random_state(random_state).permutation(len(y_encoded))
    by_class = shuffled[np.argsort(y_encoded[shuffled], kind="stable")]
    return np.sort(by_class[np.arange(n_samples) * len(y_encoded) // n_samples])


def report(findings: list[Finding], *, strict: bool) -> None:
    """Warn of each finding, or raise all of them together."""
    if findings and strict:
        raise ValueError("\n".join(map(str, findings)))
    for finding in findings:
        warn(str(finding), TeacherWarning)


def _inner(teacher: Any) -> Any:
    """Return the teacher without its transform."""
    return teacher.teacher if isinstance(teacher, TransformedTeacher) else teacher


def _of_mode(teacher: Teacher | None) -> Iterator[Finding]:
    teacher = _inner(teacher)
    if isinstance(teacher, EnsembleTeacher):
        for member in teacher.model:
            yield from _of_mode(member)
    if not isinstance(teacher, ModuleTeacher):
        return
    layers = layers_in_train_mode(teacher.network)
    if layers:
        text = (
            f"{name_of(teacher)} is in train mode and has {', '.join(layers)}. It "
            "predicts in eval mode and is put back afterwards; an accuracy that was "
            "measured in train mode is not that of its soft targets. Call model.eval()."
        )
        yield Finding("train-mode", text)


def _of_declaration(
    logits: np.ndarray, kind: str, teacher: Teacher | None
) -> Iterator[Finding]:
    """Compare the outputs with what they are declared as."""
    n = len(logits)
    if kind == "logits":
        sums = logits.sum(axis=1)
        if n > 1 and logits.min() >= 0 and np.abs(sums - 1).max() < 1e-3:
            remedy = "Say so: as_teacher(model, output='proba')."
            if teacher is None:
                remedy = "Pass np.log(np.clip(p, 1e-7, 1))."
            text = (
                f"{name_of(teacher)} should give logits, and its outputs in all of {n} "
                "rows are not negative and sum to 1: these are probabilities, and a "
                f"softmax of them is almost uniform. {remedy}"
            )
            yield Finding("probabilities-as-logits", text)
        return
    sums = np.exp(logits).sum(axis=1)
    wrong = np.abs(sums - 1) > 0.01
    if wrong.mean() > 0.01:
        text = (
            f"{name_of(teacher)} should give {kind}, and in {int(wrong.sum())} of {n} "
            "rows its probabilities do not sum to 1, but to "
            f"{sums.min():.3g} to {sums.max():.3g}. Sigmoids are no distribution over "
            "classes: give the logits before them, as_teacher(model, output='logits')."
        )
        yield Finding("not-probabilities", text)


def _is_constant(log_p: np.ndarray) -> bool:
    spread = np.ptp(log_p, axis=0).max(initial=0.0)
    return len(log_p) >= 10 and bool(spread <= 1e-6 * (1 + np.abs(log_p).max()))


# By whether a sample's targets are out of fold already.
_SOFTEN = {
    False: "If these rows were its training data, take soft targets from clones that "
    "did not see them: teacher_cv=5. Or use a higher temperature, or only the "
    "decisions: distillation='hard'.",
    True: "These are of clones that did not see the row: use a higher temperature, a "
    "teacher that is less sure, or only the decisions: distillation='hard'.",
}


def _lack_of_softness(
    logits: np.ndarray, temperature: float, teacher: Teacher | None
) -> str:
    """Say how much more than decisions the targets tell, or nothing if it is enough."""
    n = len(logits)
    log_p = np.sort(log_softmax(logits, axis=1), axis=1)
    others = log_p[:, :-1]  # no class but the decision differs from another
    if max(np.ptp(others), np.ptp(log_p[:, -1])) <= 1e-4 * (1 + np.abs(log_p).max()):
        return (
            f"{name_of(teacher)} gives its decision in each of {n} rows and no more: "
            "the outputs of all other classes are the same. Expected soft targets. "
        )
    left = float(1 - softmax(logits / temperature, axis=1).max(axis=1).mean())
    # At temperature 1 the targets are as soft as the teacher is.
    if temperature > 1 and left < _SOFT_ENOUGH:
        return (
            f"{name_of(teacher)} leaves {left:.2g} of the probability to other classes "
            f"than its decision at temperature {temperature:g}, mean of {n} rows: "
            f"expected {_SOFT_ENOUGH} or more to learn more than decisions. "
        )
    return ""
