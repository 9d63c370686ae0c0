"""The images from which most can be learnt about the models: where they differ."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from skkd._data.rows import take_rows
from skkd._evaluate.predictions import Asked

# Gray, or red, green and blue.
_CHANNELS = (1, 3)
# Labels that are shown of an image, where there are as many.
_LEAST = 4


@dataclass(frozen=True)
class Example:
    """An image, and what each model says of it.

    Attributes
    ----------
    row : int
        Its number in X.
    name : str
        Of its file, where X has paths; otherwise its number.
    picture : ndarray of shape (C, H, W), uint8
    label : object
        Its true label.
    labels : dict of str to object
        The label that each model gives.
    soft : dict of str to dict
        For each model that gives probabilities, those of the labels that matter.
    """

    row: int
    name: str
    picture: np.ndarray
    label: Any
    labels: dict[str, Any]
    soft: dict[str, dict[Any, float]]


def choose_examples(
    X: Any,
    asked: Asked,
    rows: Mapping[str, Any],
    roles: Mapping[str, str],
    groups: np.ndarray | None,
    n: int,
) -> tuple[list[Example], str]:
    """Return the images on which the models differ most, and how often they differ.

    Teacher and plain student where both are there, any of the models otherwise.

    Parameters
    ----------
    X : array-like of n rows
        As the caller has them: paths have names.
    asked : Asked
    rows : mapping of str to array-like of n rows
        Of each model.
    roles : mapping of str to str
        Which model is "teacher", and which "plain".
    groups : ndarray of shape (n,) or None
        One image is taken of a group.
    n : int
        At most so many.

    Returns
    -------
    examples : list of Example
        Empty where no model is given images that can be shown.
    differ : str
    """
    images = [own for own in rows.values() if _is_images(own)]
    names = [*roles.values()] if len(roles) == 2 else [*asked.labels]
    if not images or n < 1 or len(names) < 2:
        return [], ""
    # The finest that any of them sees.
    finest = max(images, key=lambda own: np.prod(own.shape[1:]))
    chosen = _most_different(asked, names, groups)[:n]
    pictures: Any = take_rows(finest, chosen) if len(chosen) else []
    examples = [
        _example(asked, int(row), _name(X, int(row)), picture)
        for row, picture in zip(chosen, pictures, strict=True)
    ]
    return examples, _how_often(asked, names)


def _is_images(rows: Any) -> bool:
    shape: tuple[int, ...] = getattr(rows, "shape", ())
    is_bytes = str(getattr(rows, "dtype", "")).endswith("uint8")
    return is_bytes and len(shape) == 4 and shape[1] in _CHANNELS


def _most_different(
    asked: Asked, names: list[str], groups: np.ndarray | None
) -> np.ndarray:
    """Return rows whose labels differ, the most different probabilities first."""
    apart = np.zeros(len(asked.truth))
    for first, second in combinations(names, 2):
        apart = np.maximum(apart, _distance(asked, first, second))
    order = np.argsort(-apart, kind="stable")
    order = order[apart[order] > 0]
    if groups is not None:
        _, firsts = np.unique(groups[order], return_index=True)
        order = order[np.sort(firsts)]
    return order


def _distance(asked: Asked, first: str, second: str) -> np.ndarray:
    """Return the total variation where labels differ; 1 without probabilities."""
    proba, other = asked.proba[first], asked.proba[second]
    distance = np.ones(len(asked.truth))
    if proba is not None and other is not None:
        distance = np.abs(proba - other).sum(axis=1) / 2
    return np.where(asked.labels[first] != asked.labels[second], distance, 0)


def _name(X: Any, row: int) -> str:
    given = X[row] if isinstance(X, (np.ndarray, list, tuple)) else None
    if isinstance(given, (str, os.PathLike)):
        return Path(given).name
    return f"image {row}"


def _example(asked: Asked, row: int, name: str, picture: np.ndarray) -> Example:
    labels = {name: int(y_encoded[row]) for name, y_encoded in asked.labels.items()}
    soft = {name: p[row] for name, p in asked.proba.items() if p is not None}
    shown = list(dict.fromkeys([int(asked.truth[row]), *labels.values()]))
    if soft:
        most = np.argsort(-np.max([*soft.values()], axis=0), kind="stable").tolist()
        shown += [code for code in most if code not in shown][: _LEAST - len(shown)]
    classes = asked.classes.tolist()
    return Example(
        row=row,
        name=name,
        picture=picture,
        label=classes[asked.truth[row]],
        labels={name: classes[code] for name, code in labels.items()},
        soft={
            name: {classes[code]: float(p[code]) for code in shown}
            for name, p in soft.items()
        },
    )


def _how_often(asked: Asked, names: list[str]) -> str:
    labels = np.array([asked.labels[name] for name in names])
    differ = (labels != labels[0]).any(axis=0)
    n, total = int(differ.sum()), len(asked.truth)
    if len(names) > 2:
        return f"The models do not agree on {n:,} of {total:,} images."
    first, second = (asked.truth == y_encoded for y_encoded in labels)
    right, wrong = int((differ & first).sum()), int((differ & second).sum())
    return (
        f"{names[0]} and {names[1]} differ on {n:,} of {total:,} images: "
        f"{names[0]} is right on {right:,}, {names[1]} on {wrong:,}, neither on "
        f"{n - right - wrong:,}."
    )
