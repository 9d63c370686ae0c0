"""The model cards of a comparison and of a gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd._evaluate.about_student import about_student
from skkd._evaluate.card import Card

# The names of the hub for what is measured.
_METRICS = {"accuracy": "accuracy", "f1": "f1"}


def card_of_comparison(
    result: Any, model: str | None, student: Any, gain: Any, title: str, **about: Any
) -> Card:
    """Return the card of one of the models that were compared."""
    name = _name_of(result, model)
    measures = result.measures[name]
    if student is not None:
        _check_is(student, name, measures.get("parameters"))
    evaluation = [
        f"This card is of `{name}`.",
        result.to_markdown().rpartition("\n\n")[0],
        "\n".join(f"- {note}" for note in result.notes),
    ]
    if gain is not None:
        evaluation += ["### Gain over the plain student", gain.to_markdown()]
    return Card(
        title=title or name,
        student=student,
        classes=result.classes,
        evaluation="\n\n".join(evaluation),
        known_limits=_known_limits(result.y, result.caveat),
        metrics={
            hub: float(measures[key])
            for key, hub in _METRICS.items()
            if measures.get(key) is not None
        },
        machine=result.machine,
        **about,
    )


def card_of_gain(
    result: Any, student: Any = None, title: str = "", **about: Any
) -> Card:
    """Return the card of a student whose gain was measured."""
    if student is not None:
        _check_is(student, "distilled", result.n_parameters["distilled"])
    y = np.concatenate([fit.y_true for fit in result.predictions])
    metric = result.metric if isinstance(result.metric, str) else ""
    known = (
        {_METRICS[metric]: float(result.distilled.mean())} if metric in _METRICS else {}
    )
    return Card(
        title=title or "student",
        student=student,
        classes=np.unique(y),
        evaluation=result.to_markdown(),
        known_limits=_known_limits(None, result.caveat),
        metrics=known,
        **about,
    )


def _name_of(result: Any, model: str | None) -> str:
    names = [*result.measures]
    if model is None:
        others = [n for n in names if n not in (result.teacher, result.baseline)]
        if len(others) == 1:
            return others[0]
        raise ValueError(
            f"A card is of one model, and {names} were compared: pass model=, one of "
            "these."
        )
    if model not in names:
        raise ValueError(f"model={model!r}: expected one of {names}.")
    return model


def _check_is(student: Any, name: str, n_parameters: Any) -> None:
    """Raise if a student is another than the one that was measured."""
    about = about_student(student)
    if about is None:
        raise TypeError(
            f"student={type(student).__name__}: expected a fitted DistilledClassifier, "
            "a Pipeline that ends in one, or an OnnxClassifier."
        )
    found = about.n_parameters
    if n_parameters is not None and found != n_parameters:
        raise ValueError(
            f"student has {found:,} parameters, and {name!r} had {n_parameters:,} when "
            "it was measured: pass the student that the result is about."
        )


def _known_limits(y: np.ndarray | None, caveat: str) -> list[str]:
    limits = [caveat] if caveat else []
    limits.append("Every input gets one of the classes above, whatever it shows.")
    if y is not None:
        labels, counts = np.unique(y, return_counts=True)
        rarest = counts.argmin()
        limits.append(
            f"It was measured on {len(y):,} rows; the rarest class among them, "
            f"`{labels[rarest]}`, has {counts[rarest]:,}."
        )
    return limits
