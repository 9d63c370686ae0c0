"""What may be wrong with a teacher, and how it shows in its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._sklearn import METHODS, SklearnTeacher
from skkd.teachers._torch import ModuleTeacher, SkorchTeacher
from skkd.teachers._transform import TransformedTeacher
from skkd.teachers.health._evidence import (
    Evidence,
    evidence_of_decisions,
    evidence_of_ranks,
    find_permutation,
    is_less_accurate,
)
from skkd.teachers.health._networks import layers_in_train_mode, untrained_head

# Fewer labels prove nothing against a teacher.
_MIN_ROWS = 30
# Gains of recall over chance, on a scale where 1 is a perfect teacher, that a teacher
# is found to lack. Of simulated teachers with a gain of 0.2 and more, none of 300 was
# at "chance", for 50 to 1000 rows of 2 to 100 classes, also with priors of 99:1 or with
# 40 % wrong labels. Of those of pure noise 4 % were on 50 rows, 33 % to 88 % on 150,
# and about 90 % on 1000 rows of balanced classes.
_CHANCE_GAIN, _POOR_GAIN = 0.2, 0.3
_NOT_SIGNIFICANT = 1.65  # one-sided, 5 %
# A random head on good features is right for the clusters that luck gave it.
_HEAD_GAIN = 1 / 3
# A fiftieth of the 10 % that label smoothing usually spreads over the other classes. A
# tree leaves 0.0001 for each other class at temperature 4; seven healthy classifiers
# of scikit-learn left 0.04 to 0.75 on the rows of iris, digits, wine and breast cancer
# that they were fitted on.
_SOFT_ENOUGH = 0.002
_MANY_CLASSES = 100


class Finding(NamedTuple):
    """Something about a teacher that is probably not meant.

    Attributes
    ----------
    code : str
        Names the kind of finding and never changes, for instance ``"chance-level"``.
    message : str
        What was seen, what was expected, and what to do.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


def examine(
    logits: np.ndarray,
    y_encoded: np.ndarray,
    *,
    teacher: Teacher | None = None,
    kind: str = "logits",
    temperature: float | None = None,
    classes: Any,
) -> list[Finding]:
    """Look for mistakes in logits that are at hand.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
    y_encoded : int ndarray of shape (n,)
        Column of each row's class, -1 for unlabelled rows.
    teacher : Teacher, default=None
        Who said it. None: the logits were passed in place of a teacher.
    kind : {"logits", "proba", "log_proba"}, default="logits"
        What the teacher gave before it became logits.
    temperature : float, default=None
        None asks for nothing soft.
    classes : array-like of shape (n_classes,)
        Labels of the columns.

    Returns
    -------
    list of Finding
    """
    logits, classes = np.asarray(logits, dtype=np.float64), np.asarray(classes)
    teacher = _inner(teacher)
    who = _name(teacher)
    findings = list(_of_mode(teacher))
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        text = (
            f"{who} gives outputs that are not finite in {int((~finite).sum())} of "
            f"{len(logits)} rows: expected numbers. Look for a division by zero, an "
            "overflow of half precision or missing values in these rows."
        )
        return [*findings, Finding("non-finite", text)]
    if logits.shape[1] < 2:  # there is nothing to tell apart
        return findings
    log_p = log_softmax(logits, axis=1)
    declared = [*_of_declaration(logits, kind, who, teacher)]
    findings += declared
    if _is_constant(log_p):
        text = (
            f"{who} gives the same outputs for all of {len(logits)} rows: expected "
            "outputs that depend on the row. Check that it is the trained one, and "
            "that X is on the scale of its training data."
        )
        return [*findings, Finding("constant-output", text)]
    findings += _of_labels(log_p, y_encoded, who, teacher, classes)
    if temperature is not None and not declared:
        findings += _of_softness(logits, temperature, who)
    return findings


def kind_of(teacher: Teacher) -> str:
    """Return which of `output` the teacher gives."""
    teacher = _inner(teacher)
    if isinstance(teacher, SklearnTeacher):
        return METHODS[teacher._method()]
    if isinstance(teacher, SkorchTeacher):
        return teacher._kind()
    if isinstance(teacher, EnsembleTeacher):
        return "logits" if teacher.average == "logits" else "log_proba"
    return "logits" if teacher.output == "auto" else teacher.output


def _inner(teacher: Any) -> Any:
    """Return what is asked about transformed rows, where there is a transform."""
    return teacher.teacher if isinstance(teacher, TransformedTeacher) else teacher


def _name(teacher: Teacher | None) -> str:
    if teacher is None:
        return "What was passed as teacher_logits"
    if isinstance(teacher, EnsembleTeacher):
        some = ", ".join(member.described for member in teacher.model[:3])
        return f"The teacher of {len(teacher.model)} members, such as [{some}],"
    return f"The teacher {teacher.described}"


def _of_mode(teacher: Teacher | None) -> Iterator[Finding]:
    teacher = _inner(teacher)
    if isinstance(teacher, EnsembleTeacher):
        for member in teacher.model:
            yield from _of_mode(member)
    if not isinstance(teacher, ModuleTeacher):
        return
    layers = layers_in_train_mode(teacher.model)
    if layers:
        text = (
            f"{_name(teacher)} is in train mode and has {', '.join(layers)}. It is "
            "asked in eval mode and put back; figures of its accuracy that were taken "
            "in train mode are not those of what it teaches. Call model.eval()."
        )
        yield Finding("train-mode", text)


def _of_declaration(
    logits: np.ndarray, kind: str, who: str, teacher: Teacher | None
) -> Iterator[Finding]:
    """Compare the outputs with what they were said to be."""
    n = len(logits)
    if kind == "logits":
        sums = logits.sum(axis=1)
        if n > 1 and logits.min() >= 0 and np.abs(sums - 1).max() < 1e-3:
            remedy = "Say so: as_teacher(model, output='proba')."
            if teacher is None:
                remedy = "Pass np.log(np.clip(p, 1e-7, 1))."
            text = (
                f"{who} is taken for logits, and in all of {n} rows it is not negative "
                "and sums to 1: these are probabilities, and a softmax of them is "
                f"almost uniform. {remedy}"
            )
            yield Finding("probabilities-as-logits", text)
        return
    sums = np.exp(logits).sum(axis=1)
    wrong = np.abs(sums - 1) > 0.01
    if wrong.mean() > 0.01:
        text = (
            f"{who} is taken for one that gives {kind}, and in {int(wrong.sum())} of "
            f"{n} rows its probabilities do not sum to 1, but to {sums.min():.3g} to "
            f"{sums.max():.3g}. Sigmoids are no distribution over classes: give the "
            "logits before them, as_teacher(model, output='logits')."
        )
        yield Finding("not-probabilities", text)


def _is_constant(log_p: np.ndarray) -> bool:
    spread = np.ptp(log_p, axis=0).max(initial=0.0)
    return len(log_p) >= 10 and bool(spread <= 1e-6 * (1 + np.abs(log_p).max()))


def _of_softness(logits: np.ndarray, temperature: float, who: str) -> Iterator[Finding]:
    n = len(logits)
    if n < _MIN_ROWS:
        return
    remedy = (
        "If these rows were its training data, let clones teach the rows that they did "
        "not see: teacher_cv=5. Or soften more by a higher temperature, or teach the "
        "decisions by name: distillation='hard'."
    )
    log_p = np.sort(log_softmax(logits, axis=1), axis=1)
    others = log_p[:, :-1]  # of no row any class is nearer than another
    if max(np.ptp(others), np.ptp(log_p[:, -1])) <= 1e-4 * (1 + np.abs(log_p).max()):
        text = (
            f"{who} gives its decision in each of {n} rows and nothing else: the "
            "outputs of all other classes are the same. Expected soft targets. "
        )
        yield Finding("saturated", text + remedy)
        return
    left = float(1 - softmax(logits / temperature, axis=1).max(axis=1).mean())
    # Who leaves the temperature at 1 does not ask for softer targets.
    if temperature > 1 and left < _SOFT_ENOUGH:
        text = (
            f"At temperature {temperature:g}, {who[0].lower()}{who[1:]} leaves "
            f"{left:.2g} of the probability to other classes than its decision, mean "
            f"of {n} rows: expected {_SOFT_ENOUGH} or more, below which it teaches "
            "decisions only. "
        )
        yield Finding("saturated", text + remedy)


def _of_labels(
    log_p: np.ndarray,
    y_encoded: np.ndarray,
    who: str,
    teacher: Teacher | None,
    classes: np.ndarray,
) -> Iterator[Finding]:
    """Compare the outputs with the labels: one finding at most."""
    known = y_encoded >= 0
    log_p, y_encoded = log_p[known], y_encoded[known]
    if len(y_encoded) < _MIN_ROWS or len(np.unique(y_encoded)) < 2:
        return
    decisions = log_p.argmax(axis=1)
    recall = evidence_of_decisions(decisions, y_encoded)
    ranks = evidence_of_ranks(log_p, y_encoded)
    seen = _figures(who, decisions, y_encoded)
    head = _untrained_head(teacher)
    if head is not None and recall.is_below(_HEAD_GAIN):
        text = (
            f"{seen} The weights of its last linear layer are {head}: it was never "
            "trained. Train it, or load its weights; heads of another number of "
            "classes are left out by strict=False and ignore_mismatched_sizes."
        )
        yield Finding("random-head", text)
        return
    order = find_permutation(decisions, y_encoded, len(classes))
    if order is not None:
        better = float((order[decisions] == y_encoded).mean())
        text = f"{seen} With its columns in another order it would be {better:.3g}. "
        yield Finding("permuted-classes", text + _remedy(order, teacher, classes))
    elif _is_chance(recall) and _is_chance(ranks):
        text = (
            f"{seen} That is no better than chance. Check that it is the trained one, "
            "that X is prepared as its training data were, and that the rows of X and "
            "of y belong together."
        )
        yield Finding("chance-level", text)
    elif (
        recall.is_below(_POOR_GAIN)
        and ranks.is_below(_POOR_GAIN)
        and is_less_accurate(decisions, y_encoded)
    ):
        text = (
            f"{seen} Expected more than of that answer. Check that X is prepared as "
            "its training data were, or take a lower alpha."
        )
        yield Finding("below-majority", text)


def _is_chance(evidence: Evidence) -> bool:
    return evidence.z < _NOT_SIGNIFICANT and evidence.is_below(_CHANCE_GAIN)


def _figures(who: str, decisions: np.ndarray, y_encoded: np.ndarray) -> str:
    present, counts = np.unique(y_encoded, return_counts=True)
    right = decisions == y_encoded
    recalls = [right[y_encoded == c].mean() for c in present]
    return (
        f"{who} has an accuracy of {right.mean():.3g} on {len(right)} labelled rows; "
        f"always answering the most frequent class has {counts.max() / len(right):.3g}."
        f" Its mean recall over {len(present)} classes is {np.mean(recalls):.3g}; "
        f"chance is {1 / len(present):.3g}."
    )


def _untrained_head(teacher: Teacher | None) -> str | None:
    if isinstance(teacher, ModuleTeacher):
        return untrained_head(teacher.model)
    return (
        untrained_head(teacher.model.module_)
        if isinstance(teacher, SkorchTeacher)
        else None
    )


def _remedy(order: np.ndarray, teacher: Teacher | None, classes: np.ndarray) -> str:
    """Say how to name the columns, given the class that each column stands for."""
    if teacher is None:
        columns = _brief(np.argsort(order).tolist())
        return f"Reorder them: teacher_logits[:, {columns}]."
    if isinstance(teacher, EnsembleTeacher):
        return "Find the member by check_health([...], X, y), and name its columns."
    labels = classes.tolist()
    meant = {labels[i]: labels[j] for i, j in enumerate(order.tolist())}
    known = teacher.classes_
    columns = labels if known is None else known.tolist()
    names = _brief([meant.get(label, label) for label in columns])
    return (
        f"Name its columns, as_teacher(model, classes={names}), where model is "
        f"{teacher.described} itself; if that is not what they stand for, it has "
        "learnt other labels."
    )


def _brief(values: list[Any]) -> str:
    return repr(values if len(values) <= _MANY_CLASSES else [*values[:20], ...])
