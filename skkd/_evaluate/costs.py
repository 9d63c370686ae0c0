"""What a model costs: its size, its arithmetic, its time."""

from __future__ import annotations

import io
import pickle
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from skkd._data.rows import len_of, take_rows
from skkd._evaluate.models import Models
from skkd._evaluate.parts import Parts
from skkd._utils.modules import uncompiled

# Rounds of timing: at most, at least, and for how long per model.
_MOST_ROUNDS, _LEAST_ROUNDS, _SECONDS = 101, 7, 2.0
_WARM_UPS = 3
# Operations with arithmetic inside that torch's counter does not know.
_UNCOUNTED = re.compile(
    r"lstm|gru|rnn|attention|transformer|mkldnn|quantized|xnnpack|trilinear|cdist|fft"
    r"|activation|addmv|sparse|\.(mv|dot|vdot|inner)\b"
)


def n_parameters(parts: Parts) -> int | None:
    """Return the number of parameters, None unless all parts are networks."""
    if parts.others or not parts.networks:
        return None
    shared = {id(p): p.numel() for net in parts.networks for p in net.parameters()}
    return sum(shared.values())


def n_bytes(parts: Parts) -> int | None:
    """Return the size on disk, None if it cannot be stored.

    Of a network, the file that ``torch.save(module.state_dict())`` writes; of anything
    else, its pickle, with the fitted steps before it.
    """
    total = 0
    for network in {id(net): net for net in parts.networks}.values():
        file = io.BytesIO()
        torch.save(uncompiled(network).state_dict(), file)
        total += file.getbuffer().nbytes
    for part in [*parts.steps, *parts.others]:
        # A function would be pickled by its name alone.
        if not hasattr(part, "get_params"):
            return None
        try:
            total += len(pickle.dumps(part))
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
    return total


def n_multiply_adds(parts: Parts, predict_one: Callable[[], Any]) -> int | None:
    """Return the multiply-adds of a call that predicts one row.

    Those of convolutions and matrix products, as torch counts them; None if there are
    others, or no networks.
    """
    compiled = any(uncompiled(network) is not network for network in parts.networks)
    if parts.others or not parts.networks or compiled:
        return None
    with FlopCounterMode(display=False) as counter, _UncountedOperations() as others:
        predict_one()
    flops = counter.get_total_flops()
    return None if others.names or not flops else flops // 2


class _UncountedOperations(TorchDispatchMode):
    """Collects operations whose arithmetic torch does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = str(func)
        if func.overloadpacket not in flop_registry and _UNCOUNTED.search(name):
            self.names.add(name)
        return func(*args, **(kwargs or {}))


def costs_of(
    models: Models, rows: Mapping[str, Any], classes: np.ndarray, batch_size: int
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return sizes, multiply-adds and times of all models, and how they were measured.

    `rows` holds the input of each model, `classes` are those of
    :meth:`EvaluatedModel.predict`. Times are of `batch_size` rows; 0 measures none.
    """
    costs: dict[str, dict[str, Any]] = {}
    calls = {}
    for name, model in models.items():
        own = rows[name]
        n = min(batch_size, len_of(own))
        one = partial(model.predict_labels, take_rows(own, [0]), classes)
        costs[name] = {
            "parameters": n_parameters(model.parts),
            "multiply_adds": n_multiply_adds(model.parts, one),
            "bytes": n_bytes(model.parts),
        }
        batch = partial(model.predict_labels, take_rows(own, range(n)), classes)
        calls[name] = one, batch
    if not batch_size:
        return costs, []
    seconds = measure_times(calls)
    for name, measured in seconds.items():
        costs[name] |= _as_measures(measured, n)
    networks = [net for model in models.values() for net in model.parts.networks]
    devices = {str(p.device) for net in networks for p in net.parameters()}
    return costs, [
        f"Times: of predict on rows in memory (no file is read), {len(measured)} "
        f"rounds of all models in turn, after {_WARM_UPS} to warm up; batches of {n} "
        f"rows; {_threads()}; networks on {', '.join(sorted(devices)) or 'none'}."
    ]


def _as_measures(seconds: np.ndarray, batch_size: int) -> dict[str, float]:
    """Return medians and quartiles: latency in s, throughput in rows per second."""
    one, batch = np.quantile(seconds, [0.25, 0.5, 0.75], axis=0).T
    measures: dict[str, float] = {}
    for name, (low, middle, high) in {
        "latency": one,
        "throughput": batch_size / batch[::-1],
    }.items():
        measures |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    return {name: float(value) for name, value in measures.items()}


def measure_times(
    calls: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]],
) -> dict[str, np.ndarray]:
    """Time all models in turn, round by round, so that noise affects all alike.

    Each has two calls: one predicts a single row, the other a batch. Returns the
    seconds of both, of shape (n_rounds, 2), for each model.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(_WARM_UPS):
        for one, batch in calls.values():
            one(), batch()
    names, end = [*calls], time.perf_counter() + _SECONDS * len(calls)
    for done in range(_MOST_ROUNDS):
        if done >= _LEAST_ROUNDS and time.perf_counter() > end:
            break
        # Each round starts with another model: what ran before may matter.
        first = done % len(names)
        for name in names[first:] + names[:first]:
            one, batch = calls[name]
            seconds[name].append((_seconds(one), _seconds(batch)))
    return {name: np.array(pairs) for name, pairs in seconds.items()}


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _threads() -> str:
    n = torch.get_num_threads()
    text = "1 thread" if n == 1 else f"{n} threads"
    others = {pool["num_threads"] for pool in threadpool_info()} - {n}
    return f"{text} of torch, up to {max(others)} of others" if others else text
