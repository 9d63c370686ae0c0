"""All models asked about the same rows, their answers brought to the same classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skkd._evaluate.models import Said, Subject
from skkd._utils.modules import describe, eval_mode
from skkd._utils.rng import preserved_rng

Subjects = Mapping[str, Subject]


@dataclass
class Asked:
    """What all models said, in numbers of classes.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        All labels of y and of the models, sorted.
    truth : ndarray of shape (n,), int
    labels : dict of str to ndarray of shape (n,), int
    proba : dict of str to ndarray of shape (n, n_classes) or None
    knows_all : dict of str to bool
        Whether the model knows all classes of y.
    """

    classes: np.ndarray
    truth: np.ndarray
    labels: dict[str, np.ndarray]
    proba: dict[str, np.ndarray | None]
    knows_all: dict[str, bool]


def make_subjects(models: Mapping[str, Any]) -> dict[str, Subject]:
    """Return what asks each of the models; raise where one cannot be asked."""
    subjects = {}
    for name, model in models.items():
        try:
            subjects[name] = Subject(name, model)
        except NotFittedError as error:
            raise NotFittedError(
                f"models[{name!r}], {describe(model)}, is not fitted: fit it before it "
                "is compared."
            ) from error
        except TypeError as error:
            raise TypeError(f"models[{name!r}]: {error}") from error
    return subjects


@contextmanager
def guarded(subjects: Subjects) -> Iterator[None]:
    """Put every network in eval mode and all back in the end, generators included."""
    modules = [part for one in subjects.values() for part in one.parts.guarded]
    tensors = (t for module in modules for t in module.parameters())
    with ExitStack() as stack:
        for device in {"cpu", *(str(tensor.device) for tensor in tensors)}:
            stack.enter_context(preserved_rng(device))
        stack.enter_context(eval_mode(*modules))
        yield


def read_all(subjects: Subjects, X: Any, X_of: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of each model; images that several want are read once."""
    cache: dict[Any, Any] = {}
    return {
        name: subject.read(X_of.get(name, X), cache)
        for name, subject in subjects.items()
    }


def ask_all(subjects: Subjects, rows: Mapping[str, Any], y: np.ndarray) -> Asked:
    """Ask all models about all rows.

    Parameters
    ----------
    subjects : mapping of str to Subject
    rows : mapping of str to array-like of n rows
    y : ndarray of shape (n,)

    Returns
    -------
    Asked

    Raises
    ------
    ValueError
        If a model does not take its rows, or knows none of the labels.
    """
    known = {
        name: subject.classes.tolist()
        for name, subject in subjects.items()
        if subject.classes is not None
    }
    expected = _sorted(y.tolist(), *known.values())
    said = {
        name: _ask(subject, rows[name], expected, len(y))
        for name, subject in subjects.items()
    }
    given = {name: set(one.labels.tolist()) for name, one in said.items()}
    for name in subjects:
        _check_meet(name, known.get(name, given[name]), y)
    classes = _sorted(expected.tolist(), *given.values())
    asked = Asked(classes, _codes(y, classes), {}, {}, {})
    for name, one in said.items():
        asked.labels[name] = _codes(one.labels, classes)
        asked.proba[name] = _aligned(one, classes)
        own = set(classes if one.classes is None else one.classes.tolist())
        asked.knows_all[name] = set(y.tolist()) <= own
    return asked


def _ask(subject: Subject, rows: Any, classes: np.ndarray, n: int) -> Said:
    what = f"models[{subject.name!r}], {describe(subject.body)},"
    try:
        said = subject.ask(rows, classes)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{what} cannot be asked about X: {error} Where it wants other rows than "
            f"the rest, pass these: X_of={{{subject.name!r}: ...}}."
        ) from error
    if said.labels.shape != (n,):
        raise ValueError(
            f"{what} gives labels of shape {said.labels.shape}, expected ({n},): one "
            "for each row of y."
        )
    shape = None if said.classes is None else (n, len(said.classes))
    if said.proba is not None and said.proba.shape != shape:
        raise ValueError(
            f"{what} gives probabilities of shape {said.proba.shape}, expected {shape}:"
            " a column for each of its classes_."
        )
    return said


def _check_meet(name: str, labels: Iterable[Any], y: np.ndarray) -> None:
    labels, truth = list(labels), np.unique(y).tolist()
    if set(labels) & set(truth):
        return
    raise ValueError(
        f"models[{name!r}] knows none of the labels of y: it gives "
        f"{sorted(labels, key=str)[:5]}, y holds {truth[:5]}. Give y the labels that "
        "the models were trained on."
    )


def _sorted(*labels: Iterable[Any]) -> np.ndarray:
    every = set().union(*labels)
    try:
        ordered = sorted(every)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in every})
        raise ValueError(
            f"y and the models have labels of several types, {', '.join(kinds)}, "
            "which are never equal. Give y the labels that the models were trained on."
        ) from error
    return np.asarray(ordered)


def _codes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    number = {label: i for i, label in enumerate(classes.tolist())}
    return np.array([number[label] for label in labels.tolist()], dtype=np.intp)


def _aligned(said: Said, classes: np.ndarray) -> np.ndarray | None:
    if said.proba is None or said.classes is None:
        return None
    aligned = np.zeros((len(said.proba), len(classes)), dtype=said.proba.dtype)
    aligned[:, _codes(said.classes, classes)] = said.proba
    return aligned
