"""Which of joblib's backends is active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import parallel_config
from joblib.parallel import get_active_backend


def cluster_backend() -> Any:
    """Return the active backend if it is not joblib's own, such as Dask's or Ray's."""
    backend = get_active_backend()[0]
    own = type(backend).__module__ == "joblib._parallel_backends"
    return None if own else backend


@contextmanager
def in_this_process() -> Iterator[None]:
    """Let ``n_jobs=1`` mean this process, on a cluster too.

    Dask's backend takes any number of jobs for as many as it has workers.
    """
    if cluster_backend() is None:
        yield
        return
    with parallel_config(backend="loky"):
        yield
