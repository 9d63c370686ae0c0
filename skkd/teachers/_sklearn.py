"""scikit-learn's classifiers and plain callables as teachers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.utils import to_numpy

from skkd._batches import is_lazy, iter_inputs
from skkd._modules import describe
from skkd.teachers._base import Teacher, not_fitted

# In order of preference: probabilities where there are any.
METHODS = ("predict_proba", "predict_log_proba", "decision_function")
_BATCH_SIZE = 1024


class SklearnTeacher(Teacher):
    """Anything with a method of scikit-learn's classifiers."""

    def check(self, classes: Any) -> None:
        try:
            check_is_fitted(self.model)
        except NotFittedError as error:
            raise not_fitted(self.model) from error
        super().check(classes)

    def _ask(self, X: Any) -> tuple[np.ndarray, str]:
        method = next(m for m in METHODS if hasattr(self.model, m))
        values = ask_in_parts(getattr(self.model, method), X)
        if method == "decision_function":
            return self._scores(values), "logits"
        return values, "proba" if method == "predict_proba" else "log_proba"

    def _scores(self, values: np.ndarray) -> np.ndarray:
        if values.ndim == 1:
            return np.column_stack([np.zeros_like(values), values])
        last = self.model[-1] if hasattr(self.model, "steps") else self.model
        if getattr(last, "decision_function_shape", None) == "ovo":
            raise ValueError(
                f"{describe(self.model)} votes between pairs of classes "
                "(decision_function_shape='ovo'), which is no score of a class: fit it "
                "with decision_function_shape='ovr' or with probability=True."
            )
        return values


class CallableTeacher(Teacher):
    """A function from inputs to logits."""

    def _ask(self, X: Any) -> tuple[np.ndarray, str]:
        return ask_in_parts(self.model, X), (
            "logits" if self.output == "auto" else self.output
        )


def ask_in_parts(ask: Any, X: Any) -> np.ndarray:
    """Return ``ask(X)`` as an array; a lazy `X` is fetched a part at a time."""
    if is_lazy(X):
        parts = [ask(to_numpy(part)) for part in iter_inputs(X, _BATCH_SIZE)]
        return np.concatenate([_to_array(part) for part in parts])
    return _to_array(ask(X))


def _to_array(values: Any) -> np.ndarray:
    return to_numpy(values) if isinstance(values, torch.Tensor) else np.asarray(values)
