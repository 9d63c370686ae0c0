"""How long the pass of a teacher over many samples takes, and how much it keeps."""

from __future__ import annotations

import tempfile
import time
from numbers import Integral
from typing import Any, NamedTuple

from sklearn.base import clone

from skkd._data.rows import len_of, take_rows
from skkd._utils.checks import check_number
from skkd.memory._logits import LogitMemory, as_memory
from skkd.memory._precompute import precompute_logits

# Of the slice, one in so many samples is computed before the clock starts.
_WARM_UP = 8


class LogitPlan(NamedTuple):
    """What a pass of a teacher over many samples will take.

    Attributes
    ----------
    n_samples : int
    seconds : float
    nbytes : int
        Of the folder.
    n_measured : int
        Samples that were computed to know it.

    Examples
    --------
    >>> from skkd.memory import LogitPlan
    >>> print(LogitPlan(1_000_000, 7_200.0, 90_000_000, 512))
    1,000,000 samples: 2.0 hours (139 a second), 90.0 MB (90 bytes each)
    """

    n_samples: int
    seconds: float
    nbytes: int
    n_measured: int

    def __str__(self) -> str:
        hours, rate = self.seconds / 3600, self.n_samples / self.seconds
        each = self.nbytes / self.n_samples
        return (
            f"{self.n_samples:,} samples: {hours:.1f} hours ({rate:,.0f} a second), "
            f"{self.nbytes / 1e6:,.1f} MB ({each:,.0f} bytes each)"
        )


def plan_logits(
    teacher: Any,
    X: Any,
    n_samples: int,
    memory: Any = None,
    *,
    classes: Any = None,
    reader: Any = None,
    client: Any = None,
) -> LogitPlan:
    """Measure a slice of the samples, to plan :func:`precompute_logits` for all.

    Parameters
    ----------
    teacher, classes, reader, client : object
        As of :func:`precompute_logits`.
    X : array-like of n samples, Dask array or paths
        A slice, such as the first thousand: an eighth of it is computed first, so that
        all is set up, and the time is that of the rest. With a `client` give several
        blocks for each worker.
    n_samples : int
        How many samples there are in all.
    memory : LogitMemory or None, default=None
        With the options that are planned; its folder is not used.

    Returns
    -------
    LogitPlan

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd.memory import LogitMemory, plan_logits
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=500).fit(X, y)
    >>> half = LogitMemory(dtype="float16")
    >>> plan_logits(teacher, X, 1_000_000, half).nbytes < 40_000_000
    True
    """
    check_number("n_samples", n_samples, Integral, low=1)
    n = len_of(X)
    if n < 2 * _WARM_UP:
        raise ValueError(f"X has {n} samples: expected a slice of {2 * _WARM_UP}.")
    given = as_memory(memory)
    planned = LogitMemory() if given is None else clone(given)
    options = {"classes": classes, "reader": reader, "client": client}
    with tempfile.TemporaryDirectory() as folder:
        planned.set_params(location=folder)
        first, rest = _part(X, 0, n // _WARM_UP), _part(X, n // _WARM_UP, n)
        before = precompute_logits(teacher, first, planned, **options)
        start = time.perf_counter()
        done = precompute_logits(teacher, rest, planned, **options)
        seconds = time.perf_counter() - start
    if not done.misses:
        raise ValueError("All samples of X are equal: expected a slice of the data.")
    each = (done.nbytes - before.nbytes) / done.misses
    per_sample = seconds / done.misses
    return LogitPlan(
        n_samples, per_sample * n_samples, round(each * n_samples), done.misses
    )


def _part(X: Any, start: int, stop: int) -> Any:
    if type(X).__module__.startswith("dask."):
        return X[start:stop]
    return take_rows(X, range(start, stop))
