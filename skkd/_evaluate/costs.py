"""What a model costs: its size, its arithmetic, its time."""

from __future__ import annotations

import io
import pickle
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from skkd._data.rows import len_of, take_rows
from skkd._evaluate.models import Subject
from skkd._evaluate.parts import Parts
from skkd._utils.modules import uncompiled

Subjects = Mapping[str, Subject]

# Rounds of timing: at most, at least, and for how long per model.
_MOST_ROUNDS, _LEAST_ROUNDS, _SECONDS = 101, 7, 2.0
_WARM_UPS = 3
# Arithmetic inside one operation, of which torch's counter knows nothing.
_UNCOUNTED = re.compile(
    r"lstm|gru|rnn|attention|transformer|mkldnn|quantized|xnnpack|trilinear|cdist|fft"
    r"|activation|addmv|sparse|\.(mv|dot|vdot|inner)\b"
)


def n_parameters(parts: Parts) -> int | None:
    """Return the number of parameters, None where not all of it is networks."""
    if parts.others or not parts.networks:
        return None
    shared = {id(p): p.numel() for net in parts.networks for p in net.parameters()}
    return sum(shared.values())


def n_bytes(parts: Parts) -> int | None:
    """Return the size on disk, None where it cannot be stored.

    Of a network the file that ``torch.save(module.state_dict())`` writes; of anything
    else its pickle, fitted steps before it included.
    """
    total = 0
    for network in {id(net): net for net in parts.networks}.values():
        file = io.BytesIO()
        torch.save(uncompiled(network).state_dict(), file)
        total += file.getbuffer().nbytes
    for part in [*parts.steps, *parts.others]:
        # A function is pickled by its name.
        if not hasattr(part, "get_params"):
            return None
        try:
            total += len(pickle.dumps(part))
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
    return total


def n_multiply_adds(parts: Parts, answer: Callable[[], Any]) -> int | None:
    """Return the multiply-adds of a prediction, None where they cannot be counted.

    Those of convolutions and matrix products, as torch's counter sees them.

    Parameters
    ----------
    parts : Parts
    answer : callable
        Predicts one row.

    Returns
    -------
    int or None
    """
    compiled = any(uncompiled(network) is not network for network in parts.networks)
    if parts.others or not parts.networks or compiled:
        return None
    # The inner mode is asked first.
    with FlopCounterMode(display=False) as counter, _Unknown() as unknown:
        answer()
    flops = counter.get_total_flops()
    return None if unknown.names or not flops else flops // 2


class _Unknown(TorchDispatchMode):
    """Remembers operations that do arithmetic which is not counted."""

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
    subjects: Subjects, rows: Mapping[str, Any], classes: np.ndarray, batch_size: int
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return sizes, arithmetic and times of all models, and how they were measured.

    Parameters
    ----------
    subjects : mapping of str to Subject
    rows : mapping of str to array-like of n rows
        Of each model.
    classes : ndarray of shape (n_classes,)
        As for :meth:`Subject.ask`.
    batch_size : int
        Rows that are timed together; 0 measures no times.

    Returns
    -------
    costs : dict of str to dict
    conditions : list of str
    """
    costs: dict[str, dict[str, Any]] = {}
    answers = {}
    for name, subject in subjects.items():
        own = rows[name]
        n = min(batch_size, len_of(own))
        one = partial(subject.answer, take_rows(own, [0]), classes)
        costs[name] = {
            "parameters": n_parameters(subject.parts),
            "multiply_adds": n_multiply_adds(subject.parts, one),
            "bytes": n_bytes(subject.parts),
        }
        answers[name] = one, partial(subject.answer, take_rows(own, range(n)), classes)
    if not batch_size:
        return costs, []
    seconds = measure_times(answers)
    for name, measured in seconds.items():
        costs[name] |= _as_measures(measured, n)
    devices = {str(p.device) for s in subjects.values() for p in _parameters(s)}
    return costs, [
        f"Times: of predict on rows in memory (no file is read), {len(measured)} "
        f"rounds of all models in turn, after {_WARM_UPS} to warm up; batches of {n} "
        f"rows; {_threads()}; networks on {', '.join(sorted(devices)) or 'none'}."
    ]


def _parameters(subject: Subject) -> Iterator[torch.nn.Parameter]:
    for network in subject.parts.networks:
        yield from network.parameters()


def _as_measures(seconds: np.ndarray, batch_size: int) -> dict[str, float]:
    """Return medians and quartiles: latency in s, throughput in rows a second."""
    one, batch = np.quantile(seconds, [0.25, 0.5, 0.75], axis=0).T
    measures: dict[str, float] = {}
    for name, (low, middle, high) in {
        "latency": one,
        "throughput": batch_size / batch[::-1],
    }.items():
        measures |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    return {name: float(value) for name, value in measures.items()}


def measure_times(
    answers: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]],
) -> dict[str, np.ndarray]:
    """Time all models in turn, round by round, so that noise strikes all alike.

    Parameters
    ----------
    answers : mapping of str to pair of callables
        Of each model: predicts one row, predicts a batch.

    Returns
    -------
    dict of str to ndarray of shape (n_rounds, 2)
        Seconds of both.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in answers}
    for _ in range(_WARM_UPS):
        for one, batch in answers.values():
            one(), batch()
    names, end = [*answers], time.perf_counter() + _SECONDS * len(answers)
    for done in range(_MOST_ROUNDS):
        if done >= _LEAST_ROUNDS and time.perf_counter() > end:
            break
        # Another begins each round, as what ran before may matter.
        first = done % len(names)
        for name in names[first:] + names[:first]:
            one, batch = answers[name]
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
