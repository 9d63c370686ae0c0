"""Turns what a user passes as the teacher into a `Teacher`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from skorch import NeuralNet

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._sklearn import METHODS, CallableTeacher, SklearnTeacher
from skkd.teachers._torch import ModuleTeacher, SkorchTeacher
from skkd.teachers._transform import TransformedTeacher, check_transform


def as_teacher(
    teacher: Any,
    *,
    classes: Any = None,
    output: str = "auto",
    extra_classes: str = "error",
    weights: Sequence[float] | None = None,
    average: str = "proba",
    temperatures: Sequence[float] | None = None,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Teacher:
    """Turn any fitted classifier into a teacher.

    ``DistilledClassifier(teacher=...)`` does this by itself. Call it to declare what
    the outputs are, which classes the columns stand for, the weight of each member of
    an ensemble, or how the inputs are to be transformed.

    Parameters
    ----------
    teacher : skorch net, torch.nn.Module, classifier, callable, or a list of these
        Used as it is: never refitted, trained, moved to another device, left in
        another mode, or copied, not even by :func:`sklearn.base.clone`.
    classes : array-like of shape (n_outputs,), default=None
        Labels of the teacher's columns. None takes ``teacher.classes_``, or the
        student's ``classes_`` if there is no such attribute.
    output : {"auto", "logits", "proba", "log_proba"}, default="auto"
        What the teacher returns. "auto" decides by type: modules and callables return
        logits; for a skorch net the criterion decides; for scikit-learn's classifiers
        ``predict_proba`` is called, and ``decision_function`` only if there are no
        probabilities. For these, "logits" calls ``decision_function``, "proba"
        ``predict_proba``, "log_proba" ``predict_log_proba``.
    extra_classes : {"error", "drop"}, default="error"
        What to do if the teacher knows classes that the student does not. "drop"
        leaves out their columns, and the others are normalised to sum to one.
    weights : sequence of float, default=None
        Weight of each member of a list of teachers. None means equal weights. A member
        of weight 0 is not run.
    average : {"proba", "logits"}, default="proba"
        Whether a list of teachers is averaged over probabilities or over logits.
    temperatures : sequence of float, default=None
        Divides the logits of each member of a list before they are averaged,
        ``sum_i w_i softmax(z_i / T_i)``: above 1 softens a member that is
        overconfident. None means 1 each. The student's ``temperature`` is applied to
        the mean.
    transform : callable, default=None
        For a teacher that was trained on other inputs than the student, such as larger
        images: turns batches of samples into these. It is given tensors, (n, d) or
        (n, C, H, W), uint8 or float, on the device of the teacher. For instance
        ``weights.transforms()`` of torchvision, ``v2.Compose([...])``, a module (run in
        eval mode) or a function. It must be deterministic. The transform of a list
        applies to all its members; wrap a member to give it its own. See Notes.

    Returns
    -------
    Teacher
        With a method ``logits(X, classes)``.

    Raises
    ------
    TypeError
        If the teacher gives no soft targets: not a classifier, or labels only.
    ValueError
        If an option is not one of those above.

    Notes
    -----
    The transform is applied to the teacher's inputs: to the augmented view if there is
    one. Its content counts for ``memory``. That of a function is unknown, so that
    logits are not cached with one, nor with what holds one, such as ``v2.Lambda``; with
    other transforms of torchvision they are. Modules are then given tensors, all other
    teachers arrays, a batch at a time.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd.teachers import as_teacher
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = as_teacher(LogisticRegression(max_iter=500).fit(X, y))
    >>> teacher.logits(X, classes=[0, 1, 2]).shape
    (150, 3)

    The second teacher is softened, and has twice the weight:

    >>> other = LogisticRegression(C=100, max_iter=5000).fit(X, y)
    >>> both = as_teacher([teacher, other], weights=[1, 2], temperatures=[1, 3])
    >>> both.logits(X, classes=[0, 1, 2]).shape
    (150, 3)
    """
    _check_option("output", output, ("auto", "logits", "proba", "log_proba"))
    _check_option("extra_classes", extra_classes, ("error", "drop"))
    _check_option("average", average, ("proba", "logits"))
    if classes is not None and len(np.unique(classes)) != len(classes):
        raise ValueError(f"classes={list(classes)} names a class twice.")
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    of_one: dict[str, Any] = {
        "classes": classes,
        "output": output,
        "extra_classes": extra_classes,
    }
    of_list: dict[str, Any] = {
        "weights": weights,
        "average": average,
        "temperatures": temperatures,
    }
    if transform is not None:
        check_transform(transform)
        inner = as_teacher(teacher, **of_one, **of_list)
        return TransformedTeacher(inner, transform)
    if isinstance(teacher, Teacher):
        wanted = _set_options(**of_one, **of_list)
        if wanted:
            raise ValueError(
                f"{teacher!r} is a Teacher already: its options are set. Set these too "
                f"where it is made, as_teacher(model, {wanted})."
            )
        return teacher
    if isinstance(teacher, (list, tuple)):
        members = [as_teacher(member, **of_one) for member in teacher]
        return EnsembleTeacher(members, **of_list)
    if _set_options(**of_list):
        raise ValueError(
            f"{_set_options(**of_list)}: expected a list of teachers to average, got "
            f"{type(teacher).__name__}. Leave these options out for one."
        )
    return _adapter_for(teacher)(teacher, **of_one)


def _set_options(**options: Any) -> str:
    """Name the options that are not at their defaults; "" if all are."""
    defaults = {"output": "auto", "extra_classes": "error", "average": "proba"}
    return ", ".join(
        f"{name}={value!r}"
        for name, value in options.items()
        if value is not None and not (name in defaults and value == defaults[name])
    )


def _adapter_for(teacher: Any) -> type[Teacher]:
    if isinstance(teacher, type):
        raise TypeError(
            f"teacher is the class {teacher.__name__}: expected a fitted instance."
        )
    tagged = isinstance(teacher, BaseEstimator)
    kind = get_tags(teacher).estimator_type if tagged else None
    if kind not in (None, "classifier"):
        raise TypeError(
            f"teacher is a {type(teacher).__name__}, a {kind}: expected a classifier."
        )
    if isinstance(teacher, NeuralNet):
        return SkorchTeacher
    if isinstance(teacher, torch.nn.Module):
        return ModuleTeacher
    if any(hasattr(teacher, method) for method in METHODS):
        return SklearnTeacher
    if callable(teacher):
        return CallableTeacher
    raise TypeError(
        f"teacher is a {type(teacher).__name__}: expected a fitted classifier with one "
        f"of {', '.join(METHODS)}, a skorch net, a torch module, a callable that "
        "returns logits, or a list of these. Labels alone are no soft targets."
    )


def _check_option(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(allowed)}.")
