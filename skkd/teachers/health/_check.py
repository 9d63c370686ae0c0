"""Whether a teacher has anything to teach, before a student is trained on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skkd._data.labels import check_labels, encode_labels, labels_of
from skkd.exceptions import TeacherWarning
from skkd.teachers._base import Teacher
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers.health._findings import Finding, examine, kind_of


def check_health(
    teacher: Any,
    X: Any,
    y: Any,
    *,
    temperature: float = 1.0,
    classes: Any = None,
    n_rows: int = 1000,
    strict: bool = False,
    random_state: Any = 0,
) -> list[Finding]:
    """Look for mistakes in a teacher, on rows whose labels are known.

    ``DistilledClassifier.fit`` does this by itself, on the outputs that it needs
    anyway. Each finding is a :class:`~skkd.TeacherWarning` that begins with its code:

    - ``chance-level``: the outputs say nothing of the labels;
    - ``random-head``: nor could they, since the last layer was never trained;
    - ``below-majority``: always answering the most frequent class is right more often;
    - ``permuted-classes``: the columns stand for other classes than they are taken for;
    - ``probabilities-as-logits``: probabilities, where logits were declared;
    - ``not-probabilities``: declared as probabilities, and they do not sum to 1;
    - ``non-finite``: infinities, or what is no number;
    - ``constant-output``: the same for every row;
    - ``saturated``: nothing soft is left at this temperature;
    - ``train-mode``: a module with dropout or batch norm was left in train mode.

    Parameters
    ----------
    teacher : object
        As in :class:`~skkd.DistilledClassifier`, fitted. Members of a list are looked
        at one by one, too.
    X : array-like of n rows
        As the teacher wants them.
    y : array-like of shape (n,)
        True labels. May be None where X is a torch Dataset that holds them.
    temperature : float, default=1.0
        That of the distillation to come.
    classes : array-like of shape (n_classes,), default=None
        The student's classes, in the order of the columns of a teacher that has no
        names for them. None takes the teacher's own, or the sorted labels of y.
    n_rows : int, default=1000
        The teacher is asked about so many rows at most, a stratified sample.
    strict : bool, default=False
        True raises what would be warned of.
    random_state : int, RandomState or None, default=0
        Of the sample.

    Returns
    -------
    list of Finding
        Empty for a healthy teacher.

    Raises
    ------
    ValueError
        With ``strict=True``, if there is any finding; if there are no rows; or if the
        teacher's classes or the shape of its outputs do not fit.

    Notes
    -----
    Fewer than 30 labelled rows give no finding that is about labels. A teacher is at
    chance level where both its decisions and the ranking of rows by each of its columns
    are not significantly better than chance, and are significantly worse than those of
    a poor but useful teacher.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd.teachers import as_teacher, check_health
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> check_health(teacher, X, y)
    []
    >>> wrong = as_teacher(teacher, classes=[2, 0, 1])
    >>> check_health(wrong, X, y, strict=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: [permuted-classes] ... as_teacher(model, classes=[0, 1, 2]), ...
    """
    # Which are made with what is in here.
    from skkd._data.rows import pick
    from skkd.teachers._as_teacher import as_teacher

    adapter = as_teacher(teacher)
    y, labelled = check_labels(X, labels_of(X, y))
    if not len(y):
        raise ValueError("X has no rows: expected some whose labels are known.")
    classes = _classes_of(adapter, y) if classes is None else np.asarray(classes)
    adapter.check(classes)
    y_encoded = encode_labels(y, labelled, classes)
    rows = sample_rows(y_encoded, n_rows, random_state)
    X = X if len(rows) == len(y_encoded) else pick(X, rows)
    findings = list(_ask(adapter, X, y_encoded[rows], classes, temperature))
    report(findings, strict=strict, stacklevel=3)
    return findings


def report(findings: list[Finding], *, strict: bool, stacklevel: int) -> None:
    """Warn of each finding, or raise all of them together."""
    if findings and strict:
        raise ValueError("\n".join(map(str, findings)))
    for finding in findings:
        warnings.warn(str(finding), TeacherWarning, stacklevel=stacklevel)


def sample_rows(
    y_encoded: np.ndarray, n_rows: int, random_state: Any = 0
) -> np.ndarray:
    """Return the numbers of at most `n_rows` rows, each class with its share."""
    if len(y_encoded) <= n_rows:
        return np.arange(len(y_encoded))
    shuffled = check_random_state(random_state).permutation(len(y_encoded))
    by_class = shuffled[np.argsort(y_encoded[shuffled], kind="stable")]
    return np.sort(by_class[np.arange(n_rows) * len(y_encoded) // n_rows])


def _ask(
    teacher: Teacher,
    X: Any,
    y_encoded: np.ndarray,
    classes: np.ndarray,
    temperature: float,
) -> Iterator[Finding]:
    if isinstance(teacher, EnsembleTeacher):
        for i, member in enumerate(teacher.model):
            for code, text in _ask(member, X, y_encoded, classes, temperature):
                yield Finding(code, f"Member {i} of the list: {text}")
    # Infinities are a finding, not a warning of NumPy's.
    with np.errstate(invalid="ignore", over="ignore"):
        logits = teacher.logits(X, classes)
    options = {"kind": kind_of(teacher), "temperature": temperature}
    # Members were looked at themselves.
    found = examine(logits, y_encoded, teacher=teacher, classes=classes, **options)  # type: ignore[arg-type]
    whole = isinstance(teacher, EnsembleTeacher)
    yield from (f for f in found if not (whole and f.code == "train-mode"))


def _classes_of(teacher: Teacher, y: np.ndarray) -> np.ndarray:
    known = teacher.classes_
    if known is None or teacher.extra_classes == "drop":
        return np.unique(y)
    return known if set(np.unique(y).tolist()) <= set(known.tolist()) else np.unique(y)
