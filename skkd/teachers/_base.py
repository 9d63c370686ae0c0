"""What every teacher has in common: logits, aligned to the student's classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from numbers import Number
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError

from skkd._data.rows import len_of
from skkd._utils.modules import describe, is_out_of_memory
from skkd._utils.rng import preserved_rng
from skkd.teachers._outputs import (
    check_probabilities,
    columns_of,
    of_both_classes,
    remedy_for,
    renormalized,
    to_logits,
)
from skkd.teachers._whole_batches import in_whole_batches


class Teacher:
    """Gives the logits of a fitted model, in the order of the student's classes.

    Made by :func:`as_teacher`. :func:`sklearn.base.clone` returns the very same object,
    so that a teacher can be a value in a parameter grid.
    """

    # The labels that the numbers in `classes` stand for, set by `match_encoded`.
    encoded_labels: list[Any] | None = None
    # What the user calls the model, in place of its content.
    name: str | None = None
    # Whether it takes tensors on its own device rather than arrays.
    takes_tensors: bool = False

    def __init__(
        self,
        model: Any,
        *,
        classes: Any = None,
        output: str = "auto",
        extra_classes: str = "auto",
    ) -> None:
        self.model = model
        self.classes = classes
        self.output = output
        self.extra_classes = extra_classes

    def __repr__(self) -> str:
        return f"as_teacher({self.described})"

    def __getstate__(self) -> dict[str, Any]:
        # What was found out on the way is no part of its content.
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    def __sklearn_clone__(self) -> Teacher:
        return self

    @property
    def described(self) -> str:
        """The model in one line, for messages."""
        return describe(self.model)

    def output_kind(self) -> str:
        """Return what the model gives: `output`, or what "auto" stands for."""
        return "logits" if self.output in ("auto", "logit") else self.output

    @property
    def classes_(self) -> np.ndarray | None:
        """Labels of the columns; None if they are in the order of the student's."""
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
        """Number of parameters of a network; None for anything else."""
        return None

    @property
    def network(self) -> torch.nn.Module:
        """The torch module of the teacher; TypeError if it has none."""
        raise TypeError(
            f"The teacher {self.described} has no layers to learn features from: "
            "expected a torch module or a skorch net. Any teacher will do for a loss "
            "on logits, such as distillation='kd'."
        )

    @property
    def gives_scores(self) -> bool:
        """Whether the logits are scores of ``decision_function``, not probabilities."""
        return False

    @property
    def may_decide_otherwise(self) -> bool:
        """Whether ``predict`` may be another class than that of the largest output."""
        return False

    def check(self, classes: Any) -> None:
        """Raise if the teacher is not fitted or does not know `classes`.

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            The student's classes.

        Raises
        ------
        NotFittedError
            If the teacher is not fitted.
        ValueError
            If it lacks a class, or knows others and `extra_classes` is "error".
        """
        self.output_kind()  # raises if the model does not tell it
        self._columns(np.asarray(classes))

    def has_extra_classes(self, classes: Any) -> bool:
        """Tell whether the teacher knows classes that are not among `classes`."""
        known = self.classes_
        return known is not None and not set(known.tolist()) <= set(
            np.asarray(classes).tolist()
        )

    def match_encoded(self, classes: Any) -> Teacher:
        """Return the teacher for labels that a meta-estimator has replaced by numbers.

        ``VotingClassifier`` and others replace the k sorted labels by 0..k-1. If
        `classes` are these, and the teacher knows k sorted labels that are no numbers,
        they are matched by position. Whether that is right shows in the logits
        (:func:`skkd.teachers.health.check_encoding`).

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            The student's classes.

        Returns
        -------
        Teacher
            A copy, with the labels as ``encoded_labels``, or the teacher itself.
        """
        known = [] if self.classes_ is None else self.classes_.tolist()
        numbers = np.asarray(classes).tolist()
        if (
            any(type(number) is not int for number in numbers)
            or sorted(numbers) != [*range(len(known))]
            or any(isinstance(label, Number) for label in known)
            or not _is_sorted(known)
        ):
            return self
        matched = copy(self)
        matched.classes, matched.encoded_labels = np.arange(len(known)), known
        return matched

    def batch_size(self, X: Any) -> int:
        """Return how many samples go through the model at a time.

        1 stands for a model that is given all at once, and for one whose outputs for a
        sample do not depend on the others.
        """
        return 1

    def in_whole_batches(
        self, compute: Callable[[Any], np.ndarray], X: Any
    ) -> np.ndarray:
        """Return ``compute(X)``, the last batch filled up, so that all are of one size.

        Then the outputs for a sample are the same whatever samples there are besides.
        """
        size = self.batch_size(X)
        return compute(X) if size == 1 else in_whole_batches(compute, X, size)

    def check_rows(self, X: Any) -> None:
        """Raise ValueError if the teacher would get other inputs for `X` each time.

        Parameters
        ----------
        X : array-like or other, n samples
            As for :meth:`logits`.
        """

    def logits(self, X: Any, classes: Any) -> np.ndarray:
        """Return the teacher's logits for `X`, columns in the order of `classes`.

        Parameters
        ----------
        X : array-like, DataFrame, mapping of arrays or torch Dataset, n samples
            Given to the teacher as it is.
        classes : array-like of shape (n_classes,)
            The student's classes.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Log-probabilities if the teacher gives probabilities.

        Raises
        ------
        ValueError
            If the teacher's outputs do not fit the classes.
        """
        try:
            with undisturbed(self._device):
                return self._logits(X, np.asarray(classes))
        except Exception as error:
            if is_out_of_memory(error) and not hasattr(error, "__notes__"):
                error.add_note(
                    f"The teacher {self.described} ran out of memory. Let it predict "
                    "fewer samples at a time (batch_size of a skorch net), move it to "
                    "the CPU, or pass its logits as fit(..., teacher_logits=...)."
                )
            raise

    def _logits(self, X: Any, classes: np.ndarray) -> np.ndarray:
        """Return the logits; the caller guards precision and random streams."""
        kind, values = self.output_kind(), self._raw_outputs(X)
        columns = self._columns(classes)
        width = len(classes if columns is None else self.classes_)  # type: ignore[arg-type]
        n_samples = X.shape[0] if hasattr(X, "shape") else len_of(X)
        if width == 2 and values.shape in ((n_samples,), (n_samples, 1)):
            values = of_both_classes(values, self.output)
        expected = (n_samples, width)
        if values.shape != expected or values.dtype.kind not in "fiu":
            raise ValueError(
                f"The teacher {describe(self.model)} gives outputs of shape "
                f"{values.shape} and dtype {values.dtype}, expected {expected} and "
                "floating point: a row for each sample of X, a column for each class, "
                f"{self.classes_ if columns is not None else classes}."
                f"{remedy_for(values, expected)}"
            )
        if values.dtype.kind != "f" or values.dtype.itemsize < 4:  # float16
            values = values.astype(np.float32)
        check_probabilities(self.model, values, kind)
        if columns is not None:
            values = values[:, columns]
            if len(columns) < width:
                values = renormalized(values, kind)
        return to_logits(values, kind)

    def _columns(self, classes: np.ndarray) -> list[int] | None:
        return columns_of(self.model, self.classes_, classes, self.extra_classes)

    @property
    def _device(self) -> Any:
        """The device that the teacher runs on, and may draw random numbers on."""
        return "cpu"

    def _raw_outputs(self, X: Any) -> np.ndarray:
        """Return the outputs for `X`, of the `output_kind`."""
        raise NotImplementedError


@contextmanager
def undisturbed(device: Any) -> Iterator[None]:
    """Run in the model's own precision, and leave no trace in the random streams."""
    with preserved_rng(device), ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):  # that of the student
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def not_fitted(model: Any) -> NotFittedError:
    """Return the error for a teacher that is not fitted."""
    return NotFittedError(
        f"The teacher {describe(model)} is not fitted, and teacher_cv='prefit' uses it "
        "as it is. Fit it first; or pass teacher_cv=None to fit a clone of it on the "
        "training data. If it was fitted: clone un-fits an estimator in a parameter "
        "grid or inside another estimator, unless it is as_teacher(teacher) or "
        "sklearn.frozen.FrozenEstimator(teacher)."
    )


def _is_sorted(labels: list[Any]) -> bool:
    try:
        return labels == sorted(labels)
    except TypeError:  # labels of several types
        return False
