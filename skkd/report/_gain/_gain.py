"""The same student with and without its teacher, over seeds and folds."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from tqdm import tqdm

from skkd._data.labels import check_labels, find_classes, labels_of
from skkd._evaluate.statistics import check_confidence
from skkd._fit.seen_rows import check_teacher_saw, is_prefit, report_seen_rows
from skkd.report._gain._fits import Data, Job, Record
from skkd.report._gain._folds import Fold, check_seeds, folds_of_seeds
from skkd.report._gain._jobs import run_jobs
from skkd.report._gain._result import Gain
from skkd.report._gain._resume import Journal, about, split_key
from skkd.report._gain._scoring import Fit, check_metric
from skkd.report._gain._students import (
    check_estimator,
    check_teacher_of,
    has_teacher_folds,
    net_of,
    split_steps,
)

_NETWORKS = ("plain", "distilled")


def gain(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    seeds: Any = 5,
    cv: Any = None,
    groups: Any = None,
    metric: Any = "accuracy",
    confidence: float = 0.95,
    teacher_saw: str | None = None,
    resume: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Gain:
    r"""Train a student with and without its teacher, and measure the difference.

    Both students are clones of `estimator`, with the same seed, folds, augmentation
    and epochs; one has no teacher. They start from the same weights and see the same
    batches, except for recipes, which draw seeds for their students. Each is tested on
    rows that neither of them has seen. Students of several seeds and folds are trained
    together where they can be, see :class:`~skkd.search.PackedSearchCV`: their
    durations are equal shares.

    Parameters
    ----------
    estimator : DistilledClassifier, recipe of skkd.recipes, or Pipeline
        The student with its teacher. The steps of a Pipeline before the student are
        fitted once for both students, for each seed and fold: cache what they compute,
        such as with ``ImageReader(memory=...)``. The plain student of a recipe is its
        ``estimator`` without a teacher. Neither `estimator` nor a fitted teacher is
        changed.
    X : array-like of n rows
        In the form that the estimator expects: also paths of images, or a torch
        Dataset.
    y : array-like of shape (n,)
        Labels. Rows equal to the estimator's ``unlabeled`` are never tested; the plain
        student trains without them.
    seeds : int or iterable of int, default=5
        Values for the student's ``random_state``. An int n stands for 0 to n - 1.
    cv : None, int, splitter, iterable of (train, test), or callable, default=None
        The folds, the same for all seeds. None: 5 stratified folds, which keep `groups`
        together. A single split into training and test rows is ``[(train, test)]``. A
        function is called with the seed and returns any of these, so that each seed
        has its own folds.
    groups : array-like of shape (n,), default=None
        Rows that belong together, such as copies or images of one patient: they stay on
        one side of a fold, also of ``teacher_cv``, and count as one in the interval.
    metric : {"accuracy", "balanced_accuracy"} or callable, default="accuracy"
        Score of the test rows of a fold; a callable takes (y_true, y_pred), and higher
        is better.
    confidence : float, default=0.95
        Confidence level of the interval.
    teacher_saw : {None, "other rows"}, default=None
        "other rows" vouches that a fitted teacher saw none of the tested rows. None:
        not known, which the result says in its first line; a teacher that is right on
        nearly all of them is a :class:`~skkd.TeacherWarning`, and there is no verdict.
        Of no meaning where ``teacher_cv`` fits the teacher.
    resume : str or path, default=None
        A file to which each finished fit is written. Fits that it contains are not
        repeated; more seeds may be added. A file of another estimator, other data,
        folds or versions is refused. A ``.lock`` file beside it keeps other processes
        from writing.
    n_jobs : int, default=None
        Number of processes, as in joblib, with one thread each; under
        ``joblib.parallel_config("dask")`` those of a Dask cluster, and so with Ray.
        Each caches the teacher's logits for itself, unless the estimator's ``memory``
        is a folder.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    Gain
        Scores, the gain with its interval, and a verdict; prints as a table.

    Raises
    ------
    TypeError
        If `estimator` is of another type.
    ValueError
        If it has no teacher or ``alpha=0``, the folds or another parameter are invalid,
        or `resume` is a file of other fits.

    See Also
    --------
    skkd.teachers.check_health : Find what is probably wrong with a teacher.

    Notes
    -----
    A fitted teacher must not have been fitted on the test rows: it would pass on their
    labels. With ``teacher_cv=None`` a clone is fitted on the training rows of each
    fold, which is always clean. If ``teacher_cv`` fits several teachers, the score of
    the teacher is that of the mean of their probabilities. With ``unlabeled`` the plain
    student has fewer rows, and takes fewer steps in the same number of epochs.

    The gain is the mean of the differences over seeds and folds. Its interval treats
    seeds and test rows as two crossed random samples: the variance is that between
    seeds, divided by their number, plus the mean covariance of two seeds over the test
    rows, each with a quantile of Student's t, since with few seeds a bootstrap is too
    narrow. With one seed it covers test rows alone. It does not cover other training
    data: the folds of a cross-validation share most of their training rows, and no
    unbiased estimate of that variance exists [1]_.

    References
    ----------
    .. [1] Y. Bengio, Y. Grandvalet, "No Unbiased Estimator of the Variance of K-Fold
       Cross-Validation", JMLR 5, 2004.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skkd import DistilledClassifier
    >>> from skkd.report import gain
    >>> X, y = load_digits(return_X_y=True)
    >>> student = DistilledClassifier(
    ...     teacher=SVC(gamma=0.001),
    ...     teacher_cv=None,
    ...     module__hidden=8,
    ...     max_epochs=3,
    ... )
    >>> result = gain(student, X[:400], y[:400], seeds=2, cv=2)
    >>> result.plain.shape  # seeds, folds
    (2, 2)
    >>> low, high = result.interval
    >>> low <= result.gain <= high
    True
    """
    check_estimator(estimator, groups)
    check_metric(metric)
    check_confidence(confidence)
    check_teacher_saw(teacher_saw)
    numbers = check_seeds(seeds)
    net = net_of(split_steps(estimator)[1])
    y, labelled = _labels(X, y, net.unlabeled)
    check_teacher_of(net, find_classes(y[labelled], net.classes))
    folds = folds_of_seeds(cv, numbers, y, labelled, groups)
    plan = dict(zip(numbers, folds, strict=True))
    groups = None if groups is None else np.asarray(groups)
    data = Data(X, y, labelled, groups)
    records = _collect(estimator, data, plan, resume, n_jobs, verbose)
    rows = np.arange(len(y)) if groups is None else groups
    units = np.unique(rows, return_inverse=True)[1]
    fits = _as_fits(records, plan, y)
    result = Gain(
        *(fits, units, metric, confidence, groups is not None),
        unknown_teacher=is_prefit(net) and teacher_saw is None,
    )
    report_seen_rows(result.findings)
    return result


def _labels(X: Any, y: Any, unlabeled: Any) -> tuple[np.ndarray, np.ndarray]:
    given = labels_of(X, y)
    checked, labelled = check_labels(X, given, unlabeled)
    if not labelled.any():
        raise ValueError(
            f"No row of y is labelled (all equal unlabeled={unlabeled!r}): there is "
            "nothing to test."
        )
    if checked.dtype.kind in "US" and not labelled.all():
        # NumPy turned the mark into a string, which differs from `unlabeled`.
        values = np.empty(len(checked), dtype=object)
        values[:] = [*given]
        checked = values
    return checked, labelled


def _collect(
    estimator: Any,
    data: Data,
    plan: dict[int, list[Fold]],
    resume: Any,
    n_jobs: int | None,
    verbose: int,
) -> list[Record]:
    """Return a record of each fit, from the file or computed."""
    with ExitStack() as stack:
        journal, done = None, []
        if resume is not None:
            student = split_steps(estimator)[1]
            groups = data.groups if has_teacher_folds(student) else None
            journal = Journal(resume, about(estimator, data.X, data.y, groups))
            keys = {s: [split_key(f) for f in folds] for s, folds in plan.items()}
            done = _of_plan(stack.enter_context(journal.opened()), keys, resume)
        jobs = _missing(plan, {(r["seed"], r["fold"], r["network"]) for r in done})
        total = len(done) + sum(len(job.networks) for job in jobs)
        bar = stack.enter_context(
            tqdm(
                total=total,
                initial=len(done),
                desc="with and without teacher",
                unit="fit",
                disable=not verbose,
            )
        )
        fresh = stack.enter_context(closing(run_jobs(estimator, data, jobs, n_jobs)))
        for record in fresh:
            if journal is not None:
                journal.add({**record, "rows": keys[record["seed"]][record["fold"]]})
            done.append(record)
            bar.update()
    return done


def _missing(plan: dict[int, list[Fold]], done: set[tuple[int, int, str]]) -> list[Job]:
    jobs = []
    for seed, folds in plan.items():
        for number, fold in enumerate(folds):
            wanted = [n for n in _NETWORKS if (seed, number, n) not in done]
            if wanted:
                jobs.append(Job(seed, number, fold, tuple(wanted)))
    return jobs


def _of_plan(
    records: list[Record], keys: dict[int, list[str]], resume: Any
) -> list[Record]:
    """Return the records of the planned seeds, each fit once."""
    found = {}
    for record in records:
        seed, fold = record["seed"], record["fold"]
        if seed not in keys:
            continue
        if fold >= len(keys[seed]) or record["rows"] != keys[seed][fold]:
            raise ValueError(
                f"resume={str(resume)!r} holds fits of other folds: those of seed "
                f"{seed}, fold {fold} differ. Pass the same cv (a splitter that "
                "shuffles needs a random_state), or another path."
            )
        found[seed, fold, record["network"]] = record
    return [*found.values()]


def _as_fits(
    records: list[Record], plan: dict[int, list[Fold]], y: np.ndarray
) -> tuple[Fit, ...]:
    """Return the predictions, by network, seed and fold."""
    by_key = {(r["network"], r["seed"], r["fold"]): r for r in records}
    for r in records:
        if r.get("teacher"):
            by_key["teacher", r["seed"], r["fold"]] = {"seconds": None, **r["teacher"]}
    fits = []
    for network in ("plain", "distilled", "teacher"):
        for seed, folds in plan.items():
            for number, (_, test) in enumerate(folds):
                record = by_key.get((network, seed, number))
                if record is None:
                    continue
                y_true, y_pred = y[test], np.asarray(record["predicted"])
                if y_true.dtype.kind != "U":  # a predicted string may be longer
                    y_pred = y_pred.astype(y_true.dtype)
                rest = map(record.get, ("seconds", "n_parameters", "confidence"))
                fits.append(Fit(network, seed, number, test, y_true, y_pred, *rest))
    return tuple(fits)
