"""Fitted models, measured on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, column_or_1d

from skkd._data.labels import check_labels, labels_of
from skkd._evaluate.costs import costs_of
from skkd._evaluate.models import Models, all_in_eval_mode, wrap_models
from skkd._evaluate.parts import unwrapped
from skkd._evaluate.predictions import AlignedPredictions, predict_all
from skkd._evaluate.quality import quality
from skkd._evaluate.statistics import standard_error


@dataclass(frozen=True)
class Evaluation:
    """Models measured on the same rows."""

    # Quality and costs of each model, None for a measure that does not apply.
    measures: dict[str, dict[str, Any]]
    predictions: AlignedPredictions
    y: np.ndarray  # the true labels
    rows: dict[str, Any]  # the input of each model
    groups: np.ndarray | None  # None if each row is a group of its own
    conditions: list[str]  # how times were measured


def evaluate(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    X_by_model: Mapping[str, Any] | None = None,
    teacher: str | None = None,
    groups: Any = None,
    batch_size: int = 0,
) -> Evaluation:
    """Measure quality and costs of all models; none of them is changed.

    Parameters are those of :func:`skkd.report.compare`, with `teacher` the model with
    which agreement is measured, and no times for a `batch_size` of 0.
    """
    y, _ = check_labels(X, labels_of(X, y))
    groups = _check_groups(groups, y)
    wrapped = wrap_models(models)
    _check_labelled(wrapped, y)
    X_by_model = X_by_model or {}
    images: dict[Any, Any] = {}  # files that several models read: once
    with all_in_eval_mode(wrapped):
        rows = {
            name: model.read_images(X_by_model.get(name, X), images)
            for name, model in wrapped.items()
        }
        predictions = predict_all(wrapped, rows, y)
        costs, conditions = costs_of(wrapped, rows, predictions.classes, batch_size)
    measures = {
        name: _quality_of(predictions, name, teacher, groups) | costs[name]
        for name in wrapped
    }
    return Evaluation(measures, predictions, y, rows, groups, conditions)


def _check_groups(groups: Any, y: np.ndarray) -> np.ndarray | None:
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(groups, y)
    is_one_each = len(np.unique(groups)) == len(groups)
    return None if is_one_each else groups


def _check_labelled(models: Models, y: np.ndarray) -> None:
    """Raise if rows have no label: they would count as errors of all models."""
    for name, model in models.items():
        body = model.body
        last = unwrapped(body[-1]) if isinstance(body, Pipeline) else body
        mark = getattr(getattr(last, "estimator", last), "unlabeled", None)
        if mark is not None and (n := y.tolist().count(mark)):
            raise ValueError(
                f"{n} rows of y are {mark!r}, by which models[{name!r}] marks rows "
                "without a label: leave these rows out of X and y."
            )


def _quality_of(
    predictions: AlignedPredictions,
    name: str,
    teacher: str | None,
    groups: np.ndarray | None,
) -> dict[str, Any]:
    y, labels = predictions.y_encoded, predictions.labels[name]
    values: dict[str, Any] = quality(y, labels, predictions.proba[name])
    values["accuracy_error"] = standard_error(labels == y, groups)
    if not predictions.knows_all[name]:
        values["log_loss"] = None
    values["agreement"] = None
    if teacher is not None and name != teacher:
        values["agreement"] = float(np.mean(labels == predictions.labels[teacher]))
    return values
