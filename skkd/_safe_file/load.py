"""`load_student`: a fitted student from a file, without running code of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from skkd._estimator.classifier import DistilledClassifier
from skkd._formats.container import FileRefused, damaged, read_file
from skkd._safe_file.rebuild import check_answers, rebuild_student
from skkd._safe_file.steps import step_from_json, warn_of_version


def load_student(
    path: str | os.PathLike[str], *, module: Any = None, **params: Any
) -> Any:
    """Load a fitted student that :func:`save_student` wrote.

    No code of the file is run and nothing is unpickled, so that files of strangers can
    be loaded.

    Parameters
    ----------
    path : str or path
        The file.
    module : type, callable or torch.nn.Module, default=None
        Builds the student, as ``DistilledClassifier(module=...)``. Needed if it is none
        of :mod:`skkd.students`.
    **params
        Parameters in place of those of the file, such as ``device="cpu"``, and those
        that the file describes and does not hold: ``teacher``, callbacks, functions.

    Returns
    -------
    DistilledClassifier or Pipeline
        Fitted: it predicts what the student that was saved predicted, on the same
        machine bit for bit. To train it again it needs the parameters that the file
        lacks, the teacher first of all; `fit` and `partial_fit` say which. The
        optimizer begins anew, and ``history`` has epochs without batches.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, cut, of another kind or of a later version, if `module`
        is needed or builds another network.

    Warns
    -----
    InconsistentVersionWarning
        If another version of scikit-learn fitted the steps before the student.

    Notes
    -----
    A checksum shows any change of a file, but not who wrote it. A file also holds the
    student's answers to a few samples made up of noise, with which those of the student
    that was loaded are compared: another network of the same shapes is an error.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier, load_student, save_student
    >>> X, y = load_iris(return_X_y=True)
    >>> student = DistilledClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_student(student, f"{folder}/iris.safetensors")
    ...     loaded = load_student(f"{folder}/iris.safetensors")
    >>> (loaded.predict_proba(X) == student.predict_proba(X)).all()
    np.True_
    """
    path = Path(path)
    unknown = [name for name in params if not DistilledClassifier()._has_param(name)]
    if unknown:
        raise TypeError(
            f"load_student got {unknown[0]}={params[unknown[0]]!r}: expected `module` "
            "or another parameter of DistilledClassifier."
        )
    content, tensors = read_file(path)
    loaded = rebuild(content, tensors, str(path), module, params)
    student = loaded[-1] if isinstance(loaded, Pipeline) else loaded
    check_answers(student, tensors, str(path))
    return loaded


def rebuild(
    content: dict[str, Any],
    tensors: dict[str, Any],
    name: str,
    module: Any = None,
    params: dict[str, Any] | None = None,
) -> Any:
    """Return the student or pipeline of a file."""
    try:
        steps = [(k, step_from_json(step, tensors)) for k, step in content["steps"]]
        student = rebuild_student(content["student"], tensors, name, module, params)
    except FileRefused:
        raise
    except Exception as error:  # whatever content that does not fit leads to
        if params:
            told = ", ".join(f"{k}={v!r}" for k, v in params.items())
            raise FileRefused(f"{name} makes no student of {told}: {error}") from error
        raise damaged(name, f"{type(error).__name__}: {error}") from error
    if content["name"] is None:
        return student
    if any(type(step).__module__.startswith("sklearn.") for _, step in steps):
        warn_of_version("Pipeline", content["versions"])
    return Pipeline([*steps, (content["name"], student)])
