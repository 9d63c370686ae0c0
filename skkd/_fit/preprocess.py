"""The student's own preprocessing: chosen, fitted on the training samples, applied."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from os.path import splitext
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from skkd._data.columns import is_plain_table
from skkd._data.frames import is_frame
from skkd._data.inputs import refuse_paths
from skkd._data.preprocessed import numbers_of_student
from skkd._data.rows import is_lazy, take_rows
from skkd._fit.split import draw_split
from skkd.tables import TablePreprocessor

if TYPE_CHECKING:
    from skkd._fit.plan import FitPlan


def choose_preprocessor(net: Any, X: Any) -> Any:
    """Return what is to be fitted on X, or None if the student takes X as it is.

    Parameters
    ----------
    net : DistilledClassifier
    X : object
        As passed to ``fit``.

    Raises
    ------
    TypeError
        If ``preprocessor`` is no transformer.
    ValueError
        If X has no columns that it could transform.
    """
    given = net.preprocessor
    if given is None and not (is_frame(X) and not is_plain_table(X)):
        return None
    if given is None and X.shape[1] == 1 and _names_files(X):
        refuse_paths(X)
    if is_lazy(X) or (isinstance(X, Mapping) and not hasattr(X, "toarray")):
        raise ValueError(
            f"preprocessor={given!r} transforms arrays and tables, and X is a "
            f"{type(X).__name__}: transform it before, or leave preprocessor out."
        )
    if given is None or (isinstance(given, str) and given == "auto"):
        codes = takes_categories(net.module)
        return TablePreprocessor(categories="codes" if codes else "onehot")
    if isinstance(given, type) or not all(
        hasattr(given, name) for name in ("fit", "transform", "get_params")
    ):
        raise TypeError(
            f"preprocessor={given!r}: expected None, 'auto' or a transformer of "
            "scikit-learn's kind, such as skkd.tables.TablePreprocessor()."
        )
    return clone(given)


def _names_files(X: Any) -> bool:
    first = np.asarray(X[:1], dtype=object).ravel().tolist()
    return bool(first) and isinstance(first[0], str) and bool(splitext(first[0])[1])


def takes_categories(module: Any) -> bool:
    """Tell whether a student is built with the number of codes of each feature."""
    try:
        return "n_categories" in inspect.signature(module).parameters
    except (TypeError, ValueError):  # None, an instance, or a class written in C
        return False


def check_views(net: Any) -> None:
    """Raise if the teacher would be given views of the student's own numbers."""
    asks = net.teacher is not None and net.alpha > 0
    if net.augment is not None and asks and net.teacher_view == "same":
        raise ValueError(
            f"augment={net.augment!r} changes what the preprocessor makes of X, and "
            "the teacher takes X as it is: pass teacher_view='clean', so that it is "
            "asked about X itself."
        )


def preprocess(plan: FitPlan, net: Any, fit_params: Mapping[str, Any]) -> FitPlan:
    """Return the plan with X as the student takes it.

    In a first fit the preprocessor is fitted on the training samples alone: what
    ``train_split`` holds out is drawn before. The net is not changed but for its random
    stream.
    """
    X = plan.X_as_given
    if plan.facts is None:  # the net goes on, with the preprocessor that it has
        fitted = plan.preprocessor
        numbers = numbers_of_student(fitted, fitted.transform(X), X)
        return replace(plan, X=numbers)
    with net._random_stream(fresh=True):
        index = np.arange(len(plan.y))
        samples = net._samples(index, plan.y, plan.y_encoded, X, groups=plan.groups)
        why = "the preprocessor is fitted on those of X"
        split = draw_split(net, samples, fit_params, why)
        numbers = _fit_transform(plan, split.train)
    facts = plan.facts._replace(
        input_shape=numbers.shape[1:],
        input_dtype=numbers.dtype,
        preprocessor=plan.preprocessor,
    )
    return replace(plan, X=numbers, facts=facts, split=split)


def _fit_transform(plan: FitPlan, train: np.ndarray) -> Any:
    """Fit on the samples of this index; return the numbers of all samples."""
    X, fitted = plan.X_as_given, plan.preprocessor
    y: Any = plan.y[train]
    if not plan.labelled.all():
        # Inputs without a label are as good as others, unless it learns from labels.
        if _learns_from_labels(fitted):
            train = train[plan.labelled[train]]
            y = plan.y[train]
        else:
            y = None
    everything = len(train) == len(plan.y)
    rows = X if everything else take_rows(X, train)
    # Of those that learn from labels, as TargetEncoder, this is not fit().transform().
    out = fitted.fit_transform(rows, y)
    numbers = numbers_of_student(fitted, out, rows)
    if everything:
        return numbers
    whole = numbers_of_student(fitted, fitted.transform(X), X)
    whole[train] = numbers
    return whole


def _learns_from_labels(transformer: Any) -> bool:
    parts = [transformer, *transformer.get_params().values()]
    return any(
        get_tags(part).target_tags.required
        for part in parts
        if hasattr(part, "fit") and hasattr(part, "__sklearn_tags__")
    )
