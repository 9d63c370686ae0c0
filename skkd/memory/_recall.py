"""A teacher is asked about every row once: what was said before is recalled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from skorch.utils import to_numpy

from skkd._data.keys import VIEW_SEEDS
from skkd._data.rows import iter_inputs, len_of, pick
from skkd._utils.modules import cast_floats
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._logits import CacheInfo, as_memory
from skkd.memory._row_keys import row_keys

# Rows that are augmented at a time for a teacher.
_BATCH_SIZE = 1024
# From rows to what is said of them, (m, n_columns) float32.
Say = Callable[[Any], np.ndarray]
# From numbers of rows to the same.
Ask = Callable[[np.ndarray], np.ndarray]


def lookup_or_compute(
    say: Say,
    source: Any,
    columns: np.ndarray,
    *,
    estimator: Any,
    X: Any,
    rows: Any,
    memory: Any,
) -> tuple[Any, CacheInfo]:
    """Return what is said of all rows, or of all views of them, and what it took.

    Parameters
    ----------
    say : callable
        From rows to an array (m, n_columns), float32.
    source : object
        Whose content tells what would be said: the teacher, and what it is asked.
    columns : ndarray of shape (n_columns,)
        Names of the columns, such as the classes.
    estimator : DistilledClassifier
        Its ``augment``, and the dtype of its ``module_``.
    X : array-like of n rows
        As the teacher wants them.
    rows : TrainingSet
        The same rows, with the seeds of their views where they have any.
    memory : None, False, str, path, joblib.Memory or LogitMemory

    Returns
    -------
    said : array-like of shape (n, n_columns) or (n, n_views, n_columns)
    done : CacheInfo
    """
    seeds = rows.batch_fields.get(VIEW_SEEDS)

    def ask(numbers: np.ndarray) -> np.ndarray:
        return say(X if len(numbers) == len(rows) else pick(X, numbers))

    def ask_view(numbers: np.ndarray, view: int) -> np.ndarray:
        parts, start = [], 0
        for batch in iter_inputs(pick(X, numbers), _BATCH_SIZE):
            # As the student will see it, to the last digit.
            images = cast_floats(batch, estimator.module_)
            part = seeds[numbers[start : start + len(images)], view]
            start += len(images)
            parts.append(say(to_numpy(estimator.augment(images, part))))
        return np.concatenate(parts)

    if seeds is None:
        answers, done = _recall(memory, source, X, [(ask, ())], columns)
        return answers[0], done
    views: list[tuple[Ask, Any]] = [
        (partial(ask_view, view=view), (estimator.augment, view))
        for view in range(seeds.shape[1])
    ]
    answers, done = _recall(memory, source, X, views, columns)
    return Views(answers), done


def _recall(
    memory: Any, source: Any, X: Any, views: list[tuple[Ask, Any]], columns: np.ndarray
) -> tuple[list[Any], CacheInfo]:
    """Return what is said of each view, and what it took."""
    remembered, note = as_memory(memory), ""
    if remembered is not None:
        try:
            names = [fingerprint((source, view)) for _, view in views]
            keys = row_keys(X)
        except FingerprintError as error:
            if memory is not None:
                raise
            remembered, note = None, str(error)
    if remembered is None:
        every = np.arange(len_of(X))
        answers = [ask(every) for ask, _ in views]
        return answers, CacheInfo(len(every) * len(views), note=note)
    recalled = [
        remembered.recall(ask, name, keys, columns)
        for (ask, _), name in zip(views, names, strict=True)
    ]
    return [said for said, _ in recalled], added([done for _, done in recalled])


def added(passes: list[CacheInfo]) -> CacheInfo:
    """Return several passes as one."""
    notes = dict.fromkeys(one.note for one in passes if one.note)
    return CacheInfo(
        misses=sum(one.misses for one in passes),
        hits=sum(one.hits for one in passes),
        verified=sum(one.verified for one in passes),
        nbytes=sum(one.nbytes for one in passes),
        note=" ".join(notes),
    )


class Views:
    """What is said of several views of each row, as one array (n, n_views, ...)."""

    def __init__(self, views: list[Any]) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.stack([view[rows] for view in self.views], axis=-2)
