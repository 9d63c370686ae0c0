"""A teacher is asked about every row once: what was said before is recalled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from skorch.utils import to_numpy

from skkd._data.rows import iter_inputs, len_of, pick
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
    forward: Say,
    content: Any,
    columns: np.ndarray,
    X: Any,
    *,
    memory: Any,
    view_seeds: np.ndarray | None = None,
    augment: Any = None,
    cast: Any = None,
) -> tuple[Any, CacheInfo]:
    """Temporary."""
    n = len_of(X)

    def ask(numbers: np.ndarray) -> np.ndarray:
        return forward(X if len(numbers) == n else pick(X, numbers))

    def ask_view(numbers: np.ndarray, view: int) -> np.ndarray:
        parts, start = [], 0
        for batch in iter_inputs(pick(X, numbers), _BATCH_SIZE):
            images = cast(batch)
            part = view_seeds[numbers[start : start + len(images)], view]
            start += len(images)
            parts.append(forward(to_numpy(augment(images, part))))
        return np.concatenate(parts)

    if view_seeds is None:
        answers, done = _recall(memory, content, X, [(ask, ())], columns)
        return answers[0], done
    views: list[tuple[Ask, Any]] = [
        (partial(ask_view, view=view), (augment, view))
        for view in range(view_seeds.shape[1])
    ]
    answers, done = _recall(memory, content, X, views, columns)
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
