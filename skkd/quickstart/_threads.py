"""How many threads train a network fastest, found by trying."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy

_ROUNDS = 2
# What several threads have to save at least, since other programs may want the cores.
_WORTH = 0.9


def choose_threads(module: Any, batch: torch.Tensor, n_classes: int) -> int:
    """Return the number of threads, 1 or torch's own, that trains in less time.

    Small networks are often no faster with several threads, and far slower where other
    programs use the cores.
    """
    most = torch.get_num_threads()
    if most == 1 or torch.cuda.is_available():
        return most
    targets = torch.arange(len(batch)) % n_classes
    seconds: dict[int, list[float]] = {1: [], most: []}
    for _ in range(_ROUNDS + 1):  # the first one warms up
        for n_threads, times in seconds.items():
            with using_threads(n_threads):
                began = time.perf_counter()
                loss = cross_entropy(module(batch), targets)
                if loss.requires_grad:
                    loss.backward()
                times.append(time.perf_counter() - began)
    best = {n_threads: min(times[1:]) for n_threads, times in seconds.items()}
    return most if best[most] < _WORTH * best[1] else 1


@contextmanager
def using_threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
