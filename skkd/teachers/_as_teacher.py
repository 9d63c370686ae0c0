"""Turns what a user passes as the teacher into a `Teacher`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from skorch import NeuralNet
from torch.export import ExportedProgram

from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._keras import KerasTeacher, is_keras
from skkd.teachers._onnx import OnnxTeacher, is_onnx
from skkd.teachers._sklearn import METHODS, CallableTeacher, SklearnTeacher
from skkd.teachers._torch import ModuleTeacher, ProgramTeacher, SkorchTeacher
from skkd.teachers._transform import TransformedTeacher, check_transform


def as_teacher(
    teacher: Any,
    *,
    classes: Any = None,
    output: str = "auto",
    extra_classes: str = "auto",
    weights: Sequence[float] | None = None,
    average: str = "proba",
    temperatures: Sequence[float] | None = None,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    name: str | None = None,
) -> Teacher:
    """Turn any fitted classifier into a teacher.

    ``DistilledClassifier(teacher=...)`` does this by itself. Call it to declare what
    the outputs and their columns are, the weights of an ensemble, or a transform.

    Parameters
    ----------
    teacher : skorch net, torch.nn.Module, classifier, callable, or a list of these
        Also a model of Keras, a program of ``torch.export`` or ``torch.onnx.export``,
        and the path of an ONNX file, its content or its ``InferenceSession``, which
        need onnxruntime.
        Used as it is: never refitted, moved to another device, left in another mode,
        or copied, not even by :func:`sklearn.base.clone`.
    classes : array-like of shape (n_outputs,), default=None
        Labels of the teacher's columns. None takes ``teacher.classes_``, or else those
        of the student.
    output : {"auto", "logits", "logit", "proba", "log_proba"}, default="auto"
        What the teacher returns. With "auto", modules and callables return logits, and
        the criterion of a skorch net decides, the last activation of a Keras model, and
        the name of an ONNX output. Of scikit-learn's classifiers, "logits"
        calls ``decision_function``, "proba" ``predict_proba``, "log_proba"
        ``predict_log_proba``, and "auto" prefers probabilities. For two classes,
        "logit" declares one output as the logit of the second class, and "proba" takes
        one output for its probability.
    extra_classes : {"auto", "drop", "error"}, default="auto"
        What to do if the teacher knows classes that y lacks, as a fold may. "auto" and
        "drop" leave out their columns and normalise the others; a row without any
        probability left for these becomes uniform. "auto" also looks whether the
        teacher decides for such classes more often than by mistake, a finding as of
        :func:`~skkd.teachers.check_health`. "error" refuses.
    weights : sequence of float, default=None
        Weight of each member of a list; None means equal weights. A member of weight 0
        is not run.
    average : {"proba", "logits"}, default="proba"
        Whether a list is averaged over probabilities or over logits.
    temperatures : sequence of float, default=None
        Divides the logits of each member of a list before they are averaged,
        ``sum_i w_i softmax(z_i / T_i)``: above 1 softens an overconfident member. None
        means 1 each. The student's ``temperature`` is applied to the mean.
    transform : callable, default=None
        For a teacher that was trained on other inputs than the student, such as larger
        images: turns batches of samples, tensors (n, d) or (n, C, H, W), uint8 or
        float, on the teacher's device, into these. For instance
        ``weights.transforms()`` of torchvision, a module (run in eval mode) or a
        function. It must be deterministic. It is applied to the augmented view if there
        is one, and for all members of a list; wrap a member to give it its own. Logits
        are cached with torchvision's transforms and other modules, but not with a
        function, nor with what holds one, such as ``v2.Lambda``.
    name : str, default=None
        What the model, with its transform, is called in the cache of logits, in place
        of its content: for a function, or a model whose content cannot be identified.
        A promise that all models of this name and class give the same outputs: write
        ``name="v2"`` for other weights, or their logits are those of the first.

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
    >>> as_teacher([teacher, other], weights=[1, 2], temperatures=[1, 3])
    as_teacher([LogisticRegression, LogisticRegression])
    """
    _check_option("output", output, ("auto", "logits", "logit", "proba", "log_proba"))
    _check_option("extra_classes", extra_classes, ("auto", "drop", "error"))
    _check_option("average", average, ("proba", "logits"))
    if classes is not None and len(np.unique(classes)) != len(classes):
        raise ValueError(f"classes={list(classes)} names a class twice.")
    if name is not None:
        options = {**locals(), "name": None}
        return _named(name, as_teacher(options.pop("teacher"), **options))
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    of_one = _set_options(classes=classes, output=output, extra_classes=extra_classes)
    of_list = _set_options(weights=weights, average=average, temperatures=temperatures)
    if transform is not None:
        check_transform(transform)
        return TransformedTeacher(as_teacher(teacher, **of_one, **of_list), transform)
    if isinstance(teacher, Teacher):
        if of_one or of_list:
            raise ValueError(
                f"{teacher!r} is a Teacher already: its options are set. Set these too "
                f"where it is made, as_teacher(model, {_format(**of_one, **of_list)})."
            )
        return teacher
    if isinstance(teacher, (list, tuple)):
        members = [as_teacher(member, **of_one) for member in teacher]
        return EnsembleTeacher(members, **of_list)
    if of_list:
        raise ValueError(
            f"{_format(**of_list)}: expected a list of teachers to average, got "
            f"{type(teacher).__name__}. Leave these options out for one."
        )
    return _adapter_for(teacher)(teacher, **of_one)


def _named(name: str, teacher: Teacher) -> Teacher:
    """Return a copy of a teacher that is known by a name."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name={name!r}: expected a text such as 'v1', or None.")
    named = copy(teacher)
    named.name = name
    return named


def _set_options(**options: Any) -> dict[str, Any]:
    """Return the options that are not at their defaults."""
    defaults: dict[str, Any] = as_teacher.__kwdefaults__  # type: ignore[assignment]
    return {k: v for k, v in options.items() if not np.array_equal(v, defaults[k])}


def _format(**options: Any) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _adapter_for(teacher: Any) -> type[Teacher]:
    if isinstance(teacher, type):
        raise TypeError(
            f"teacher is the class {teacher.__name__}: expected a fitted instance."
        )
    package = type(teacher).__module__.partition(".")[0]
    if package not in ("sklearn", "skorch") and is_onnx(teacher):
        return OnnxTeacher
    if package not in ("sklearn", "skorch", "torch") and is_keras(teacher):
        return KerasTeacher
    tagged = isinstance(teacher, BaseEstimator)
    kind = get_tags(teacher).estimator_type if tagged else None
    if kind not in (None, "classifier"):
        raise TypeError(
            f"teacher is a {type(teacher).__name__}, a {kind}: expected a classifier."
        )
    if isinstance(teacher, NeuralNet):
        return SkorchTeacher
    if isinstance(teacher, ExportedProgram):
        return ProgramTeacher
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
        close = get_close_matches(str(value), allowed, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        expected = ", ".join(map(repr, allowed))
        raise ValueError(f"{name}={value!r}: expected one of {expected}.{hint}")
