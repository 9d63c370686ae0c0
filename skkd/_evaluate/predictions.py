"""Predictions of several models on the same rows, over the same classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skkd._evaluate.models import EvaluatedModel, Models, Predictions
from skkd._utils.modules import describe, is_out_of_memory


@dataclass(frozen=True)
class AlignedPredictions:
    """Predictions of all models, encoded by the same classes."""

    classes: np.ndarray  # all labels of y and of the models, sorted
    y_encoded: np.ndarray  # (n,), class indices of the true labels
    labels: dict[str, np.ndarray]  # (n,), class indices that each model predicts
    proba: dict[str, np.ndarray | None]  # (n, n_classes)
    knows_all: dict[str, bool]  # whether the model knows all classes of y

    def of_model(self, name: str) -> Predictions:
        """Return the predictions of one model, as labels."""
        labels = self.classes[self.labels[name]]
        return Predictions(labels, self.proba[name], self.classes)


def predict_all(
    models: Models, rows: Mapping[str, Any], y: np.ndarray
) -> AlignedPredictions:
    """Predict with all models, each on its own input.

    Raises ValueError if a model does not accept its rows, or knows none of the labels
    of y.
    """
    known = {
        name: model.classes.tolist()
        for name, model in models.items()
        if model.classes is not None
    }
    expected = _sorted(y.tolist(), *known.values())
    predicted = {
        name: _predict(model, rows[name], expected, len(y))
        for name, model in models.items()
    }
    used = {name: set(one.labels.tolist()) for name, one in predicted.items()}
    for name in models:
        _check_shares_labels(name, known.get(name, used[name]), y)
    classes = _sorted(expected.tolist(), *used.values())
    aligned = AlignedPredictions(classes, _encode(y, classes), {}, {}, {})
    for name, one in predicted.items():
        aligned.labels[name] = _encode(one.labels, classes)
        aligned.proba[name] = _align(one, classes)
        own = set(classes if one.classes is None else one.classes.tolist())
        aligned.knows_all[name] = set(y.tolist()) <= own
    return aligned


def _predict(
    model: EvaluatedModel, rows: Any, classes: np.ndarray, n: int
) -> Predictions:
    what = f"models[{model.name!r}], {describe(model.body)},"
    try:
        predicted = model.predict(rows, classes)
    except (ValueError, TypeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"{what} cannot predict X: {error} If it needs another form of the rows "
            f"than the other models, pass it as X_by_model={{{model.name!r}: ...}}."
        ) from error
    if predicted.labels.shape != (n,):
        raise ValueError(
            f"{what} predicts labels of shape {predicted.labels.shape}, expected "
            f"({n},): one for each row of y."
        )
    shape = None if predicted.classes is None else (n, len(predicted.classes))
    if predicted.proba is not None and predicted.proba.shape != shape:
        raise ValueError(
            f"{what} predicts probabilities of shape {predicted.proba.shape}, expected "
            f"{shape}: a column for each of its classes_."
        )
    return predicted


def _check_shares_labels(name: str, labels: Iterable[Any], y: np.ndarray) -> None:
    labels, truth = list(labels), np.unique(y).tolist()
    if set(labels) & set(truth):
        return
    raise ValueError(
        f"models[{name!r}] knows none of the labels of y: it predicts "
        f"{sorted(labels, key=str)[:5]}, y holds {truth[:5]}. Pass y with the labels "
        "that the models were trained on."
    )


def _sorted(*labels: Iterable[Any]) -> np.ndarray:
    every = set().union(*labels)
    try:
        ordered = sorted(every)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in every})
        raise ValueError(
            f"y and the models have labels of several types, {', '.join(kinds)}, "
            "which are never equal. Pass y with the labels that the models were "
            "trained on."
        ) from error
    return np.asarray(ordered)


def _encode(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    index = {label: i for i, label in enumerate(classes.tolist())}
    return np.array([index[label] for label in labels.tolist()], dtype=np.intp)


def _align(predicted: Predictions, classes: np.ndarray) -> np.ndarray | None:
    if predicted.proba is None or predicted.classes is None:
        return None
    n_rows = len(predicted.proba)
    aligned = np.zeros((n_rows, len(classes)), dtype=predicted.proba.dtype)
    aligned[:, _encode(predicted.classes, classes)] = predicted.proba
    return aligned
