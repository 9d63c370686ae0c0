"""What a model consists of, once wrappers are taken off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet

from skkd._utils.modules import describe
from skkd.images._reader import ImageReader
from skkd.recipes import BornAgain, Recipe
from skkd.teachers import Teacher
from skkd.teachers._ensemble import EnsembleTeacher


@dataclass
class Parts:
    """What runs when a model predicts."""

    networks: list[Any] = field(default_factory=list)
    # Classifiers that are not networks, and fitted transformers before the classifier.
    others: list[Any] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    # All that have a training mode: networks and criteria.
    modules: list[Any] = field(default_factory=list)


def unwrapped(model: Any) -> Any:
    """Return the classifier inside a search or a FrozenEstimator."""
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif hasattr(model, "best_estimator_") and hasattr(model, "cv_results_"):
            model = model.best_estimator_
        elif isinstance(model, Pipeline) and len(model.steps) == 1:
            model = model[0]
        else:
            return model


def split_reader(model: Any) -> tuple[ImageReader | None, Any]:
    """Return the step that reads image files, None for none, and the other steps."""
    model = unwrapped(model)
    if isinstance(model, Pipeline) and isinstance(model[0], ImageReader):
        return model[0], unwrapped(model[1:])
    if type(model) in (list, tuple) and len(model):
        pairs = [split_reader(member) for member in model]
        if len({reader_key(reader) for reader, _ in pairs}) == 1:
            return pairs[0][0], [body for _, body in pairs]
    return None, model


def reader_key(reader: ImageReader | None) -> str:
    """Return a key, the same for readers that make the same images of a file."""
    if reader is None:
        return ""
    return repr(clone(reader).set_params(n_jobs=None, memory=None))


def parts_of(model: Any) -> Parts:
    """Return what runs when `model` predicts; raise NotFittedError if it cannot."""
    found = Parts()
    _collect(model, found)
    return found


def _collect(model: Any, found: Parts) -> None:
    model = unwrapped(model)
    _check_fitted(model)
    if isinstance(model, torch.nn.Module):
        found.networks.append(model)
        found.modules.append(model)
    elif isinstance(model, NeuralNet):
        found.networks.append(model.module_)
        names = [f"{name}_" for name in model._modules + model._criteria]
        values = [getattr(model, name, None) for name in names]
        found.modules += [v for v in values if isinstance(v, torch.nn.Module)]
    elif isinstance(model, Pipeline):
        found.steps += [step for step in model[:-1] if _has_fitted(step)]
        _collect(model[-1], found)
    elif (members := _members(model)) is not None:
        for member in members:
            _collect(member, found)
    else:
        found.others.append(model)


def _check_fitted(model: Any) -> None:
    if isinstance(model, NeuralNet):
        if not model.__sklearn_is_fitted__():
            raise NotFittedError(f"{describe(model)} is not fitted.")
    elif isinstance(model, BaseEstimator):
        check_is_fitted(model)


def _members(model: Any) -> list[Any] | None:
    """Return the members of an ensemble or wrapper, None if `model` is neither."""
    if isinstance(model, EnsembleTeacher):
        return [model.model[i] for i in np.flatnonzero(model.weights)]
    if isinstance(model, Teacher):
        return [model.model]
    if isinstance(model, BornAgain) and model.ensemble:
        return list(model.generations_)
    if isinstance(model, Recipe):
        return [model.student_]
    if type(model) in (list, tuple):
        return list(model)
    members = getattr(model, "estimators_", None)
    is_flat = isinstance(members, list) and len(members)
    if is_flat and any(isinstance(unwrapped(m), NeuralNet) for m in members):  # type: ignore[union-attr]
        return members  # as of VotingClassifier
    return None


def _has_fitted(step: Any) -> bool:
    return hasattr(step, "fit") and get_tags(step).requires_fit
