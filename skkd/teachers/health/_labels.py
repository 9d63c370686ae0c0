"""Mistakes in a teacher that show when its outputs are compared with labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._torch import ModuleTeacher, SkorchTeacher
from skkd.teachers.health._evidence import (
    Evidence,
    evidence_of_decisions,
    evidence_of_ranks,
    find_permutation,
    is_less_accurate,
)
from skkd.teachers.health._finding import Finding, name_of
from skkd.teachers.health._networks import untrained_head
from skkd.teachers.health._shares import wrong_shares

# Gains of recall over chance, of 1 for a perfect teacher, that a teacher is found to
# lack. Of 300 simulated teachers with a gain of 0.2 and more, none was at "chance", for
# 50 to 1000 rows of 2 to 100 classes, also with priors of 99:1 or 40 % wrong labels. Of
# teachers of pure noise 4 % were on 50 rows, 33 to 88 % on 150, and 90 % on 1000.
_CHANCE_GAIN, _POOR_GAIN = 0.2, 0.3
# `wrong_shares` is asked where the decisions are poor, or poorer than the ranks. Of
# 3311 teachers (29 classifiers of scikit-learn on 24 data sets, asked about rows that
# a scaler, a factor of 3 to 255 or a normaliser had changed, which cost 20 points of
# accuracy or more) 90 % have a finding on up to 1000 rows, 81 % on 60; 44 and 36 % had
# one where decisions and ranks both had to be poor. Of the same 689 teachers on
# unchanged rows 20 have one: 17 decide for one class in three of four rows (an SVC with
# C=0.01, a logistic regression with C=0.0001), two are at chance.
_NOT_SIGNIFICANT = 1.65  # one-sided, 5 %
# A random head on good features is right for some clusters by luck.
_HEAD_GAIN = 1 / 3
_MANY_CLASSES = 100
_SCALE = (
    "This happens if the rows are on another scale than its training data, as behind a "
    "StandardScaler, or in 0..1 and not 0..255, and if its classes had other shares "
    "there. Pass the rows as it takes them: fit(X, y, teacher_X=...), of a Pipeline "
    "fit(X, y, STEP__teacher_X=X); or teacher_transform=, which turns the student's "
    "rows into these; or teach with make_pipeline(scaler, model), fitted."
)


def compare_with_labels(
    log_p: np.ndarray,
    y_encoded: np.ndarray,
    teacher: Teacher | None,
    classes: np.ndarray,
) -> Iterator[Finding]:
    """Compare log-probabilities with the labels: one finding at most."""
    if len(np.unique(y_encoded)) < 2:
        return
    decisions = log_p.argmax(axis=1)
    recall = evidence_of_decisions(decisions, y_encoded)
    ranks = evidence_of_ranks(log_p, y_encoded)
    seen = _figures(name_of(teacher), decisions, y_encoded)
    has_layers = isinstance(teacher, (ModuleTeacher, SkorchTeacher))
    head = untrained_head(teacher.network) if has_layers else None  # type: ignore[union-attr]
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
            f"{seen} Expected more than that. Check that X is prepared as "
            "its training data were, or take a lower alpha."
        )
        yield Finding("below-majority", text)
    else:
        shares = wrong_shares(
            log_p,
            y_encoded,
            classes,
            is_poor=recall.is_below(_POOR_GAIN),
            ranks_better=ranks.gain - recall.gain,
            scores=teacher is not None and teacher.gives_scores,
        )
        if shares is not None:
            yield Finding("one-sided", f"{seen} {shares} {_SCALE}")


def _is_chance(evidence: Evidence) -> bool:
    return evidence.z < _NOT_SIGNIFICANT and evidence.is_below(_CHANCE_GAIN)


def _figures(who: str, decisions: np.ndarray, y_encoded: np.ndarray) -> str:
    present, counts = np.unique(y_encoded, return_counts=True)
    right = decisions == y_encoded
    recalls = [right[y_encoded == c].mean() for c in present]
    return (
        f"{who} has an accuracy of {right.mean():.3g} on {len(right)} labelled rows; "
        f"predicting the most frequent class has {counts.max() / len(right):.3g}. Its "
        f"mean recall over {len(present)} classes is {np.mean(recalls):.3g}; chance is "
        f"{1 / len(present):.3g}."
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
