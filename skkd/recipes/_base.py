"""What every recipe has in common: it is the classifier that its last student is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skkd._data.labels import labelled_accuracy
from skkd._estimator.classifier import DistilledClassifier
from skkd.losses._registry import loss_of, needs_of

# What a recipe decides by itself.
_TAKEN = ("teacher", "teacher_cv", "teacher_transform", "random_state")


class Recipe(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of the recipes: trains clones of `estimator`, predicts as `student_`.

    A recipe of your own defines `_fit_members`, which sets ``student_``.
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
        X : array-like of n rows
            As :meth:`skkd.DistilledClassifier.fit` takes them.
        y : array-like of shape (n,), default=None
            Labels; rows equal to the estimator's ``unlabeled`` have none.
        teacher_logits : array-like of shape (n, n_classes), default=None
            In place of ``estimator.teacher``; for those students that it would teach.
        teacher_X : array-like of n rows, default=None
            The rows as ``estimator.teacher`` wants them; for the same students.
        sample_weight : array-like of shape (n,), default=None
            For every student.
        **fit_params
            Passed to the ``fit`` of every student.

        Returns
        -------
        Recipe
            The recipe itself.

        Raises
        ------
        TypeError
            If ``estimator`` is no DistilledClassifier.
        ValueError
            If a parameter is out of its range, or the students' data do not fit.
        """
        check_estimator(self.estimator)
        about = {"teacher_logits": teacher_logits, "teacher_X": teacher_X}
        given = {name: value for name, value in about.items() if value is not None}
        self._fit_members(X, y, given, {"sample_weight": sample_weight, **fit_params})
        return self

    def _fit_members(
        self, X: Any, y: Any, given: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        """Train the students; `given` is about the teacher that the user passed."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define _fit_members(X, y, given, "
            "fit_params), which sets student_."
        )

    def _members(self, settings: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return a clone of the estimator for each of the settings, each of its own.

        Their seeds are drawn from the estimator's, so that one number makes all of a
        recipe repeatable, and no two students begin alike.
        """
        _check_templates(self.estimator, settings)
        seed: Any = self.estimator.random_state
        seeds: list[Any] = [None] * len(settings)
        if seed is not None:
            seeds = (
                check_random_state(seed).randint(2**31 - 1, size=len(seeds)).tolist()
            )
        return [
            clone(self.estimator).set_params(**given, random_state=own)
            for given, own in zip(settings, seeds, strict=True)
        ]

    # As a classifier ----------------------------------------------------------

    @property
    def classes_(self) -> np.ndarray:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.student_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features, or of channels of images."""
        return self.student_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, where X had any."""
        return self.student_.feature_names_in_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of n rows

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self, "student_")
        return self.student_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label.

        Parameters
        ----------
        X : array-like of n rows

        Returns
        -------
        ndarray of shape (n,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy over the labelled rows.

        Parameters
        ----------
        X : array-like of n rows
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        unlabeled = self.estimator.unlabeled
        return labelled_accuracy(self.predict, X, y, unlabeled, sample_weight)


def mean_proba(students: Sequence[Any], X: Any) -> np.ndarray:
    """Return the mean of the students' probabilities, (n, n_classes)."""
    return np.mean([student.predict_proba(X) for student in students], axis=0)


def taught_by(student: DistilledClassifier, teacher: Any) -> DistilledClassifier:
    """Give `student` a teacher that the recipe trained, on the very rows of `fit`.

    What is set for the outside teacher, folds and a form of its inputs, is not for it.
    """
    return student.set_params(
        teacher=teacher, teacher_cv="prefit", teacher_transform=None
    )


def fit_chain(
    members: Sequence[Any], X: Any, y: Any, given: dict[str, Any], fit_params: Any
) -> list[Any]:
    """Train each member by the one before; `given` is for the first alone."""
    first, *others = members
    chain = [first.fit(X, y, **given, **fit_params)]
    for member in others:
        chain.append(taught_by(member, chain[-1]).fit(X, y, **fit_params))
    return chain


def check_asks(student: DistilledClassifier) -> frozenset[str]:
    """Return what the loss of a student needs of a teacher; raise if it is nothing."""
    needs = needs_of(loss_of(student))
    if not needs:
        raise ValueError(
            f"distillation={student.distillation!r} asks no teacher, so that nobody "
            "would teach another in this recipe: use a loss that asks one, such as "
            "'kd', or a DistilledClassifier alone."
        )
    return needs


def check_estimator(estimator: Any) -> None:
    """Raise where `estimator` is nothing that a recipe can train."""
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


def check_settings(name: str, settings: Any, taken: Sequence[str] = _TAKEN) -> None:
    """Raise where `settings` is no list of parameters of the estimator."""
    rule = (
        "expected a list of dicts, each with what sets this member apart from the "
        "estimator, as [{'module__hidden': 64}]"
    )
    if not isinstance(settings, (list, tuple)):
        raise TypeError(f"{name}={settings!r}: {rule}.")
    for given in settings:
        if not isinstance(given, Mapping):
            raise TypeError(f"{name} holds a {type(given).__name__}: {rule}.")
        wrong = sorted(name for name in given if name.partition("__")[0] in taken)
        if wrong:
            raise ValueError(
                f"{name} sets {', '.join(wrong)}, which the recipe does by itself: "
                "leave it out, or set it on the estimator."
            )


def _check_templates(
    estimator: DistilledClassifier, settings: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse members that would all be copies of one network, weights and all."""
    is_template = isinstance(estimator.module, torch.nn.Module)
    if not is_template or estimator.get_params_for("module"):
        return
    alike = [s for s in settings if not any(k.startswith("module") for k in s)]
    if len(alike) > 1:
        raise ValueError(
            f"module is a {type(estimator.module).__name__}, an instance, and "
            f"{len(alike)} students would start from its weights, all the same. Pass "
            "the class, or a function that builds it: module=MLP, module__hidden=64."
        )
