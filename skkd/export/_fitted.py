"""What was passed to be exported: a student, alone or at the end of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from skkd._estimator.skorch_classifier import SkorchClassifier
from skkd._estimator.student_predictions import PredictsAsStudentMixin
from skkd._evaluate.parts import unwrapped
from skkd._utils.modules import describe
from skkd.images import ImageReader


@dataclass(frozen=True)
class Fitted:
    """A fitted student and what stands before it.

    Attributes
    ----------
    estimator : object
        Takes X as the user has it: the pipeline, or the student.
    net : DistilledClassifier
        The student.
    reader : ImageReader or None
        The first step, if it reads images.
    steps : tuple of (str, transformer)
        The steps between, the student's own preprocessor the last of them.
    names : tuple of str
        Names of all steps, the student last.
    """

    estimator: Any
    net: Any
    reader: ImageReader | None
    steps: tuple[tuple[str, Any], ...]
    names: tuple[str, ...]

    def before_net(self, X: Any) -> Any:
        """Return what the student's `predict_proba` gets, X with images read."""
        for _, step in self.steps:
            if step is not getattr(self.net, "preprocessor_", None):
                X = step.transform(X)
        return X


def read_fitted(fitted: Any) -> Fitted:
    """Return the parts of a fitted student or pipeline.

    Raises
    ------
    NotFittedError
        If the student has not been fitted.
    TypeError
        If it is no student of skkd, or no pipeline that ends in one.
    """
    estimator = _unwrapped(fitted)
    if not isinstance(estimator, Pipeline):
        net = _check_student(estimator)
        return Fitted(estimator, net, None, _own_step(net), ("student",))
    steps = [(n, s) for n, s in estimator.steps if s is not None and s != "passthrough"]
    while isinstance(steps[-1][1], Pipeline):
        name, inner = steps.pop()
        steps += [(f"{name}.{n}", s) for n, s in inner.steps if s != "passthrough"]
    net = _check_student(_unwrapped(steps[-1][1]))
    before, names = steps[:-1], tuple(name for name, _ in steps)
    reader = None
    if before and isinstance(before[0][1], ImageReader):
        reader = before.pop(0)[1]
    late = [name for name, step in before if isinstance(step, ImageReader)]
    if late:
        raise ValueError(
            f"The step {late[0]!r} reads images and is not the first: a file knows "
            "only how to read images at its entrance. Put it first."
        )
    return Fitted(estimator, net, reader, (*before, *_own_step(net)), names)


def _own_step(net: Any) -> tuple[tuple[str, Any], ...]:
    preprocessor = getattr(net, "preprocessor_", None)
    return () if preprocessor is None else (("preprocessor", preprocessor),)


def _unwrapped(fitted: Any) -> Any:
    """Return the student of a search, a recipe or a frozen one."""
    while isinstance(fitted := unwrapped(fitted), PredictsAsStudentMixin):
        fitted = getattr(fitted, "student_", None) or _not_fitted(fitted)
    return fitted


def _check_student(net: Any) -> Any:
    if not isinstance(net, SkorchClassifier):
        raise TypeError(
            f"Got {describe(net)}, expected a fitted DistilledClassifier, or a "
            "Pipeline that ends in one. A teacher, or a student within another "
            "classifier, is not exported: pass the student itself."
        )
    if not getattr(net, "initialized_", False) or "classes_inferred_" not in vars(net):
        _not_fitted(net)
    return net


def _not_fitted(fitted: Any) -> Any:
    raise NotFittedError(
        f"This {type(fitted).__name__} is not fitted, so there is nothing to export: "
        "call fit first."
    )
