"""The two students that are compared: one with its teacher, one without."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skkd._estimator.classifier import DistilledClassifier
from skkd._fit.objective import check_hyperparameters
from skkd._fit.teacher_cv import check_fittable
from skkd.losses._registry import flatten, loss_of, needs_of
from skkd.recipes._base import Recipe
from skkd.teachers._as_teacher import as_teacher

_TAKEN = (
    "expected a DistilledClassifier with a teacher, a recipe of skkd.recipes, or a "
    "Pipeline that ends in one of these"
)


def split_steps(estimator: Any) -> tuple[Pipeline | None, Any]:
    """Return the steps before the student, None where there are none, and the student.

    Parameters
    ----------
    estimator : DistilledClassifier, Recipe or Pipeline

    Returns
    -------
    head : Pipeline or None
        Ends in "passthrough", so that its ``memory`` keeps what the last step made.
    student : DistilledClassifier or Recipe
    """
    if not isinstance(estimator, Pipeline):
        return None, estimator
    *steps, (_, student) = estimator.steps
    if not steps:
        return None, student
    through = [*steps, ("through", "passthrough")]
    return Pipeline(through, memory=estimator.memory), student


def net_of(student: Any) -> DistilledClassifier:
    """Return the net that holds the settings: the student, or the recipe's."""
    return student.estimator if isinstance(student, Recipe) else student


def check_estimator(estimator: Any) -> None:
    """Raise where no student with and without a teacher can be made of it.

    Parameters
    ----------
    estimator : object

    Raises
    ------
    TypeError
        If it is something else than ``gain`` takes.
    ValueError
        If it has no teacher, or does not listen to it.
    """
    student = split_steps(estimator)[1]
    if not isinstance(net_of(student), DistilledClassifier):
        remedy = ""
        if hasattr(student, "estimator"):
            remedy = (
                " A search would choose for one student and not for the other: search "
                "on other rows first, and pass its best_estimator_."
            )
        name = type(student).__name__
        raise TypeError(f"gain was given a {name}, {_TAKEN}.{remedy}")
    net = net_of(student)
    check_hyperparameters(net.temperature, net.alpha)
    if net.alpha == 0:
        raise ValueError(
            "alpha=0: this student does not listen to its teacher, and there is no "
            "gain to be had. Pass an alpha above 0, such as 0.3."
        )
    lacks = net.teacher is None and needs_of(loss_of(net))
    if lacks and not isinstance(student, Recipe):
        raise ValueError(
            "teacher=None: there is nothing to gain from. Pass "
            "DistilledClassifier(teacher=...), fitted on none of the rows that test "
            "here; or an unfitted one with teacher_cv=None, to be fitted in each fold."
        )


def check_teacher_of(net: DistilledClassifier, classes: np.ndarray) -> None:
    """Raise, before anything is trained, where the teacher cannot teach.

    Parameters
    ----------
    net : DistilledClassifier
    classes : ndarray of shape (n_classes,)
    """
    if net.teacher is None:
        return
    if isinstance(net.teacher_cv, str):
        as_teacher(net.teacher, transform=net.teacher_transform).check(classes)
    else:
        check_fittable(net.teacher, net.teacher_cv)


def distilled(student: Any, seed: int) -> Any:
    """Return a clone with this seed.

    Parameters
    ----------
    student : DistilledClassifier or Recipe
    seed : int

    Returns
    -------
    DistilledClassifier or Recipe
    """
    prefix = "estimator__" if isinstance(student, Recipe) else ""
    return clone(student).set_params(**{f"{prefix}random_state": seed})


def plain(student: Any, seed: int) -> DistilledClassifier:
    """Return the same student with this seed, who hears no teacher.

    Parameters
    ----------
    student : DistilledClassifier or Recipe
    seed : int

    Returns
    -------
    DistilledClassifier
    """
    # Its clone has everything else: the same weights, batches and views.
    net = clone(net_of(student)).set_params(
        teacher=None,
        teacher_cv="prefit",
        teacher_transform=None,
        random_state=seed,
    )
    # Where nobody teaches alpha weighs nothing, and a schedule of it needs one. A loss
    # that asks no teacher would still be heard.
    if all(needs_of(part) for _, part in flatten(loss_of(net))):
        return net
    return net.set_params(alpha=0.0)
