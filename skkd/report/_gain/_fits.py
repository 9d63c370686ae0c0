"""The fits of one seed and one fold: their data, and the record of each."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.base import clone

from skkd._data.labels import find_classes
from skkd._data.rows import pick
from skkd._fit.seen_rows import is_prefit, predict_with_teacher
from skkd._utils.modules import count_parameters
from skkd.recipes._base import Recipe
from skkd.report._gain._folds import Fold
from skkd.report._gain._students import (
    distilled,
    has_teacher_folds,
    net_of,
    plain,
    split_steps,
)

Record = dict[str, Any]


class Job(NamedTuple):
    """The missing fits of one seed and one fold, of "plain", "distilled" or both."""

    seed: int
    fold: int
    rows: Fold
    networks: tuple[str, ...]


class Data(NamedTuple):
    """The rows of all folds."""

    X: Any
    y: np.ndarray
    labelled: np.ndarray  # mask of the rows with a label
    groups: np.ndarray | None


class Fit(NamedTuple):
    """A student that is to be fitted, and the rows that it is trained and tested on."""

    network: str
    job: Job
    student: Any
    X: Any
    y: np.ndarray
    params: dict[str, Any]
    X_test: Any
    classes: np.ndarray  # of all folds
    rows_key: Hashable  # equal where X is


def fits_of(estimator: Any, data: Data, job: Job) -> Iterator[Fit]:
    """Yield the fits of a job; the steps before the student are fitted once."""
    X, y, labelled, groups = data
    train, test = job.rows
    head, student = split_steps(estimator)
    X_train, X_test = pick(X, train), pick(X, test)
    if head is not None:
        head = clone(head)
        X_train = head.fit_transform(X_train, y[train])
        X_test = head.transform(X_test)
    classes = find_classes(y[labelled], net_of(student).classes)
    for network in job.networks:
        alone = network == "plain"
        own = (plain if alone else distilled)(student, job.seed)
        kept = labelled[train] if alone else np.ones(len(train), dtype=bool)
        rows = X_train if kept.all() else pick(X_train, np.flatnonzero(kept))
        params = {}
        if groups is not None and not alone and has_teacher_folds(student):
            # Or copies of a row would be on both sides of the teacher's folds.
            params["groups"] = groups[train]
        # Rows of one fold are the same for all seeds, but for steps that are random.
        key = network, id(job.rows), None if head is None else job.seed
        rest = y[train][kept], params, X_test, classes, key
        yield Fit(network, job, own, rows, *rest)


def fit_alone(fit: Fit) -> Record:
    """Train a student by itself, and return its record."""
    start = time.perf_counter()
    fit.student.fit(fit.X, fit.y, **fit.params)
    return record_of(fit, time.perf_counter() - start)


def record_of(fit: Fit, seconds: float) -> Record:
    """Return what is known of a student that was trained, as JSON can store it."""
    fitted = fit.student
    net = fitted.student_ if isinstance(fitted, Recipe) else fitted
    record = {
        "network": fit.network,
        "seed": fit.job.seed,
        "fold": fit.job.fold,
        "predicted": fitted.predict(fit.X_test).tolist(),
        "seconds": round(seconds, 4),
        "n_parameters": count_parameters(net.module_),
    }
    if fit.network != "plain":
        teacher = _predict_with_teacher(fitted, net, fit.X_test, fit.classes)
        record["teacher"] = teacher
    return record


def _predict_with_teacher(
    fitted: Any, net: Any, X: Any, classes: np.ndarray
) -> dict[str, Any] | None:
    """Return the teacher's predictions of the test rows, None without a teacher.

    A fitted teacher decides between all `classes`, though a fold may lack some.
    """
    settings = net_of(fitted)
    teacher = settings.teacher
    if not is_prefit(settings):
        teacher, classes = net.teacher_, net.classes_
    if teacher is None:
        return None
    values, adapter = predict_with_teacher(settings, teacher, classes, X)
    sure = None
    if not adapter.gives_scores:
        sure = round(float(softmax(values, axis=1).max(axis=1).mean()), 4)
    return {
        "predicted": classes[values.argmax(axis=1)].tolist(),
        "n_parameters": adapter.n_parameters,
        "confidence": sure,
    }
