"""The models of a comparison: anything that classifies, asked in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils import _safe_indexing
from skorch import NeuralNet
from skorch.utils import is_dataset
from torch.utils.data import Subset

from skkd._batches import is_lazy
from skkd._estimator import DistilledClassifier
from skkd._labels import find_classes
from skkd.recipes import Recipe
from skkd.report._parts import name_of, parts_of, without_reader
from skkd.teachers import Teacher, as_teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._sklearn import SklearnTeacher
from skkd.teachers._transform import TransformedTeacher


@dataclass
class Said:
    """What a model said about rows.

    Attributes
    ----------
    labels : ndarray of shape (n,)
    proba : ndarray of shape (n, n_columns) or None
        Probabilities, where the model gives any.
    classes : ndarray of shape (n_columns,) or None
        Labels of the columns.
    """

    labels: np.ndarray
    proba: np.ndarray | None = None
    classes: np.ndarray | None = None


class Subject:
    """One model of a comparison.

    Parameters
    ----------
    name : str
    model : object
        A classifier, network, teacher, callable or a list of these.

    Attributes
    ----------
    reader : ImageReader or None
        Reads the images, which is not timed.
    body : object
        All the rest of the model.
    teacher : Teacher or None
        What is asked in place of `body`, where this has no labels to give.
    parts : Parts
        What runs when the model predicts.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self.reader, body = without_reader(model)
        # What only teaches has no `predict` of its own, and skorch's gives the number
        # of a column.
        is_net = isinstance(body, NeuralNet) and not isinstance(
            body, DistilledClassifier
        )
        self.teacher: Teacher | None = None
        if is_net or not hasattr(body, "predict"):
            self.teacher = as_teacher(body)
        self.body = body
        self.parts = parts_of(body)

    @property
    def classes(self) -> np.ndarray | None:
        """Labels of the columns, None where the model does not know them."""
        if self.teacher is not None:
            return _classes_of(self.teacher)
        known = getattr(self.body, "classes_", None)
        return None if known is None else find_classes(known, known)

    def read(self, X: Any, cache: dict[Any, Any]) -> Any:
        """Return the rows as they reach what is timed: images, where X has paths."""
        if self.reader is None:
            return X
        key = (name_of(self.reader), id(X))
        if key not in cache:
            cache[key] = self.reader.transform(X)
        return cache[key]

    def ask(self, rows: Any, classes: np.ndarray) -> Said:
        """Return labels and probabilities.

        Parameters
        ----------
        rows : array-like of n rows
            What `read` returned.
        classes : ndarray of shape (n_classes,)
            What the columns of a model stand for that does not know it.

        Returns
        -------
        Said
        """
        if self.teacher is not None:
            own = self.classes
            columns = classes if own is None else own
            logits = self.teacher.logits(rows, columns).astype(np.float64)
            # Differences of two scores are no probabilities, even if they may teach.
            proba = None if gives_scores(self.teacher) else softmax(logits, axis=1)
            return Said(columns[logits.argmax(axis=1)], proba, columns)
        if isinstance(self.body, (DistilledClassifier, Recipe)):
            proba = self.body.predict_proba(rows)
            return Said(self.body.classes_[proba.argmax(axis=1)], proba, self.classes)
        labels = np.asarray(self.body.predict(rows))
        if self.classes is None or not hasattr(self.body, "predict_proba"):
            return Said(labels)
        return Said(labels, np.asarray(self.body.predict_proba(rows)), self.classes)

    def answer(self, rows: Any, classes: np.ndarray) -> Any:
        """Return labels alone: what is timed."""
        if self.teacher is None:
            return self.body.predict(rows)
        own = self.classes
        columns = classes if own is None else own
        return columns[self.teacher.logits(rows, columns).argmax(axis=1)]


def _classes_of(teacher: Teacher) -> np.ndarray | None:
    if isinstance(teacher, TransformedTeacher):
        return _classes_of(teacher.teacher)
    if isinstance(teacher, EnsembleTeacher):
        known = [_classes_of(member) for member in teacher.model]
        return next((classes for classes in known if classes is not None), None)
    return teacher.classes_


def gives_scores(teacher: Teacher) -> bool:
    """Tell whether the logits of a teacher, or of one of several, are mere scores."""
    if isinstance(teacher, TransformedTeacher):
        return gives_scores(teacher.teacher)
    if isinstance(teacher, EnsembleTeacher):
        return any(gives_scores(teacher.model[i]) for i in teacher.weights.nonzero()[0])
    is_auto = isinstance(teacher, SklearnTeacher) and teacher.output == "auto"
    return is_auto and teacher._method() == "decision_function"  # type: ignore[attr-defined]


def take_rows(X: Any, rows: Sequence[int] | np.ndarray) -> Any:
    """Return some rows of `X`, whatever holds them; lazy images as an array."""
    rows = np.asarray(rows, dtype=np.intp)
    if isinstance(X, Mapping) and not hasattr(X, "toarray"):
        return {key: take_rows(value, rows) for key, value in X.items()}
    if is_dataset(X):
        return Subset(X, rows.tolist())
    if is_lazy(X):
        return np.asarray(X[rows])
    return _safe_indexing(X, rows)
