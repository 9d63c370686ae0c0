"""Teachers fitted on the way: on all rows, or out of fold."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import has_fit_parameter

from skkd._data.columns import odd_columns
from skkd._data.rows import sliceable
from skkd._utils.modules import describe, is_out_of_memory
from skkd._utils.rng import seeded_rng
from skkd._utils.warn import warn
from skkd.teachers._as_teacher import as_teacher


class LateTeacher:
    """Clones of a teacher that are fitted when somebody asks for them.

    Parameters
    ----------
    fit : callable
        Returns what it has fitted.
    seed : int
        Of the random stream in which it is called.
    device : str or torch.device
    """

    def __init__(self, fit: Callable[[], Any], seed: int, device: Any) -> None:
        self._fit, self._seed, self._device = fit, seed, device

    def fitted(self) -> Any:
        """Fit them, as the fit of the student did."""
        with seeded_rng(self._seed, self._device):
            return self._fit()

    def __reduce__(self) -> Any:
        return _as_is, (self.fitted(),)


def _as_is(teacher: Any) -> Any:
    return teacher


def late_teacher(plan: Any, net: Any) -> Any:
    """Return the ``teacher_`` of a fit that is loaded: nothing is fitted by now."""
    needs = plan.needs - ({"logits"} if plan.teacher_logits is not None else set())
    if isinstance(net.teacher_cv, str) or net.teacher is None:
        return net.teacher
    if not needs:
        return None
    X, data = sliceable(plan.teacher_X), (plan.y, plan.labelled, plan.sample_weight)
    teacher, cv = net.teacher, net.teacher_cv

    def fit() -> Any:
        if cv is None:
            return fit_on_all(teacher, X, *data)
        known = {"classes": plan.classes, "groups": plan.groups}
        return fit_out_of_fold(teacher, cv, X, *data, **known)[0]

    return LateTeacher(fit, net.next_seed_, net.device or "cpu")


def fit_on_all(
    teacher: Any,
    X: Any,
    y: np.ndarray,
    labelled: np.ndarray,
    sample_weight: np.ndarray | None = None,
) -> Any:
    """Fit a clone of `teacher` on all labelled rows."""
    return _fit_clone(teacher, X, y, np.flatnonzero(labelled), sample_weight)


def fit_out_of_fold(
    teacher: Any,
    cv: Any,
    X: Any,
    y: np.ndarray,
    labelled: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    classes: np.ndarray,
    groups: np.ndarray | None = None,
) -> tuple[list[Any], np.ndarray]:
    """Fit clones of `teacher` so that none teaches a row whose label it saw.

    `cv` is a partition of the labelled rows; a clone is fitted for each split. A
    splitter splits the labelled rows; in an iterable, indices are those of X. Rows of
    one of the `groups` are in one fold, if `cv` is an int or splits by groups. Returns
    the clones, and logits (n, n_classes).
    """
    known = np.flatnonzero(labelled)
    members = []
    logits = np.full((len(y), len(classes)), np.nan)
    for train, test in _partition(cv, known, y, groups):
        fitted = _fit_clone(teacher, X, y, train, sample_weight)
        as_teacher(fitted).check(classes)
        logits[test] = as_teacher(fitted).logits(_safe_indexing(X, test), classes)
        members.append(fitted)
    if len(known) < len(y):
        # None of the members saw a label of these rows, so all of them may teach.
        rest = _safe_indexing(X, np.flatnonzero(~labelled))
        logits[~labelled] = as_teacher(members).logits(rest, classes)
    return members, logits


def _partition(
    cv: Any, known: np.ndarray, y: np.ndarray, groups: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return index of X of each split; raise if labels would leak, or be missing."""
    splits = _splits(cv, known, y[known], None if groups is None else groups[known])
    held_out = np.sort(np.concatenate([test for _, test in splits]))
    leaks = any(np.isin(test, train).any() for train, test in splits)
    if leaks or not np.array_equal(held_out, known):
        raise ValueError(
            f"teacher_cv={cv!r:.80} does not hold out each labelled row exactly once, "
            "so some rows would have no out-of-fold teacher, or two: use a partition, "
            "such as StratifiedKFold."
        )
    for fold, (train, _) in enumerate(splits):
        lacking = np.setdiff1d(y[known], y[train]).tolist()
        if lacking:
            raise ValueError(
                f"teacher_cv={cv!r}: the teacher of fold {fold} would see no "
                f"row of the classes {lacking[:10]}. Use a stratified splitter, fewer "
                "folds than a class has rows, or teacher_cv=None."
            )
    return splits


def _splits(
    cv: Any, known: np.ndarray, y: np.ndarray, groups: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the index of X in each split; `y` and `groups` are of the rows `known`."""
    if isinstance(cv, PredefinedSplit):  # its folds are of all rows of X
        cv = list(cv.split())
    if isinstance(cv, Integral) and groups is not None:
        cv = StratifiedGroupKFold(int(cv))
    if not isinstance(cv, Real) and not hasattr(cv, "split"):
        # Rows that have no label are nobody's to train on or to hold out.
        every = [(np.asarray(train), np.asarray(test)) for train, test in cv]
        return [tuple(i[np.isin(i, known)] for i in pair) for pair in every]  # type: ignore[misc]
    try:
        splits = [*check_cv(cv, y, classifier=True).split(known, y, groups)]
    except ValueError as error:
        if groups is not None or "groups" not in str(error):
            raise ValueError(
                f"teacher_cv={cv!r:.100} cannot split the labelled rows: {error} Pass "
                "fewer folds, or another splitter."
            ) from error
        raise ValueError(
            f"teacher_cv={cv!r} splits by groups: pass fit(..., groups=groups)."
        ) from error
    return [(known[train], known[test]) for train, test in splits]


def _fit_clone(
    teacher: Any,
    X: Any,
    y: np.ndarray,
    rows: np.ndarray,
    sample_weight: np.ndarray | None,
) -> Any:
    if isinstance(teacher, (list, tuple)):
        return [_fit_clone(member, X, y, rows, sample_weight) for member in teacher]
    everything = len(rows) == len(y) and (rows == np.arange(len(y))).all()
    X_rows = X if everything else _safe_indexing(X, rows)
    kwargs = {}
    if sample_weight is not None:
        if has_fit_parameter(teacher, "sample_weight"):
            kwargs["sample_weight"] = sample_weight[rows]
        else:
            warn(
                f"{type(teacher).__name__}.fit takes no sample_weight: the teacher is "
                "fitted without the weights, the student with them.",
                UserWarning,
            )
    try:
        return clone(teacher).fit(X_rows, y[rows], **kwargs)
    except Exception as error:
        # Libraries have classes of their own for what they do not take.
        of_python = type(error).__module__ == "builtins"
        wrong_input = isinstance(error, (ValueError, TypeError)) or not of_python
        if is_out_of_memory(error) or not wrong_input:
            raise
        columns = odd_columns(X_rows, with_gaps="nan" in str(error).lower())
        if not columns:
            raise
        raise ValueError(
            f"The teacher {describe(teacher)} cannot be fitted on X, which has "
            f"{columns}: {str(error).partition(chr(10))[0]} Give it a pipeline that "
            "makes numbers of them, such as make_pipeline(TablePreprocessor(), "
            "teacher), or its own columns, fit(..., teacher_X=...); teachers that take "
            'categories want text as X.astype({name: "category"}).'
        ) from error


def check_fittable(teacher: Any, teacher_cv: Any) -> None:
    """Raise where clones of `teacher` cannot be fitted."""
    members = teacher if isinstance(teacher, (list, tuple)) else [teacher]
    for member in members:
        if not (hasattr(member, "fit") and hasattr(member, "get_params")):
            raise TypeError(
                f"teacher_cv={teacher_cv!r} fits clones of the teacher, and a "
                f"{type(member).__name__} cannot be cloned and fitted: pass a "
                "scikit-learn estimator or a skorch net, or teacher_cv='prefit' with "
                "a trained teacher."
            )
        if teacher_cv is not None and isinstance(member, FrozenEstimator):
            raise TypeError(
                f"teacher_cv={teacher_cv!r} keeps each row from the teacher that "
                "teaches it, and a FrozenEstimator is never fitted anew: pass the "
                "estimator inside it, or teacher_cv='prefit'."
            )
