"""`save_student`: a fitted student as tensors and text."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from skkd._estimator.classifier import DistilledClassifier
from skkd._estimator.distributed.classifier import AcceleratedClassifier
from skkd._estimator.student_predictions import chosen_student
from skkd._formats.container import pack, unpack
from skkd._safe_file import probe
from skkd._safe_file.facts import facts_to_json, history_to_json
from skkd._safe_file.load import rebuild
from skkd._safe_file.params import needed_params, params_to_json
from skkd._safe_file.steps import step_to_json
from skkd._safe_file.values import Encoder
from skkd._safe_file.weights import weights_to_tensors
from skkd._utils.atomic import new_file
from skkd._utils.modules import describe, uncompiled
from skkd._version import __version__
from skkd.students._outline import builder_of

_LIBRARIES = ("torch", "numpy", "scikit-learn", "skorch", "safetensors", "pillow")


def save_student(fitted: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted student to a file that holds tensors and text, and no code.

    The file is in the format of `safetensors <https://github.com/huggingface/\
safetensors>`_. Before it takes the place of an earlier one, it is read back and has
    to answer as the student does, bit for bit.

    Parameters
    ----------
    fitted : DistilledClassifier or Pipeline
        The student, or a pipeline that ends in one after an
        :class:`~skkd.ImageReader`, scalers, imputers or encoders of scikit-learn. Of
        a search, or a recipe, the student that it predicts as.
    path : str or path
        Where to write; usually ``*.safetensors``.

    Raises
    ------
    NotFittedError
        If the student is not fitted.
    TypeError
        If it is anything else.
    ValueError
        If something that predictions need cannot be held: a step with a function, an
        array of objects, weights that are no dense tensors.

    See Also
    --------
    load_student : Reads the file.

    Notes
    -----
    Stored are weights, classes, shape, dtype and range of the inputs, parameters,
    figures of each epoch, and versions. Of parameters that are neither numbers nor text
    nor classes of torch and skkd, and of the teacher, there is a description. `memory`,
    and a `device` other than the CPU, are of this machine and left out.

    A student that is none of :mod:`skkd.students` needs what built it to be loaded.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier, save_student
    >>> X, y = load_iris(return_X_y=True)
    >>> student = DistilledClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_student(student, f"{folder}/iris.safetensors")
    ...     os.listdir(folder)
    ['iris.safetensors']
    """
    path = Path(path)
    steps, name, student = _parts_of(fitted)
    data = _to_bytes(steps, name, student)
    _check_read_back(data, student, str(path))
    with new_file(path) as temporary:
        temporary.write_bytes(data)


def _parts_of(fitted: Any) -> tuple[list[tuple[str, Any]], str | None, Any]:
    """Return the steps before the student, its name in the pipeline, and itself."""
    steps: list[tuple[str, Any]] = []
    name, student = None, chosen_student(fitted)
    if isinstance(student, Pipeline):
        *steps, (name, student) = student.steps
        student = chosen_student(student)
    if type(student) is AcceleratedClassifier:
        student = student.in_one_process()
    if type(student) is not DistilledClassifier:
        raise TypeError(
            f"save_student got a {type(student).__name__}: expected a fitted "
            "DistilledClassifier, or a Pipeline that ends in one. Others are written "
            "by skops.io.dump or pickle."
        )
    if "classes_inferred_" not in vars(student) or not hasattr(student, "module_"):
        raise NotFittedError(
            "This DistilledClassifier is not fitted, so there is no student to save: "
            "call fit(X, y) first."
        )
    return steps, name, student


def _to_bytes(steps: list[tuple[str, Any]], name: str | None, net: Any) -> bytes:
    encode = Encoder()
    module = uncompiled(net.module_)
    builder = builder_of(module)
    weights, layout = weights_to_tensors(module)
    content = {
        "name": name,
        "steps": [[k, step_to_json(k, step, encode)] for k, step in steps],
        "versions": _versions(),
        "student": {
            "builder": builder,
            "config": None if builder is None else module.config,
            "described": describe(module),
            "taught_by": None if net.teacher_ is None else describe(net.teacher_)[:200],
            "module_is_none": net.module is None,
            "layout": layout,
            "params": params_to_json(net, builder, encode),
            "facts": facts_to_json(net, encode),
            "channels_last": net.channels_last_,
            "gives_probabilities": bool(net.expects_probabilities),
            "trimmed": bool(getattr(net, "_trimmed_for_prediction", False)),
            "history": history_to_json(net.history, encode),
        },
    }
    given = probe.answers(net)
    tensors = {**weights, **encode.tensors}
    if given is not None:
        tensors["answers"] = torch.from_numpy(given)
    return pack(content, tensors)


def _check_read_back(data: bytes, net: Any, name: str) -> None:
    """Raise unless the file makes a student that answers as `net` does."""
    content, tensors = unpack(data, name)
    own = content["student"]["builder"] is not None
    twin = rebuild(
        content, tensors, name, None if own else net.module, needed_params(net, own)
    )
    twin = twin[-1] if isinstance(twin, Pipeline) else twin
    before, after = probe.answers(net), probe.answers(twin)
    same = before is None or np.array_equal(before, after, equal_nan=True)  # type: ignore[arg-type]
    if not same:
        raise ValueError(
            f"The student {describe(net.module_)}, built anew and given its weights, "
            "does not predict what it predicts now: it holds something that is neither "
            "a parameter nor a buffer of a module, or draws random numbers. Register "
            "buffers of what it has learnt, or write it by skops.io.dump or pickle."
        )


def _versions() -> dict[str, str]:
    versions = {"skkd": __version__, "python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in _LIBRARIES}
