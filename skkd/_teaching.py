"""Where the soft targets of a fit come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from skorch.utils import is_dataset, to_numpy
from torch.utils.data import Subset

from skkd._batches import VIEW_SEEDS, iter_inputs, len_of
from skkd._fingerprint import UnknowableError, fingerprint
from skkd._modules import cast_floats, describe
from skkd._row_keys import row_keys
from skkd._validation import check_logits, check_steady
from skkd.memory import TeacherPass, as_memory
from skkd.teachers import Teacher, as_teacher
from skkd.teachers._fitting import (
    check_fittable,
    fit_on_all,
    fit_out_of_fold,
    sliceable,
)
from skkd.teachers._transform import check_transform

# Rows that are augmented at a time for a teacher.
_BATCH_SIZE = 1024
# From numbers of rows to their logits.
Ask = Callable[[np.ndarray], np.ndarray]


class Lesson(NamedTuple):
    """What a teacher has to say about the rows of a fit."""

    teacher: Any = None  # what is shown as `teacher_`
    logits: Any = None  # (n, n_classes), or (n, n_views, n_classes); None where live
    live: Teacher | None = None  # asked about every batch
    taught: TeacherPass = TeacherPass()


def check_teacher(
    teacher: Any,
    teacher_cv: Any,
    classes: np.ndarray,
    *,
    transform: Any = None,
    given: bool,
    labelled: Any,
) -> Teacher | None:
    """Raise, before anything is trained, where the teacher cannot teach.

    Parameters
    ----------
    teacher, teacher_cv
        The estimator's parameters.
    classes : ndarray of shape (n_classes,)
    transform : callable or None, default=None
        The estimator's ``teacher_transform``.
    given : bool
        Whether logits were passed in place of the teacher's.
    labelled : ndarray of bool, shape (n,)

    Returns
    -------
    Teacher or None
        The fitted teacher; None where there is none, or clones are to be fitted.
    """
    if transform is not None:
        check_transform(transform)
        if not isinstance(teacher_cv, str):
            raise ValueError(
                f"teacher_transform={describe(transform)} makes the inputs of a "
                f"trained teacher, and with teacher_cv={teacher_cv!r} clones are "
                "fitted, to X as it is: make the transform a step of the teacher's own "
                "Pipeline, or pass teacher_cv='prefit'."
            )
    if teacher is None or given:
        if teacher is None and not given and not labelled.all():
            raise ValueError(
                f"{int((~labelled).sum())} rows are marked as unlabelled, and only a "
                "teacher can teach these: pass teacher=, or leave them out."
            )
        return None
    if not isinstance(teacher_cv, str):
        check_fittable(teacher, teacher_cv)
        return None
    adapter = as_teacher(teacher, transform=transform)
    adapter.check(classes)
    return adapter


def hold_lesson(
    adapter: Teacher | None,
    estimator: Any,
    X: Any,
    rows: Any,
    sample_weight: np.ndarray | None = None,
) -> Lesson:
    """Ask the teacher about every row that is not remembered, once.

    Parameters
    ----------
    adapter : Teacher or None
        What :func:`check_teacher` returned.
    estimator : DistilledClassifier
        Its ``teacher``, ``teacher_cv``, ``memory``, ``augment``, ``views`` and
        ``classes_``.
    X : array-like of n rows
        As the teacher wants them.
    rows : TrainingSet
    sample_weight : ndarray of shape (n,), default=None
        For the fitting of clones.

    Returns
    -------
    Lesson
    """
    classes, n = estimator.classes_, len(rows)
    if len_of(X) != n:
        raise ValueError(f"teacher_X has {len_of(X)} rows, expected {n}, those of X.")
    check_steady(X)
    teacher, memory = estimator.teacher, estimator.memory
    if adapter is None:
        X, memory = sliceable(X), False  # clones are others at every fit
        data = (X, rows.y, rows.codes >= 0, sample_weight)
        cv = estimator.teacher_cv
        if cv is not None:
            members, logits = fit_out_of_fold(teacher, cv, *data, classes=classes)
            logits = check_logits(logits, n, classes)
            return Lesson(members, logits, taught=TeacherPass(n))
        teacher = fit_on_all(teacher, *data)
        adapter = as_teacher(teacher)
        adapter.check(classes)
    adapter.check_rows(X)
    if estimator.augment is not None and estimator.views is None:
        return Lesson(teacher, live=adapter)
    views = _views(adapter, estimator, X, rows)
    logits, taught = _recall(memory, adapter, X, views, classes)
    return Lesson(teacher, logits, taught=taught)


def _views(
    adapter: Teacher, estimator: Any, X: Any, rows: Any
) -> list[tuple[Ask, tuple[Any, ...]]]:
    """Return how to ask about each view of the rows, and what identifies the view."""
    classes, n = estimator.classes_, len(rows)

    def ask(numbers: np.ndarray) -> np.ndarray:
        part = X if len(numbers) == n else _pick(X, numbers)
        return check_logits(adapter.logits(part, classes), len(numbers), classes)

    seeds = rows.beside.get(VIEW_SEEDS)
    if seeds is None:
        return [(ask, ())]

    def ask_view(numbers: np.ndarray, view: int) -> np.ndarray:
        parts = []
        seeds_of_view, start = seeds[numbers, view], 0
        for batch in iter_inputs(_pick(X, numbers), _BATCH_SIZE):
            # As the student will see it, to the last digit.
            images = cast_floats(batch, estimator.module_)
            part = seeds_of_view[start : start + len(images)]
            start += len(images)
            image_views = to_numpy(estimator.augment(images, part))
            said = adapter.logits(image_views, classes)
            parts.append(check_logits(said, len(images), classes))
        return np.concatenate(parts)

    return [
        (partial(ask_view, view=view), (estimator.augment, view))
        for view in range(seeds.shape[1])
    ]


def _recall(
    memory: Any,
    adapter: Teacher,
    X: Any,
    views: list[tuple[Ask, tuple[Any, ...]]],
    classes: np.ndarray,
) -> tuple[Any, TeacherPass]:
    """Return the logits of all views, and what it took."""
    remembered, note = as_memory(memory), ""
    if remembered is not None:
        try:
            names = [fingerprint((adapter, view)) for _, view in views]
            keys = row_keys(X)
        except UnknowableError as error:
            if memory is not None:
                raise
            remembered, note = None, str(error)
    if remembered is None:
        every = np.arange(len_of(X))
        answers = [ask(every) for ask, _ in views]
        taught = TeacherPass(len(every) * len(views), note=note)
    else:
        asks = [ask for ask, _ in views]
        recalled = [
            remembered.recall(ask, name, keys, classes)
            for ask, name in zip(asks, names, strict=True)
        ]
        answers = [logits for logits, _ in recalled]
        passes = [taught for _, taught in recalled]
        taught = TeacherPass(*np.sum([p[:4] for p in passes], axis=0).tolist())
    return (answers[0] if not views[0][1] else Views(answers)), taught


class Views:
    """The logits of several views of each row, as one array (n, n_views, n_classes)."""

    def __init__(self, views: list[Any]) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.stack([view[rows] for view in self.views], axis=-2)


def _pick(X: Any, numbers: np.ndarray) -> Any:
    if is_dataset(X):
        return Subset(X, numbers.tolist())
    return _safe_indexing(sliceable(X), numbers)
