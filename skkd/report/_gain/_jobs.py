"""The jobs of a gain: their students trained together where they can be."""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from skkd._fit.seen_rows import is_prefit
from skkd._packed.folds import Fold, FoldFits
from skkd._packed.member import BatchOrders, Member
from skkd._packed.refusal import CannotBePacked
from skkd._packed.together import train_together
from skkd._utils.backends import cluster_backend
from skkd.recipes._base import Recipe
from skkd.report._gain._fits import (
    Data,
    Fit,
    Job,
    Record,
    fit_alone,
    fits_of,
    record_of,
)
from skkd.report._gain._students import net_of, split_steps

# Of fits that are prepared at once. More are hardly faster; and they are recorded when
# all of them are trained, which takes about as long as four of them by themselves.
_MAX_FITS, _MAX_BYTES = 32, 2**29


def run_jobs(
    estimator: Any, data: Data, jobs: Sequence[Job], n_jobs: int | None
) -> Generator[Record, None, None]:
    """Do all jobs, and yield a record of each fit as soon as it is known."""
    n_workers = min(effective_n_jobs(n_jobs), len(jobs))
    if n_workers <= 1:
        yield from fit_jobs(estimator, data, jobs)
        return
    with _workers(estimator) as return_as:
        parallel = Parallel(n_jobs=n_jobs, return_as=return_as)
        left: list[Job] = []
        parts = _parts(jobs, n_workers)
        # X by itself, which joblib sends to each worker once.
        X, data = data.X, data._replace(X=None)
        tasks = (delayed(fit_apart)(estimator, X, data, part) for part in parts)
        with _closing(parallel(tasks)) as results:
            for records, rest in results:
                left += rest
                yield from records
        if not left:
            return
        # One by one, so that no worker is left with a long row of them.
        tasks = (delayed(fit_apart)(estimator, X, data, [job]) for job in left)
        with _closing(parallel(tasks)) as results:
            for records, _ in results:
                yield from records


@contextmanager
def _workers(estimator: Any) -> Iterator[str]:
    """Let the fits be done by a cluster, where joblib is told of one, or by loky.

    Yields how their results are to be returned: each as soon as it is finished, if that
    can be.
    """
    backend = cluster_backend()
    if backend is None:
        with parallel_config(inner_max_num_threads=1, backend="loky"):
            yield "generator_unordered"
        return
    net_of(split_steps(estimator)[1])._prepare_workers()
    yield "generator_unordered" if backend.supports_return_generator else "list"


@contextmanager
def _closing(results: Any) -> Iterator[Any]:
    try:
        yield results
    finally:
        if hasattr(results, "close"):  # a generator
            results.close()


def _parts(jobs: Sequence[Job], n_workers: int) -> list[list[Job]]:
    """Split jobs into parts that are trained together, at least one a worker."""
    n_fits = sum(len(job.networks) for job in jobs)
    n_parts = min(len(jobs), max(n_workers, -(-n_fits // _MAX_FITS)))
    bounds = [len(jobs) * i // n_parts for i in range(n_parts + 1)]
    return [[*jobs[i:j]] for i, j in pairwise(bounds)]


def fit_apart(
    estimator: Any, X: Any, data: Data, jobs: Sequence[Job]
) -> tuple[list[Record], list[Job]]:
    """Do jobs in a worker process, on one thread, until a fit has to be by itself.

    Returns the records, and the jobs that are left.
    """
    threads, data = torch.get_num_threads(), data._replace(X=X)
    torch.set_num_threads(1)
    records: list[Record] = []
    left, waiting = [*jobs], _Waiting()
    try:
        while left and not records:
            records = [*waiting.add(fits_of(estimator, data, left.pop(0)))]
        return [*records, *waiting.train()], left
    finally:  # a worker is used again, for other tasks of the user
        torch.set_num_threads(threads)


def fit_jobs(estimator: Any, data: Data, jobs: Sequence[Job]) -> Iterator[Record]:
    """Do jobs in this process."""
    waiting = _Waiting()
    for job in jobs:
        yield from waiting.add(fits_of(estimator, data, job))
        if waiting.is_full:
            yield from waiting.train()
    yield from waiting.train()


class _Waiting:
    """Fits that are prepared, and wait to be trained together."""

    def __init__(self) -> None:
        warm_up()
        self._refused: dict[Any, str] = {}
        self._start()

    def _start(self) -> None:
        self._orders: BatchOrders = {}
        self._folds: dict[Any, tuple[Any, FoldFits]] = {}
        self._fits: list[Fit] = []
        self._members: dict[int, Member] = {}
        self._seconds: list[float] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to train."""
        n_bytes = {m.X.data_ptr(): m.X.nbytes for m in self._members.values()}
        return len(self._fits) >= _MAX_FITS or sum(n_bytes.values()) >= _MAX_BYTES

    def add(self, fits: Iterator[Fit]) -> Iterator[Record]:
        """Prepare the fits of a job, and do those that have to be by themselves."""
        for fit in fits:
            start = time.perf_counter()
            try:
                member = self._prepare(fit)
            except CannotBePacked:
                yield fit_alone(fit)
                continue
            if member is None:
                yield record_of(fit, time.perf_counter() - start)
                continue
            self._members[len(self._fits)] = member
            # Of equal rows one copy is kept.
            self._fits.append(fit._replace(X=self._folds[fit.rows_key][0]))
            self._seconds.append(time.perf_counter() - start)

    def _prepare(self, fit: Fit) -> Member | None:
        if isinstance(fit.student, Recipe):
            raise CannotBePacked("a recipe")
        if fit.rows_key not in self._folds:
            data = Fold(fit.X, fit.y, fit.params)
            fold = FoldFits(data, self._orders, self._refused)
            self._folds[fit.rows_key] = fit.X, fold
        _, fold = self._folds[fit.rows_key]
        seed = None if is_prefit(fit.student) else fit.job.seed
        return fold.prepare_student(fit.student, seed)

    def train(self) -> Iterator[Record]:
        """Train what waits, and yield the records."""
        trained = train_together(self._members)
        fits, seconds = self._fits, self._seconds
        self._start()
        for i, share in trained.seconds.items():
            yield record_of(fits[i], seconds[i] + share)
        for i in trained.reasons:
            yield fit_alone(fits[i])


@functools.cache  # once in each process
def warm_up() -> None:
    """Import what torch imports for an optimizer, so that no fit is charged for it."""
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
