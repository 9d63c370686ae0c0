"""What every teacher has in common: logits, aligned to the student's classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError

from skkd._data.rows import len_of
from skkd._utils.modules import describe
from skkd._utils.rng import preserved_rng


class Teacher:
    """What a teacher knows, as logits with columns in the student's order.

    Made by :func:`as_teacher`. `clone` returns the very same object, so that a
    teacher survives as a value in a parameter grid.
    """

    def __init__(
        self,
        model: Any,
        *,
        classes: Any = None,
        output: str = "auto",
        extra_classes: str = "error",
    ) -> None:
        self.model = model
        self.classes = classes
        self.output = output
        self.extra_classes = extra_classes

    def __repr__(self) -> str:
        return f"as_teacher({self.described})"

    def __sklearn_clone__(self) -> Teacher:
        return self

    @property
    def described(self) -> str:
        """The model in a line, for messages."""
        return describe(self.model)

    @property
    def classes_(self) -> np.ndarray | None:
        """Labels of the columns, or None where they go by position."""
        known = self.classes
        if known is None:
            known = getattr(self.model, "classes_", None)
        if isinstance(known, list) and any(np.ndim(label) for label in known):
            raise ValueError(
                f"The teacher {describe(self.model)} has several outputs, each with "
                "classes of its own: expected a classifier with one."
            )
        return None if known is None else np.asarray(known)

    @property
    def n_parameters(self) -> int | None:
        """Number of parameters of a network, None where that means nothing."""
        return None

    @property
    def network(self) -> torch.nn.Module:
        """The torch module that runs when the teacher is asked.

        Raises
        ------
        TypeError
            If the teacher is none.
        """
        raise TypeError(
            f"The teacher {describe(self.model)} has no layers to learn features from: "
            "expected a torch module or a skorch net. Any teacher will do for a loss "
            "on logits, such as distillation='kd'."
        )

    @property
    def takes_tensors(self) -> bool:
        """Whether it is best asked about tensors on its own device, not arrays."""
        return False

    def check(self, classes: Any) -> None:
        """Raise where the teacher is not fitted or does not know `classes`.

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            The student's classes.

        Raises
        ------
        NotFittedError
            If the teacher is not fitted.
        ValueError
            If it lacks one of the classes, or knows others and was not told to drop
            them.
        """
        _columns(self, np.asarray(classes))

    def check_rows(self, X: Any) -> None:
        """Raise ValueError where the teacher would see other rows each time.

        Parameters
        ----------
        X : array-like or other, n rows
            As for :meth:`logits`.
        """

    def logits(self, X: Any, classes: Any) -> np.ndarray:
        """Return the teacher's logits for `X`, columns in the order of `classes`.

        Parameters
        ----------
        X : array-like, DataFrame, mapping of arrays or torch Dataset, n rows
            Given to the teacher as it is.
        classes : array-like of shape (n_classes,)
            The student's classes.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Logits; log-probabilities where the teacher gives probabilities.

        Raises
        ------
        ValueError
            If the teacher's outputs do not fit the classes.
        """
        classes = np.asarray(classes)
        with preserved_rng(self._device):
            values, kind = self._ask(X)
        columns = _columns(self, classes)
        width = len(classes if columns is None else self.classes_)  # type: ignore[arg-type]
        expected = (len_of(X), width)
        if values.shape != expected or values.dtype.kind not in "fiu":
            raise ValueError(
                f"The teacher {describe(self.model)} gives outputs of shape "
                f"{values.shape} and dtype {values.dtype}, expected {expected} and "
                "floating point: a row for each row of X, a column for each class, "
                f"{self.classes_ if columns is not None else classes}."
            )
        if values.dtype.kind != "f":
            values = values.astype(np.float32)
        _check_probabilities(self.model, values, kind)
        values = _to_logits(values, kind)
        if columns is None or len(columns) == width:
            return values if columns is None else values[:, columns]
        picked = values[:, columns]
        # Logits need no renormalising, the softmax of the loss does it.
        return picked if kind == "logits" else _log_softmax(picked)

    @property
    def _device(self) -> Any:
        """Where the teacher runs, and may draw random numbers."""
        return "cpu"

    def _ask(self, X: Any) -> tuple[np.ndarray, str]:
        """Return the raw outputs for `X`, and which of `output` they are."""
        raise NotImplementedError


def _columns(teacher: Teacher, classes: np.ndarray) -> list[int] | None:
    """Return the teacher's column of each class, None where they go by position."""
    known = teacher.classes_
    if known is None:
        return None
    column = {label: i for i, label in enumerate(known.tolist())}
    missing = [label for label in classes.tolist() if label not in column]
    if missing:
        hint = f" If it marks rows without a label, say unlabeled={missing[0]!r}."
        raise ValueError(
            f"The teacher {describe(teacher.model)} does not know the classes "
            f"{missing[:10]} of y; it knows {known.tolist()[:20]}."
            f"{hint if len(missing) == 1 else ''} Give it under the "
            "same labels (as_teacher(model, classes=[...]) names its columns), or "
            "train it on all of them. VotingClassifier, BaggingClassifier and others "
            "give numbers to the classes: there, name the columns by these."
        )
    if len(column) > len(classes) and teacher.extra_classes != "drop":
        extra = sorted(set(column) - set(classes.tolist()), key=str)
        raise ValueError(
            f"The teacher {describe(teacher.model)} knows classes that y does not "
            f"have: {extra[:10]}. If y merely lacks them here, as in a fold, declare "
            "all of them: DistilledClassifier(classes=[...]). If their columns may be "
            "left out, say so: as_teacher(model, extra_classes='drop')."
        )
    return [column[label] for label in classes.tolist()]


def _check_probabilities(model: Any, values: np.ndarray, kind: str) -> None:
    """Raise where what was declared, or is by convention, a probability is none."""
    above = {"proba": 1.0, "log_proba": 0.0}.get(kind, np.inf) + 1e-3
    below = -1e-3 if kind == "proba" else -np.inf
    wrong = (values > above) | (values < below)
    if wrong.any():
        raise ValueError(
            f"The teacher {describe(model)} should give {kind}, by its type or by "
            f"output=, and gives {values[wrong][0]:.4g}. Say what it gives: "
            "as_teacher(model, output='logits'), 'proba' or 'log_proba'."
        )


def _to_logits(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "logits":
        return values
    # As sklearn.metrics.log_loss does: a zero of a forest is "rare", not "never".
    eps = np.finfo(values.dtype).eps
    if kind == "log_proba":
        return np.maximum(values, np.log(eps))
    return np.log(np.maximum(values, eps))


def _log_softmax(values: np.ndarray) -> np.ndarray:
    return torch.log_softmax(torch.from_numpy(values), dim=1).numpy()


def not_fitted(model: Any) -> NotFittedError:
    """Say what to do about a teacher that is not fitted."""
    return NotFittedError(
        f"The teacher {describe(model)} is not fitted, and teacher_cv='prefit' uses it "
        "as it is. Fit it first; or pass teacher_cv=None to fit a clone of it on the "
        "training data. If it was fitted: clone un-fits an estimator that stands in a "
        "parameter grid or inside another estimator, which as_teacher(teacher) or "
        "sklearn.frozen.FrozenEstimator(teacher) prevents."
    )
