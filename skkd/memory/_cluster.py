"""Where work is done: in this process, by a Dask cluster, or by Ray."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

# How often a value is sent anew whose worker died meanwhile.
_TIMES = 3


class Here:
    """The process itself, which does at once what it is to do."""

    n_workers = 0
    # What a result raises whose arguments went down with a worker.
    lost: tuple[type[BaseException], ...] = ()

    def send(self, value: Any, *, to_all: bool = False) -> Any:
        """Bring a value to a worker, or to each once; return what stands for it."""
        return value

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Let a worker call a function; return what stands for the result.

        Arguments may be what stands for others, which stay where they are.
        """
        return function(*args)

    def compute(self, array: Any) -> Any:
        """Let the samples of a Dask array come into being."""
        return self.send(array.compute())

    def result(self, future: Any) -> Any:
        """Wait for a result and return it."""
        return future


class DaskCluster(Here):
    """The workers of a Dask client."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.lost = (sys.modules["distributed"].CancelledError,)
        # A worker that is to come may be waited for, but not for ever.
        client.wait_for_workers(1, timeout=60)
        self.n_workers = max(1, sum(client.ncores().values()))

    def send(self, value: Any, *, to_all: bool = False) -> Any:
        for _ in range(_TIMES):
            try:
                # In a list, since of a list the items are scattered.
                return self.client.scatter([value], broadcast=to_all, hash=False)[0]
            except OSError:  # the worker that was to have it is gone
                time.sleep(1.0)
        return self.client.scatter([value], broadcast=to_all, hash=False)[0]

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.client.submit(function, *args, pure=False)

    def compute(self, array: Any) -> Any:
        return self.client.compute(array)

    def result(self, future: Any) -> Any:
        return future.result()


class RayCluster(Here):
    """The workers of the Ray that this process is connected to."""

    def __init__(self) -> None:
        import ray

        self.ray: Any = ray
        self._remote: dict[Any, Any] = {}
        self.n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def send(self, value: Any, *, to_all: bool = False) -> Any:
        return self.ray.put(value)  # from where each worker takes it once

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        if function not in self._remote:
            self._remote[function] = self.ray.remote(function)
        return self._remote[function].remote(*args)

    def result(self, future: Any) -> Any:
        return self.ray.get(future)


def as_cluster(client: Any) -> Here:
    """Return the cluster that `client` stands for.

    Parameters
    ----------
    client : None, dask.distributed.Client or "ray"

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If Ray does not run.
    """
    if client is None:
        return Here()
    if isinstance(client, str) and client == "ray":
        ray: Any = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            raise ValueError(
                "client='ray' and this process is not connected to Ray: call "
                "ray.init() before. Ray is installed by pip install 'skkd[ray]'."
            )
        return RayCluster()
    distributed: Any = sys.modules.get("distributed")
    if distributed is not None and isinstance(client, distributed.Client):
        return DaskCluster(client)
    raise TypeError(
        f"client={client!r}: expected None, a dask.distributed.Client or 'ray'."
    )
