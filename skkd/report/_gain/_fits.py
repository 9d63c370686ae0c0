"""The fits of one seed and one fold."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
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


def fit_job(estimator: Any, data: Data, job: Job) -> Iterator[dict[str, Any]]:
    """Fit the students of a job, and yield a record of each as soon as it is fitted.

    Records can be stored as JSON.
    """
    warm_up()
    X, y, labelled, groups = data
    train, test = job.rows
    head, student = split_steps(estimator)
    X_train, X_test = pick(X, train), pick(X, test)
    if head is not None:
        head = clone(head)
        X_train = head.fit_transform(X_train, y[train])
        X_test = head.transform(X_test)
    for network in job.networks:
        alone = network == "plain"
        fitted = (plain if alone else distilled)(student, job.seed)
        kept = labelled[train] if alone else np.ones(len(train), dtype=bool)
        rows = X_train if kept.all() else pick(X_train, np.flatnonzero(kept))
        params = {}
        if groups is not None and not alone and has_teacher_folds(student):
            # Or copies of a row would be on both sides of the teacher's folds.
            params["groups"] = groups[train]
        start = time.perf_counter()
        fitted.fit(rows, y[train][kept], **params)
        seconds = time.perf_counter() - start
        net = fitted.student_ if isinstance(fitted, Recipe) else fitted
        record = {
            "network": network,
            "seed": job.seed,
            "fold": job.fold,
            "predicted": fitted.predict(X_test).tolist(),
            "seconds": round(seconds, 4),
            "n_parameters": count_parameters(net.module_),
        }
        if not alone:
            classes = find_classes(y[labelled], net.classes)
            record["teacher"] = _predict_with_teacher(fitted, net, X_test, classes)
        yield record


@functools.cache  # once in each process
def warm_up() -> None:
    """Import what torch imports for an optimizer, so that no fit is charged for it."""
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


def fit_apart(estimator: Any, data: Data, job: Job) -> list[dict[str, Any]]:
    """Do a job in a worker process, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*fit_job(estimator, data, job)]
    finally:  # a worker is used again, for other tasks of the user
        torch.set_num_threads(threads)


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
