"""A fitted model that is measured: anything that classifies, behind one interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from skorch import NeuralNet

from skkd._estimator.classifier import DistilledClassifier
from skkd._evaluate.parts import parts_of, reader_key, split_reader
from skkd._utils.modules import describe, eval_mode
from skkd._utils.rng import preserved_rng
from skkd.recipes import Recipe
from skkd.teachers import Teacher
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._feature_names import in_order
from skkd.teachers._transform import TransformedTeacher


@dataclass(frozen=True)
class Predictions:
    """What a model predicted.

    Attributes
    ----------
    labels : ndarray of shape (n,)
    proba : ndarray of shape (n, n_classes) or None
        Predicted probabilities; None if the model gives none. In a ``Comparison``
        the columns are its ``classes``, with 0 for a class unknown to the model.
    classes : ndarray of shape (n_classes,) or None
        Labels of the columns of `proba`.
    """

    labels: np.ndarray
    proba: np.ndarray | None = None
    classes: np.ndarray | None = None


class EvaluatedModel:
    """A fitted classifier, network, teacher, callable or list of these."""

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        # The reader of image files is no part of the body: its time is not measured.
        self.reader, body = split_reader(model)
        # A module or teacher has no `predict`; that of a plain skorch net returns
        # column numbers, not labels.
        is_plain_net = isinstance(body, NeuralNet) and not isinstance(
            body, DistilledClassifier
        )
        is_teacher = is_plain_net or not hasattr(body, "predict")
        self.teacher: Teacher | None = as_teacher(body) if is_teacher else None
        self.body = body
        self.parts = parts_of(body)

    @property
    def classes(self) -> np.ndarray | None:
        """Labels of the columns, in their order; None if the model has none."""
        if self.teacher is not None:
            return _classes_of(self.teacher)
        known = getattr(self.body, "classes_", None)
        return None if known is None else np.asarray(known)

    def read_images(self, X: Any, cache: dict[Any, Any]) -> Any:
        """Return the input of `body`: X, or its images if a reader comes first."""
        if self.reader is None:
            return X
        key = (reader_key(self.reader), id(X))
        if key not in cache:
            cache[key] = self.reader.transform(X)
        return cache[key]

    def predict(self, rows: Any, classes: np.ndarray) -> Predictions:
        """Return labels and probabilities of what `read_images` returned.

        `classes` labels the columns of a model that does not know its own.
        """
        if self.teacher is not None:
            own = self.classes
            columns = classes if own is None else own
            logits = self.teacher.logits(rows, columns).astype(np.float64)
            # A softmax of decision scores is no probability, even if it can teach.
            proba = None if self.teacher.gives_scores else softmax(logits, axis=1)
            return Predictions(columns[logits.argmax(axis=1)], proba, columns)
        if isinstance(self.body, (DistilledClassifier, Recipe)):
            # One forward pass for both.
            proba = self.body.predict_proba(rows)
            labels = self.body.classes_[proba.argmax(axis=1)]
            return Predictions(labels, proba, self.classes)
        rows = _by_name(rows, self.body)
        labels = np.asarray(self.body.predict(rows))
        if self.classes is None or not hasattr(self.body, "predict_proba"):
            return Predictions(labels)
        proba = np.asarray(self.body.predict_proba(rows))
        return Predictions(labels, proba, self.classes)

    def predict_labels(self, rows: Any, classes: np.ndarray) -> Any:
        """Return the labels alone: the call that is timed."""
        if self.teacher is None:
            return self.body.predict(_by_name(rows, self.body))
        own = self.classes
        columns = classes if own is None else own
        return columns[self.teacher.logits(rows, columns).argmax(axis=1)]


Models = Mapping[str, EvaluatedModel]


def wrap_models(models: Mapping[str, Any]) -> dict[str, EvaluatedModel]:
    """Wrap each model; raise if one is not fitted or does not classify."""
    wrapped = {}
    for name, model in models.items():
        try:
            wrapped[name] = EvaluatedModel(name, model)
        except NotFittedError as error:
            raise NotFittedError(
                f"models[{name!r}], {describe(model)}, is not fitted: call fit before "
                "comparing it."
            ) from error
        except TypeError as error:
            raise TypeError(f"models[{name!r}]: {error}") from error
    return wrapped


@contextmanager
def all_in_eval_mode(models: Models) -> Iterator[None]:
    """Put all networks in eval mode; restore modes and random states afterwards."""
    modules = [module for one in models.values() for module in one.parts.modules]
    tensors = (t for module in modules for t in module.parameters())
    with ExitStack() as stack:
        for device in {"cpu", *(str(tensor.device) for tensor in tensors)}:
            stack.enter_context(preserved_rng(device))
        stack.enter_context(eval_mode(*modules))
        yield


def _by_name(rows: Any, body: Any) -> Any:
    # Some libraries take columns by their place; a student of ours refuses them.
    named = hasattr(rows, "columns") and not isinstance(body, DistilledClassifier)
    return in_order(rows, body) if named else rows


def _classes_of(teacher: Teacher) -> np.ndarray | None:
    if isinstance(teacher, TransformedTeacher):
        return _classes_of(teacher.teacher)
    if isinstance(teacher, EnsembleTeacher):
        known = [_classes_of(member) for member in teacher.model]
        return next((classes for classes in known if classes is not None), None)
    return teacher.classes_
