"""What ``predict_proba`` of boosted trees gives: by the name of their objective.

Their libraries let a classifier be trained for any objective, and return from
``predict_proba`` whatever it predicts: margins, counts, ranks. Nothing is imported for
it: where there is such a model, its library is imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from skkd._utils.modules import describe

LIBRARIES = frozenset({"xgboost", "lightgbm", "catboost"})
# Of an objective of the user's own, LightGBM does not know what its scores mean.
_OWN = "an objective of its own"
_LOGITS = frozenset({"binary:logitraw", _OWN})
_PROBABILITIES = frozenset(
    {
        *("binary:logistic", "reg:logistic", "multi:softprob", "multi:softmax"),
        *("binary", "multiclass", "softmax", "multiclassova", "multiclass_ova"),
        *("ova", "ovr", "cross_entropy", "xentropy"),
        *("Logloss", "CrossEntropy", "Focal", "MultiClass", "MultiClassOneVsAll"),
        # CatBoost takes the sigmoid or softmax of what it learns by these.
        *("PythonUserDefinedPerObject", "PythonUserDefinedMultiTarget"),
    }
)
_SEVERAL_LABELS = frozenset({"MultiLogloss", "MultiCrossEntropy"})


def kind_by_objective(parts: list[Any], output: str) -> str | None:
    """Return "logits" if ``predict_proba`` gives these, and None if probabilities.

    Parameters
    ----------
    parts : list of classifiers
        The model that decides, and those whose probabilities it passes on.
    output : str
        What the user says that the model gives, "auto" if nothing.

    Raises
    ------
    ValueError
        If it gives neither.
    """
    model = parts[0]
    for part in parts:
        objective = _objective_of(part)
        if objective is None or objective in _PROBABILITIES:
            continue
        if objective in _SEVERAL_LABELS:
            raise ValueError(several_labels(model))
        if part is model and objective in _LOGITS:
            if output == "logits" or (output == "auto" and objective != _OWN):
                return "logits"
        elif output == "proba":  # the user's word
            continue
        raise ValueError(_refusal(model, part, objective))
    return None


def as_logits(model: Any, values: np.ndarray) -> np.ndarray:
    """Return the logits (n, n_classes) that ``predict_proba`` of `model` gave."""
    if _objective_of(model) == "binary:logitraw":
        values = values[:, 1]  # the other is 1 - margin
    if values.ndim == 1:
        values = np.column_stack([np.zeros_like(values), values])
    return values


def several_labels(model: Any) -> str:
    """Return the message for a classifier of several labels for each sample."""
    method, output = "predict_proba", "proba"
    if not hasattr(model, method):
        method, output = "decision_function", "logit"
    return (
        f"The teacher {describe(model)} was fitted on several labels for each sample: "
        "expected one that was fitted on y of shape (n_samples,). Each of the labels "
        "is a task of its own: the teacher of label i is as_teacher(lambda X: "
        f"model.{method}(X)[:, i], output={output!r}, classes=[0, 1])."
    )


def _refusal(model: Any, part: Any, objective: str) -> str:
    what = f"The teacher {describe(model)}"
    if part is not model:
        what += f", in which there is {describe(part)},"
    if objective == _OWN and part is model:
        return (
            f"{what} was trained for {objective}, so that LightGBM returns raw scores "
            "from predict_proba. If these are logits, of which the sigmoid (the "
            "softmax, if there are more than two classes) gives probabilities, say "
            "so: as_teacher(model, output='logits')."
        )
    return (
        f"{what} was trained for {objective}, for which predict_proba gives no "
        "probabilities of classes. Turn what it gives into these on data that it "
        "was not fitted on: CalibratedClassifierCV(FrozenEstimator(model)).fit(X, y) "
        "is a teacher."
    )


def _objective_of(model: Any) -> str | None:
    """Return the name of a model's objective; None for models of other libraries."""
    for base in type(model).__mro__:
        objective_of = _OBJECTIVES.get(f"{base.__module__}.{base.__qualname__}")
        if objective_of is not None:
            return objective_of(model) if _is_fitted(model) else None
    return None


def _is_fitted(model: Any) -> bool:
    told = getattr(model, "__sklearn_is_fitted__", None)
    return told() if told else model.is_fitted()


def _of_xgboost(model: Any) -> str:
    # Not the parameter: with an objective of the user's own it stays at a default, of
    # which the sigmoid or softmax is taken.
    config = json.loads(model.get_booster().save_config())["learner"]
    if int(config["learner_model_param"].get("num_target", 1)) > 1:
        return "MultiLogloss"
    return config["objective"]["name"]


def _of_lightgbm(model: Any) -> str:
    objective = model.objective_
    return objective if isinstance(objective, str) else _OWN


def _of_catboost(model: Any) -> str | None:
    return model.get_all_params().get("loss_function", "").partition(":")[0] or None


_OBJECTIVES: dict[str, Callable[[Any], str | None]] = {
    "xgboost.sklearn.XGBClassifier": _of_xgboost,
    "lightgbm.sklearn.LGBMClassifier": _of_lightgbm,
    "catboost.core.CatBoostClassifier": _of_catboost,
}
