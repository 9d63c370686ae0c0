"""The models of a comparison: anything that classifies, asked in one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from skorch import NeuralNet

from skkd._data.labels import find_classes
from skkd._estimator.classifier import DistilledClassifier
from skkd._evaluate.parts import name_of, parts_of, without_reader
from skkd.recipes import Recipe
from skkd.teachers import Teacher
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._ensemble import EnsembleTeacher
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
            proba = None if self.teacher.gives_scores else softmax(logits, axis=1)
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
