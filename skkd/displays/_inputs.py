"""Predictions of fitted classifiers for the displays, and checks of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.pipeline import Pipeline

from skkd._data.rows import len_of
from skkd.teachers import Teacher
from skkd.teachers._as_teacher import as_teacher


def check_mapping(name: str, value: Any, of: str) -> dict[str, Any]:
    """Return `value` as a dict; raise if it is not a mapping of names to `of`."""
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} is a {type(value).__name__}: expected a mapping of names to {of}, "
            f'such as {{"teacher": ..., "student": ...}}.'
        )
    if not value:
        raise ValueError(f"{name} is empty: expected names and {of}.")
    return {str(key): entry for key, entry in value.items()}


def check_lengths(arrays: Mapping[str, Any]) -> None:
    """Raise if `arrays` have different numbers of rows."""
    lengths = {name: len_of(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValueError(f"Lengths differ ({got}): expected the same rows in each.")


def last_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline, the best estimator of a search."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def classes_of(name: str, estimator: Any, classes: ArrayLike | None) -> np.ndarray:
    """Return the labels of the columns of what `estimator` predicts."""
    known = getattr(estimator, "classes_", None) if classes is None else classes
    if known is None:
        raise ValueError(
            f"{name} ({type(last_step(estimator)).__name__}) does not know the classes "
            "of its columns: pass classes=[...]. A scikit-learn classifier without "
            "classes_ is not fitted: call fit first."
        )
    return np.asarray(known)


def probabilities(
    name: str, estimator: Any, X: Any, classes: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted probabilities (n, n_classes) and the classes of the columns."""
    if hasattr(estimator, "predict_proba"):
        labels = classes_of(name, estimator, None)
        return np.asarray(estimator.predict_proba(X)), labels
    teacher = as_teacher(estimator)
    if teacher.gives_scores:
        raise TypeError(
            f"{name} ({type(last_step(estimator)).__name__}) gives no probabilities: "
            "expected predict_proba, which CalibratedClassifierCV adds."
        )
    labels = classes_of(name, estimator, classes)
    return softmax(np.asarray(teacher.logits(X, labels), float), axis=1), labels


def predictions(name: str, estimator: Any, X: Any) -> np.ndarray:
    """Return the predicted labels (n,)."""
    if not hasattr(estimator, "predict"):
        hint = "a torch module" if isinstance(estimator, torch.nn.Module) else "it"
        raise TypeError(
            f"{name} is a {type(estimator).__name__} without predict: expected a "
            f"fitted classifier. Predict with {hint} and use from_predictions."
        )
    return np.asarray(estimator.predict(X))


def logits_of(
    estimator: Any, X: Any, classes: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (n, n_classes) and the classes of the columns."""
    labels = classes_of("estimator", estimator, classes)
    teacher = estimator if isinstance(estimator, Teacher) else as_teacher(estimator)
    teacher.check(labels)
    return teacher.logits(X, labels), labels
