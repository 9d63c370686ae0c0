"""What all recipes have in common: they train students and predict as one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state

from skkd._estimator.classifier import DistilledClassifier
from skkd._estimator.student_predictions import PredictsAsStudentMixin
from skkd.losses._registry import loss_of, needs_of

# What is meant for ``estimator.teacher``, as it is for another teacher, or for none.
FOR_ANOTHER_TEACHER = {
    "teacher_cv": "prefit",
    "teacher_calibration": None,
    "teacher_transform": None,
}
# Parameters that a recipe sets itself.
_TAKEN = ("teacher", *FOR_ANOTHER_TEACHER, "random_state")


class Recipe(
    PredictsAsStudentMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """Base of the recipes: trains clones of `estimator`, predicts as `student_`.

    A subclass defines `_fit_members`, which sets ``student_``.
    """

    estimator: DistilledClassifier
    student_: DistilledClassifier

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        teacher_logits: ArrayLike | None = None,
        teacher_X: Any = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Any:
        """Train all students.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in :meth:`skkd.DistilledClassifier.fit`.
        y : array-like of shape (n_samples,), default=None
            Labels; a label equal to the estimator's ``unlabeled`` means none.
        teacher_logits : array-like of shape (n_samples, n_classes), default=None
            Replace the logits of ``estimator.teacher``, for the students of this
            teacher.
        teacher_X : array-like of shape (n_samples, ...), default=None
            The same samples in the form that ``estimator.teacher`` expects.
        sample_weight : array-like of shape (n_samples,), default=None
            Used for every student.
        **fit_params
            Passed to the ``fit`` of every student.

        Returns
        -------
        Recipe
            The recipe itself.

        Raises
        ------
        TypeError
            If ``estimator`` is not a DistilledClassifier.
        ValueError
            If a parameter is out of range, or a student refuses the data.
        """
        check_estimator(self.estimator)
        given = {"teacher_logits": teacher_logits, "teacher_X": teacher_X}
        teacher_data = {name: v for name, v in given.items() if v is not None}
        fit_params = {"sample_weight": sample_weight, **fit_params}
        self._fit_members(X, y, teacher_data, fit_params)
        return self

    def _fit_members(
        self, X: Any, y: Any, teacher_data: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        """Train the students; `teacher_data` is for ``estimator.teacher`` alone."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define _fit_members(X, y, teacher_data, "
            "fit_params), which sets student_."
        )

    def _members(self, settings: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return a clone of the estimator for each of the settings.

        Their seeds are drawn from the estimator's: one ``random_state`` makes a recipe
        repeatable, and no two students start from the same weights.
        """
        _check_templates(self.estimator, settings)
        seeds: list[Any] = [None] * len(settings)
        if self.estimator.random_state is not None:
            rng = check_random_state(self.estimator.random_state)
            seeds = rng.randint(2**31 - 1, size=len(seeds)).tolist()
        return [
            clone(self.estimator).set_params(**params, random_state=own)
            for params, own in zip(settings, seeds, strict=True)
        ]


def mean_proba(students: Sequence[Any], X: Any) -> np.ndarray:
    """Return the mean of the students' probabilities, (n, n_classes)."""
    return np.mean([student.predict_proba(X) for student in students], axis=0)


def with_teacher(student: DistilledClassifier, teacher: Any) -> DistilledClassifier:
    """Set a teacher that the recipe trained, on the same X."""
    return student.set_params(teacher=teacher, **FOR_ANOTHER_TEACHER)


def fit_chain(
    members: Sequence[Any],
    X: Any,
    y: Any,
    teacher_data: dict[str, Any],
    fit_params: Any,
) -> list[Any]:
    """Train each member with the one before as its teacher; return the fitted ones."""
    first, *others = members
    chain = [first.fit(X, y, **teacher_data, **fit_params)]
    for member in others:
        chain.append(with_teacher(member, chain[-1]).fit(X, y, **fit_params))
    return chain


def check_uses_teacher(student: DistilledClassifier) -> frozenset[str]:
    """Return what a student's loss needs from a teacher; raise if that is nothing."""
    needs = needs_of(loss_of(student))
    if not needs:
        raise ValueError(
            f"distillation={student.distillation!r} needs no teacher, so in this "
            "recipe no student would learn from another: use a loss that needs a "
            "teacher, such as 'kd', or a DistilledClassifier alone."
        )
    return needs


def check_estimator(estimator: Any) -> None:
    """Raise if a recipe cannot train `estimator`."""
    if isinstance(estimator, DistilledClassifier):
        return
    remedy = ""
    if hasattr(estimator, "steps"):
        remedy = (
            " Put the recipe at the end of the pipeline, around its last step: "
            "make_pipeline(ImageReader(64), BornAgain(DistilledClassifier()))."
        )
    raise TypeError(
        f"estimator is a {type(estimator).__name__}, expected a DistilledClassifier."
        f"{remedy}"
    )


def check_settings(name: str, settings: Any) -> None:
    """Raise unless `settings` is a list of dicts of parameters of the estimator."""
    rule = (
        "expected a list of dicts, each with the parameters of one student that "
        "differ from the estimator's, such as [{'module__hidden': 64}]"
    )
    if not isinstance(settings, (list, tuple)):
        raise TypeError(f"{name}={settings!r}: {rule}.")
    for params in settings:
        if not isinstance(params, Mapping):
            raise TypeError(f"{name} holds a {type(params).__name__}: {rule}.")
        wrong = sorted(key for key in params if key.partition("__")[0] in _TAKEN)
        if wrong:
            raise ValueError(
                f"{name} sets {', '.join(wrong)}, which the recipe does by itself: "
                "leave it out, or set it on the estimator."
            )


def _check_templates(
    estimator: DistilledClassifier, settings: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse members that would all be copies of one network and its weights."""
    is_template = isinstance(estimator.module, torch.nn.Module)
    if not is_template or estimator.get_params_for("module"):
        return
    alike = [s for s in settings if not any(k.startswith("module") for k in s)]
    if len(alike) > 1:
        raise ValueError(
            f"module is a {type(estimator.module).__name__}, an instance, and "
            f"{len(alike)} students would all start from its weights. Pass the class, "
            "or a function that builds it: module=MLP, module__hidden=64."
        )
