"""The outputs of a model, as logits of the student's classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd._utils.modules import describe


def columns_of(
    model: Any, known: np.ndarray | None, classes: np.ndarray, extra_classes: str
) -> list[int] | None:
    """Return the model's column of each class; None if they are in this order."""
    if known is None:
        return None
    column = {label: i for i, label in enumerate(known.tolist())}
    missing = [label for label in classes.tolist() if label not in column]
    if missing:
        hint = f" If it marks unlabelled samples, pass unlabeled={missing[0]!r}."
        raise ValueError(
            f"The teacher {describe(model)} does not know the classes "
            f"{missing[:10]} of y; it knows {known.tolist()[:20]}."
            f"{hint if len(missing) == 1 else ''} Name its columns by the same labels, "
            "as_teacher(model, classes=[...]), or train it on all of them. "
            "VotingClassifier, BaggingClassifier and others replace labels by numbers: "
            "there, name the columns by these."
        )
    if len(column) > len(classes) and extra_classes == "error":
        extra = sorted(set(column) - set(classes.tolist()), key=str)
        raise ValueError(
            f"The teacher {describe(model)} knows classes that y does not "
            f"have: {extra[:10]}. If y merely lacks them here, as in a fold, declare "
            "all of them: DistilledClassifier(classes=[...]). If their columns may be "
            "left out, say so: as_teacher(model, extra_classes='drop')."
        )
    return [column[label] for label in classes.tolist()]


def of_both_classes(values: np.ndarray, output: str) -> np.ndarray:
    """Return a column for each of two classes, if one is said to stand for both."""
    positive = values.ravel()
    if output == "logit":
        return np.column_stack([np.zeros_like(positive), positive])
    if output == "proba":
        return np.column_stack([1 - positive, positive])
    return values


def remedy_for(values: np.ndarray, expected: tuple[int, int]) -> str:
    n_samples, width = expected
    if width == 2 and values.shape in ((n_samples,), (n_samples, 1)):
        return (
            " If its one output stands for the second class, say what it is: "
            "as_teacher(model, output='logit'), or output='proba' after a sigmoid."
        )
    if values.ndim == 2 and len(values) == n_samples and values.shape[1] > width:
        return (
            f" Name its {values.shape[1]} columns by their labels, those of y among "
            "them: as_teacher(model, classes=[...], extra_classes='drop')."
        )
    return ""


def check_probabilities(model: Any, values: np.ndarray, kind: str) -> None:
    """Raise if outputs that should be probabilities are not between 0 and 1."""
    bounds = {"proba": (0, 1), "log_proba": (-np.inf, 0)}
    low, high = bounds.get(kind, (-np.inf, np.inf))
    wrong = (values < low - 1e-3) | (values > high + 1e-3)
    if wrong.any():
        raise ValueError(
            f"The teacher {describe(model)} should give {kind}, by its type or by "
            f"output=, and gives {values[wrong][0]:.4g}. Say what it gives: "
            "as_teacher(model, output='logits'), 'proba' or 'log_proba'."
        )


def renormalized(values: np.ndarray, kind: str) -> np.ndarray:
    """Let the probabilities of some of the classes sum to one, uniform if none has any.

    Before small ones are clipped, which would make rows of little probability uniform.
    """
    if kind == "logits":  # the softmax of the loss normalises them
        return values
    p = values
    if kind == "log_proba":
        p = np.exp(values - values.max(axis=1, keepdims=True))
    total = p.sum(axis=1, keepdims=True)
    p = np.where(total > 0, p / np.where(total > 0, total, 1), 1 / values.shape[1])
    return p if kind == "proba" else np.log(np.maximum(p, np.finfo(p.dtype).tiny))


def to_logits(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "logits":
        return values
    # As sklearn.metrics.log_loss does: a zero of a forest is "rare", not "never".
    eps = np.finfo(values.dtype).eps
    if kind == "log_proba":
        return np.maximum(values, np.log(eps))
    return np.log(np.maximum(values, eps))
