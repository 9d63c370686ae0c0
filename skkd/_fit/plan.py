"""The plan of a fit: everything that can be checked before anything changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from skorch import NeuralNet

from skkd._data.frames import refuse_deferred
from skkd._data.inputs import InputFacts, check_inputs, read_inputs, refuse_iterables
from skkd._data.labels import (
    check_labels,
    encode_labels,
    find_classes,
    known_labels,
    labels_of,
)
from skkd._data.preprocessed import check_table, read_table
from skkd._data.weights import check_sample_weight, combine_weights
from skkd._fit.param_checks import check_parameters, has_folds
from skkd._fit.preprocess import check_views, choose_preprocessor
from skkd._fit.synthetic import check_synthetic
from skkd._fit.teacher_cv import check_fittable
from skkd._utils.modules import describe
from skkd.losses._registry import needs_of
from skkd.teachers import Finding, Teacher, as_teacher
from skkd.teachers._check_logits import check_logits
from skkd.teachers._transform import check_transform
from skkd.teachers.health._extra_classes import examine_extra_columns


@dataclass(frozen=True)
class FitPlan:
    """What a fit will train on, with which teacher and which loss.

    Attributes
    ----------
    X : array, mapping of arrays or dataset of n samples
        For the student.
    X_as_given : object
        As it was passed: what callbacks see, with names of columns.
    y : ndarray of shape (n,)
    y_encoded : ndarray of shape (n,), int64
        Column of each sample's class, -1 if it is unlabelled.
    classes : ndarray of shape (n_classes,)
        Sorted.
    facts : InputFacts or None
        None if the student is trained on.
    fresh : bool
        Whether the student is built anew.
    weight, sample_weight : ndarray of shape (n,) or None
        With and without ``class_weight``.
    groups : ndarray of shape (n,) or None
    loss : callable
        The teacher's term.
    needs : frozenset of {"logits", "features"}
        What is needed of the teacher; empty if it does not run.
    teacher : Teacher or None
        The prefit teacher, if it is to run.
    teacher_X : object
        The samples as the teacher wants them.
    teacher_logits : ndarray of shape (n, n_classes) or None
        In place of the teacher's.
    findings : list of Finding
        What is probably wrong with them.
    preprocessor : transformer or None
        Makes the student's numbers of X: not fitted yet, or that of an earlier fit.
    split : Split or None
        Which samples are for training, where that is known already.
    """

    X: Any
    X_as_given: Any
    y: np.ndarray
    y_encoded: np.ndarray
    classes: np.ndarray
    facts: InputFacts | None
    fresh: bool
    weight: np.ndarray | None
    sample_weight: np.ndarray | None
    groups: np.ndarray | None
    loss: Any
    needs: frozenset[str]
    teacher: Teacher | None
    teacher_X: Any
    teacher_logits: np.ndarray | None
    findings: list[Finding]
    preprocessor: Any = None
    split: Any = None

    @property
    def is_preprocessed(self) -> bool:
        """Whether X is what the preprocessor, if there is one, makes of it."""
        is_fitted = self.facts is not None and self.facts.preprocessor is not None
        return self.preprocessor is None or is_fitted

    @property
    def X_of_range(self) -> Any:
        """The samples whose range the net keeps, to tell others of another scale."""
        return self.X if self.preprocessor is None else self.X_as_given

    @property
    def labelled(self) -> np.ndarray:
        """Which samples have a label, bool of shape (n,)."""
        return self.y_encoded >= 0


def plan_fit(
    net: Any,
    X: Any,
    y: Any,
    *,
    fresh: bool,
    classes: Any = None,
    teacher_logits: Any = None,
    teacher_X: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
) -> FitPlan:
    """Check parameters, data and teacher; the net is not changed.

    Parameters
    ----------
    net : DistilledClassifier
    X, y, classes, teacher_logits, teacher_X, sample_weight, groups : object
        As passed to ``fit`` or ``partial_fit``.
    fresh : bool
        Whether the student is to be built anew.

    Returns
    -------
    FitPlan

    Raises
    ------
    ValueError, TypeError, NotFittedError
        If anything does not fit.
    """
    net.check_training_readiness()
    loss = check_parameters(net, teacher_logits, teacher_X)
    first, given = fresh or not hasattr(net, "classes_inferred_"), X
    preprocessor = net.preprocessor_
    refuse_iterables(X)  # a LazyFrame of polars warns when asked for columns
    if first and (hasattr(X, "columns") or net.preprocessor is not None):
        preprocessor = choose_preprocessor(net, X)
    elif first:
        preprocessor = None
    read, check = read_inputs, check_inputs
    if preprocessor is not None:
        read, check = read_table, check_table
    X, facts = read(net, X) if first else (check(net, X, to_train=True), None)
    if not hasattr(given, "columns"):
        given = X  # of an array only the names of columns are lost by now
    if hasattr(teacher_X, "collect"):
        refuse_deferred(teacher_X, "teacher_X")
    if hasattr(teacher_X, "tocsr"):  # rows are taken out of it
        teacher_X = teacher_X.tocsr()
    given_y = labels_of(X, y)
    y, labelled = check_labels(X, given_y, net.unlabeled)
    known = y if labelled.all() else known_labels(y, labelled, given_y)
    classes = _classes_of(net, known, classes, first=first)
    y_encoded = encode_labels(y, labelled, classes)
    weight = None
    if not (sample_weight is None and net.class_weight is None):
        sample_weight = check_sample_weight(sample_weight, y)
        weight = combine_weights(sample_weight, net.class_weight, y, labelled)
    needs = needs_of(loss)
    findings: list[Finding] = []
    if teacher_logits is not None:
        given_logits = teacher_logits
        teacher_logits = check_logits(given_logits, len(y), classes)
        if hasattr(given_logits, "columns"):
            findings += examine_extra_columns(given_logits, y_encoded, classes)
    if preprocessor is not None:
        check_views(net)
    if net.synthetic is not None:
        check_synthetic(net, teacher_logits, teacher_X)
    teacher = _check_teacher(net, needs, classes, teacher_logits, labelled)
    if not has_folds(net.teacher_cv):
        _check_order(net, teacher, teacher_logits)
    return FitPlan(
        X=X,
        X_as_given=given,
        y=y,
        y_encoded=y_encoded,
        classes=classes,
        facts=facts,
        fresh=fresh,
        weight=weight,
        sample_weight=sample_weight,
        groups=_check_groups(net, groups, y),
        loss=loss,
        needs=needs if net.alpha > 0 else frozenset(),
        teacher=teacher,
        teacher_X=given if teacher_X is None else teacher_X,
        teacher_logits=teacher_logits,
        findings=findings,
        preprocessor=preprocessor,
    )


def _classes_of(net: Any, known: np.ndarray, classes: Any, *, first: bool) -> Any:
    if first:
        declared = classes if net.classes is None else net.classes
        found = find_classes(known, declared)
    else:
        found = net.classes_
    if classes is not None and set(classes) != set(found.tolist()):
        raise ValueError(
            f"classes={list(classes)} differs from those that are known already, "
            f"{found.tolist()[:20]}. Leave it out, or fit anew."
        )
    return found


def _check_groups(net: Any, groups: Any, y: np.ndarray) -> np.ndarray | None:
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != y.shape:
        raise ValueError(
            f"groups has shape {groups.shape}, expected {y.shape}: one for each row of "
            "X."
        )
    cv = net.teacher_cv
    splits_teacher = net.teacher is not None and has_folds(cv)
    if not net.train_split and not splits_teacher:
        raise ValueError(
            "groups= keeps samples together in the folds of teacher_cv and in "
            f"train_split, and with teacher_cv={cv!r} and train_split=None nothing is "
            "split: leave it out."
        )
    return groups


def _check_order(net: Any, teacher: Teacher | None, teacher_logits: Any) -> None:
    """Refuse columns that go by position if classes were declared in another order."""
    declared = net.classes
    if declared is None or [*declared] == np.unique(declared).tolist():
        return
    by_position = teacher is not None and teacher.classes_ is None
    if by_position or teacher_logits is not None:
        raise ValueError(
            f"classes={[*declared]} is not sorted, as classes_ is, and columns of the "
            "teacher go by position: name them, as_teacher(model, classes=[...]), or "
            f"sort them and their names, classes={np.unique(declared).tolist()}."
        )


def _check_teacher(
    net: Any,
    needs: frozenset[str],
    classes: np.ndarray,
    teacher_logits: Any,
    labelled: np.ndarray,
) -> Teacher | None:
    """Raise if the teacher does not suit the loss; return a prefit one that runs."""
    teacher, cv, given = net.teacher, net.teacher_cv, teacher_logits is not None
    _check_transform(net)
    if not labelled.all() and not net._teaches_unlabeled(needs, given):
        raise ValueError(
            f"{int((~labelled).sum())} rows are marked as unlabelled, and only a "
            "teacher can teach these: pass teacher=, and a distillation= that needs "
            "it, or leave them out."
        )
    needs = needs - {"logits"} if given else needs
    if given and teacher is None and needs:
        raise ValueError(
            "teacher_logits says nothing of layers, which the loss compares: pass "
            "teacher=, a torch module or a skorch net, too."
        )
    if teacher is None or not needs:
        return None
    if not isinstance(cv, str):
        _check_unfitted(teacher, cv, needs)
        return None
    adapter = as_teacher(teacher, transform=net.teacher_transform)
    adapter = adapter.match_encoded(classes)
    adapter.check(classes)
    if "features" in needs:
        _ = adapter.network  # raises if there is none
    return adapter


def _check_transform(net: Any) -> None:
    if net.teacher_transform is None:
        return
    check_transform(net.teacher_transform)
    if not isinstance(net.teacher_cv, str):
        raise ValueError(
            f"teacher_transform={describe(net.teacher_transform)} makes the inputs of "
            f"a trained teacher, and with teacher_cv={net.teacher_cv!r} clones are "
            "fitted, to X as it is: make the transform a step of the teacher's own "
            "Pipeline, or pass teacher_cv='prefit'."
        )


def _check_unfitted(teacher: Any, cv: Any, needs: frozenset[str]) -> None:
    check_fittable(teacher, cv)
    if "features" in needs and cv is not None:
        raise ValueError(
            f"teacher_cv={cv!r} gives each fold its own teacher, and a loss on "
            "features follows the layers of one: use 'prefit' or None, or a loss on "
            "logits, such as distillation='kd'."
        )
    if "features" in needs and not isinstance(teacher, NeuralNet):
        raise TypeError(
            f"The teacher {describe(teacher)} has no layers to learn features from: of "
            "what can be fitted on the way, expected a skorch net."
        )
