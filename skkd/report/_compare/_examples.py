"""Example images: those on which the models differ most."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from skkd._data.rows import take_rows
from skkd._evaluate.evaluate import Evaluation
from skkd._evaluate.predictions import AlignedPredictions

# Gray, or red, green and blue.
_CHANNELS = (1, 3)
# Labels that are shown for an image, if there are as many.
_N_LABELS = 4


@dataclass(frozen=True)
class Example:
    """An image, and what each model predicts for it.

    Attributes
    ----------
    row : int
        Its index in X.
    name : str
        Name of its file if X holds paths, otherwise its index.
    picture : ndarray of shape (C, H, W), uint8
    label : object
        Its true label.
    labels : dict of str to object
        The label that each model predicts.
    soft : dict of str to dict
        For each model with probabilities, those of the labels that are shown.
    """

    row: int
    name: str
    picture: np.ndarray
    label: Any
    labels: dict[str, Any]
    soft: dict[str, dict[Any, float]]

    @property
    def shown_labels(self) -> list[Any]:
        """The labels whose probabilities are shown."""
        return list(dict.fromkeys(label for one in self.soft.values() for label in one))

    def percent(self, name: str, label: Any) -> float | None:
        """Return the probability in percent that a model gives to a label."""
        proba = self.soft.get(name, {}).get(label)
        return None if proba is None else 100 * proba


def choose_examples(
    X: Any, found: Evaluation, roles: Mapping[str, str], n: int
) -> tuple[list[Example], str]:
    """Return the images on which the models differ most, and how often they differ.

    Teacher and baseline if `roles` has both, otherwise any of the models. At most one
    image is taken from each group, and none if no model's input can be shown. Paths in
    X, as passed by the user, name the images.
    """
    predictions = found.predictions
    images = [own for own in found.rows.values() if _is_images(own)]
    names = [*roles.values()] if len(roles) == 2 else [*predictions.labels]
    if not images or n < 1 or len(names) < 2:
        return [], ""
    # The finest resolution that any model sees.
    finest = max(images, key=lambda own: np.prod(own.shape[1:]))
    chosen = _most_different(predictions, names, found.groups)[:n]
    pictures: Any = take_rows(finest, chosen) if len(chosen) else []
    examples = [
        _example(predictions, int(row), _name(X, int(row)), picture)
        for row, picture in zip(chosen, pictures, strict=True)
    ]
    return examples, _disagreement(predictions, names)


def _is_images(rows: Any) -> bool:
    shape: tuple[int, ...] = getattr(rows, "shape", ())
    is_bytes = str(getattr(rows, "dtype", "")).endswith("uint8")
    return is_bytes and len(shape) == 4 and shape[1] in _CHANNELS


def _most_different(
    predictions: AlignedPredictions, names: list[str], groups: np.ndarray | None
) -> np.ndarray:
    """Return rows whose labels differ, the most different probabilities first."""
    apart = np.zeros(len(predictions.y_encoded))
    for first, second in combinations(names, 2):
        apart = np.maximum(apart, _distance(predictions, first, second))
    order = np.argsort(-apart, kind="stable")
    order = order[apart[order] > 0]
    if groups is not None:
        _, firsts = np.unique(groups[order], return_index=True)
        order = order[np.sort(firsts)]
    return order


def _distance(predictions: AlignedPredictions, first: str, second: str) -> np.ndarray:
    """Return the total variation of rows whose labels differ, 1 without proba."""
    proba, other = predictions.proba[first], predictions.proba[second]
    distance = np.ones(len(predictions.y_encoded))
    if proba is not None and other is not None:
        distance = np.abs(proba - other).sum(axis=1) / 2
    labels = predictions.labels
    return np.where(labels[first] != labels[second], distance, 0)


def _name(X: Any, row: int) -> str:
    given = X[row] if isinstance(X, (np.ndarray, list, tuple)) else None
    if isinstance(given, (str, os.PathLike)):
        return Path(given).name
    return f"image {row}"


def _example(
    predictions: AlignedPredictions, row: int, name: str, picture: np.ndarray
) -> Example:
    truth = int(predictions.y_encoded[row])
    labels = {name: int(one[row]) for name, one in predictions.labels.items()}
    soft = {name: p[row] for name, p in predictions.proba.items() if p is not None}
    shown = list(dict.fromkeys([truth, *labels.values()]))
    if soft:
        order = np.argsort(-np.max([*soft.values()], axis=0), kind="stable").tolist()
        shown += [code for code in order if code not in shown][: _N_LABELS - len(shown)]
    classes = predictions.classes.tolist()
    return Example(
        row=row,
        name=name,
        picture=picture,
        label=classes[truth],
        labels={name: classes[code] for name, code in labels.items()},
        soft={
            name: {classes[code]: float(p[code]) for code in shown}
            for name, p in soft.items()
        },
    )


def _disagreement(predictions: AlignedPredictions, names: list[str]) -> str:
    labels = np.array([predictions.labels[name] for name in names])
    differ = (labels != labels[0]).any(axis=0)
    n, total = int(differ.sum()), labels.shape[1]
    if len(names) > 2:
        return f"The models do not agree on {n:,} of {total:,} images."
    first, second = (predictions.y_encoded == one for one in labels)
    right, wrong = int((differ & first).sum()), int((differ & second).sum())
    return (
        f"{names[0]} and {names[1]} differ on {n:,} of {total:,} images: "
        f"{names[0]} is right on {right:,}, {names[1]} on {wrong:,}, neither on "
        f"{n - right - wrong:,}."
    )
