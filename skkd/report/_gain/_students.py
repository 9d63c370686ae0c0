"""The two students that are compared: one with its teacher, one without."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skkd._estimator.classifier import DistilledClassifier
from skkd._fit.objective import check_hyperparameters
from skkd._fit.param_checks import has_folds
from skkd._fit.teacher_cv import check_fittable
from skkd.losses._registry import flatten, loss_of, needs_of
from skkd.recipes._base import FOR_ANOTHER_TEACHER, Recipe
from skkd.teachers._as_teacher import as_teacher

# A fit that was interrupted is no fit to compare.
_WHOLE = {"on_interrupt": "raise"}


def split_steps(estimator: Any) -> tuple[Pipeline | None, Any]:
    """Return the steps before the student, None for none, and the student.

    The steps end in "passthrough", so that their ``memory`` caches the output of the
    last step.
    """
    if not isinstance(estimator, Pipeline):
        return None, estimator
    *steps, (_, student) = estimator.steps
    if not steps:
        return None, student
    through = [*steps, ("through", "passthrough")]
    return Pipeline(through, memory=estimator.memory), student


def net_of(student: Any) -> DistilledClassifier:
    """Return the net with the parameters: the student, or that of the recipe."""
    return student.estimator if isinstance(student, Recipe) else student


def has_teacher_folds(student: Any) -> bool:
    """Tell whether `fit` splits the rows into folds for the teacher."""
    net = net_of(student)
    return net.teacher is not None and has_folds(net.teacher_cv)


def check_estimator(estimator: Any, groups: Any = None) -> None:
    """Raise if `estimator` cannot be trained with and without a teacher."""
    student = split_steps(estimator)[1]
    if not isinstance(net_of(student), DistilledClassifier):
        remedy = ""
        if hasattr(student, "estimator"):
            remedy = (
                " A search would tune only one of the students: search on other rows "
                "first, and pass its best_estimator_."
            )
        raise TypeError(
            f"gain was given a {type(student).__name__}, expected a "
            "DistilledClassifier with a teacher, a recipe of skkd.recipes, or a "
            f"Pipeline that ends in one of these.{remedy}"
        )
    net = net_of(student)
    check_hyperparameters(net.temperature, net.alpha)
    if net.alpha == 0:
        raise ValueError(
            "alpha=0: this student does not use its teacher, so that there is no gain "
            "to measure. Pass an alpha above 0, such as 0.3."
        )
    lacks = net.teacher is None and needs_of(loss_of(net))
    if lacks and not isinstance(student, Recipe):
        raise ValueError(
            "teacher=None: there is no gain to measure. Pass "
            "DistilledClassifier(teacher=...) with a teacher fitted on other rows, or "
            "an unfitted one with teacher_cv=None, which is fitted in each fold."
        )
    in_recipe = isinstance(student, Recipe) and has_teacher_folds(student)
    if groups is not None and in_recipe:
        raise ValueError(
            f"groups= with teacher_cv={net.teacher_cv!r} inside of a recipe: its "
            "teacher's folds would not keep the groups together. Pass a teacher with "
            "teacher_cv=None, or a fitted one."
        )


def check_teacher_of(net: DistilledClassifier, classes: np.ndarray) -> None:
    """Raise, before anything is trained, if the teacher cannot be used."""
    if net.teacher is None:
        return
    if isinstance(net.teacher_cv, str):
        as_teacher(net.teacher, transform=net.teacher_transform).check(classes)
    else:
        check_fittable(net.teacher, net.teacher_cv)


def distilled(student: Any, seed: int) -> Any:
    """Return a clone with this seed."""
    prefix = "estimator__" if isinstance(student, Recipe) else ""
    params = {"random_state": seed, **_WHOLE}
    return clone(student).set_params(**{prefix + k: v for k, v in params.items()})


def plain(student: Any, seed: int) -> DistilledClassifier:
    """Return the same student with this seed and without a teacher."""
    # All other parameters are kept: the same weights, batches and views.
    net = clone(net_of(student)).set_params(
        teacher=None, random_state=seed, **FOR_ANOTHER_TEACHER, **_WHOLE
    )
    # Without a teacher alpha has no effect, and a schedule of alpha needs it to be
    # above 0. But a loss that needs no teacher would still be used.
    if all(needs_of(part) for _, part in flatten(loss_of(net))):
        return net
    return net.set_params(alpha=0.0)
