"""scikit-learn's classifiers and plain callables as teachers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.utils import to_numpy

from skkd._data.rows import LAZY, iter_inputs, len_of
from skkd._utils.modules import describe, is_out_of_memory
from skkd.teachers._arrays import to_array, writable
from skkd.teachers._base import Teacher, not_fitted
from skkd.teachers._feature_names import hint_of_extra, in_order
from skkd.teachers._keras import KerasTeacher, is_keras
from skkd.teachers._objectives import (
    LIBRARIES,
    as_logits,
    kind_by_objective,
    several_labels,
)

# What each returns, in order of preference: probabilities if there are any.
METHODS = {
    "predict_proba": "proba",
    "predict_log_proba": "log_proba",
    "decision_function": "logits",
}
_BATCH_SIZE = 1024
# scikit-learn's classifiers decide for the largest of their outputs, except for these,
# and for those that may wrap one of them.
THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
_DECIDE_OTHERWISE = frozenset(
    {
        *THRESHOLDS,
        *("SVC", "NuSVC", "SGDClassifier", "NearestCentroid"),
        *("OneVsRestClassifier", "SelfTrainingClassifier", "RFE", "RFECV"),
    }
)
# Where classifiers of scikit-learn, and others of these names, keep what gives their
# probabilities.
_PARTS = {
    **dict.fromkeys(THRESHOLDS, "estimator_"),
    **dict.fromkeys(("SelfTrainingClassifier", "RFE", "RFECV"), "estimator_"),
    **dict.fromkeys(("VotingClassifier", "OneVsRestClassifier"), "estimators_"),
    **dict.fromkeys(("BaggingClassifier", "BalancedBaggingClassifier"), "estimators_"),
    "StackingClassifier": "final_estimator_",
}


class SklearnTeacher(Teacher):
    """Anything with one of the methods of scikit-learn's classifiers."""

    def output_kind(self) -> str:
        _check_one_label(innermost(self.model))
        return self._kind_by_objective() or self._kind_of(self._method())

    @property
    def gives_scores(self) -> bool:
        method = self._method()
        is_score = method == "decision_function" and self._kind_of(method) == "logits"
        return self.output == "auto" and is_score

    @property
    def may_decide_otherwise(self) -> bool:
        model = innermost(self.model)
        if self.output != "auto" or self.classes is not None:
            return False
        own = type(model).__module__.startswith("sklearn.")
        known = own and type(model).__name__ not in _DECIDE_OTHERWISE
        return not known and hasattr(self.model, "predict")

    def check(self, classes: Any) -> None:
        # Classifiers of other packages need not mark their fit as scikit-learn does.
        if isinstance(self.model, BaseEstimator):
            try:
                check_is_fitted(self.model)
            except NotFittedError as error:
                raise not_fitted(self.model) from error
        super().check(classes)

    def _raw_outputs(self, X: Any) -> np.ndarray:
        kind = self._kind_by_objective()
        method = "predict_proba" if kind else self._method()
        if hasattr(X, "columns"):
            X = in_order(X, self.model)
        try:
            values = call(getattr(self.model, method), X)
        except Exception as error:
            # Libraries have classes of their own for what they do not take.
            of_python = type(error).__module__ == "builtins"
            wrong_input = isinstance(error, (ValueError, TypeError)) or not of_python
            if is_out_of_memory(error) or not wrong_input:
                raise
            what = f"{type(X).__name__} of shape {getattr(X, 'shape', len_of(X))}"
            raise ValueError(
                f"The teacher {describe(self.model)} does not take X, a {what}, as it "
                f"reaches this step: {error} Leave out the steps that X went through "
                "already, as teacher[1:] does, or pass its own inputs as "
                f"fit(..., teacher_X=...).{hint_of_extra(X, self.model)}"
            ) from error
        if kind == "logits":
            return as_logits(innermost(self.model), values)
        if method == "decision_function" and values.ndim == 1:
            values = np.column_stack([np.zeros_like(values), values])
        return values

    def _kind_by_objective(self) -> str | None:
        """Return "logits" for trees whose ``predict_proba`` gives these, else None."""
        if LIBRARIES.isdisjoint(sys.modules):
            return None
        return kind_by_objective(_parts(self.model), self.output)

    def _kind_of(self, method: str) -> str:
        """Return what a method gives."""
        if method == "decision_function":
            model = innermost(self.model)
            if is_keras(model):  # whose wrapper calls its outputs so, whatever they are
                return KerasTeacher(model).output_kind()
        return METHODS[method]

    def _method(self) -> str:
        """Return the name of the method to call."""
        offered = [method for method in METHODS if hasattr(self.model, method)]
        fitting = offered
        if self.output != "auto":
            fitting = [m for m in offered if self.output == self._kind_of(m)]
        if not fitting:
            raise ValueError(
                f"output={self.output!r}: the teacher {describe(self.model)} has no "
                f"method for it, only {', '.join(offered)}. Leave output at 'auto'."
            )
        if fitting[0] == "decision_function" and _votes(self.model):
            raise ValueError(
                f"{describe(self.model)} votes between pairs of classes "
                "(decision_function_shape='ovo'), which gives no score of a class: fit "
                "it with decision_function_shape='ovr', or in CalibratedClassifierCV."
            )
        if fitting[0] == "decision_function" and _passes_on(innermost(self.model)):
            raise ValueError(
                f"{describe(self.model)} of two classes returns a probability of its "
                "one part from decision_function, no score around 0. Teach with this "
                "part: as_teacher(model.estimators_[0], classes=model.classes_)."
            )
        return fitting[0]


def innermost(model: Any) -> Any:
    """Return the model that decides, inside of pipelines and searches."""
    while True:
        steps = getattr(model, "steps", None)
        inner = steps[-1][1] if steps else getattr(model, "best_estimator_", None)
        if inner is None:
            return model
        model = inner


def _parts(model: Any) -> list[Any]:
    """Return the model that decides, and those whose probabilities it passes on."""
    model = innermost(model)
    parts = getattr(model, _PARTS.get(type(model).__name__, ""), [])
    parts = parts if isinstance(parts, list) else [parts]
    return [model, *(inner for part in parts for inner in _parts(part))]


def _check_one_label(model: Any) -> None:
    """Raise ValueError if a classifier was fitted on several labels for each sample."""
    binarizer = getattr(model, "_label_binarizer", None)
    kind = getattr(binarizer, "y_type_", "")
    if getattr(model, "multilabel_", False) is True or kind.startswith("multilabel"):
        raise ValueError(several_labels(model))


def _votes(model: Any) -> bool:
    """Tell whether a model, or the one that it wraps, scores pairs of classes."""
    if getattr(model, "decision_function_shape", None) == "ovo":
        return len(getattr(model, "classes_", ())) > 2
    if hasattr(model, "steps"):
        return _votes(model[-1])
    # In a search, or in a FrozenEstimator.
    inner = getattr(model, "best_estimator_", getattr(model, "estimator", None))
    return inner is not None and _votes(inner)


def _passes_on(model: Any) -> bool:
    """Tell whether the score of a model of pairs is a probability."""
    if type(model).__name__ != "OneVsOneClassifier" or len(model.classes_) > 2:
        return False
    return not hasattr(model.estimators_[0], "decision_function")


class CallableTeacher(Teacher):
    """A function from inputs to logits."""

    def _raw_outputs(self, X: Any) -> np.ndarray:
        if hasattr(X, "columns"):  # of a bound method the model may know the names
            X = in_order(X, getattr(self.model, "__self__", self.model))
        # It may make a tensor of an array.
        return call(self.model, writable(X) if isinstance(X, np.ndarray) else X)


def call(function: Any, X: Any) -> np.ndarray:
    """Return ``function(X)`` as an array; a lazy `X` is read a part at a time."""
    if isinstance(X, LAZY):
        parts = [function(to_numpy(part)) for part in iter_inputs(X, _BATCH_SIZE)]
        return np.concatenate([to_array(part) for part in parts])
    return to_array(function(X))
