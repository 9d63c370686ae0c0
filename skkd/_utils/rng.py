"""The global random streams, and the thread that they belong to.

Python's `random`, NumPy's legacy generator and torch's generators are one for all
threads, and layers, weights and augmentations draw from nothing else. So:

- `seeded_rng` owns the streams while its block runs. Other threads that want to seed
  them wait for their turn: seeded fits in threads run one after the other, each as if
  it were alone.
- `preserved_rng` waits for no other thread. Of the blocks that overlap, the first one
  saves the states and the last one restores them.

An owner may wait for threads that wait for their turn, as a fit does whose teacher is
itself fitted in threads. While it waits it draws nothing, so it lends them the turn.
Whom it waits for is known of joblib's threads. Of others it is not: several seeded
fits at once, each with a teacher that is fitted in a pool of its own, do not block each
other, but may draw from each other's streams.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import joblib
import numpy as np
import torch
from joblib.parallel import get_active_backend

# How often, and how long, an owner is seen to wait before its turn is lent.
_SECONDS, _TIMES = 0.02, 10

_changed = threading.Condition()
# Threads, with their level of joblib's parallelism, where workers are one above the
# thread that started them. Only the last one draws, the others lent it their turn.
_owners: dict[int, int] = {}
_n_blocks = 0  # that overlap
_saved: dict[str, Any] = {}  # the states before the first of these blocks, by device


@contextmanager
def preserved_rng(device: Any = "cpu") -> Iterator[None]:
    """Restore the random states of the CPU and of `device`, whatever the block draws.

    These are Python's `random`, NumPy's legacy generator and torch's generators.
    """
    if threading.get_ident() not in _owners:
        with _overlapping_block(device):
            yield
        return
    states = get_states(device)
    try:
        yield
    finally:
        set_states(states)


@contextmanager
def seeded_rng(seed: int | None, device: Any = "cpu") -> Iterator[None]:
    """Run the block on streams that start from `seed`; None changes nothing."""
    if seed is None:
        yield
        return
    with ExitStack() as stack:
        if threading.get_ident() not in _owners:
            stack.enter_context(_turn())
            stack.enter_context(_overlapping_block(device))
        # Also the states of a thread that lent its turn.
        stack.enter_context(preserved_rng(device))
        _seed(seed, device)
        yield


class SecondStream:
    """Random streams beside the global ones, which take their place in a block.

    Parameters
    ----------
    seed : int
    device : str or torch.device, default="cpu"
    """

    def __init__(self, seed: int, device: Any = "cpu") -> None:
        self.device = device
        with preserved_rng(device):
            _seed(seed, device)
            self._states = get_states(device)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Draw from these in the block; in a block within it from the global ones."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        states = get_states(self.device)
        set_states(self._states)
        self._states = states


@contextmanager
def _overlapping_block(device: Any) -> Iterator[None]:
    global _n_blocks
    with _changed:
        _saved.update({**get_states(device), **_saved})
        _n_blocks += 1
    try:
        yield
    finally:
        with _changed:
            _n_blocks -= 1
            if not _n_blocks:
                set_states(_saved)
                _saved.clear()


@contextmanager
def _turn() -> Iterator[None]:
    """Wait until this thread may own the streams, and own them."""
    me, level = threading.get_ident(), get_active_backend()[0].nesting_level or 0
    last, times = None, 0
    with _changed:
        while _owners:
            owner = next(reversed(_owners))
            times = times + 1 if owner == last and _lends(owner, level) else 0
            if times == _TIMES:
                break
            last = owner
            _changed.wait(_SECONDS)
        _owners[me] = level
    try:
        yield
    finally:
        with _changed:
            del _owners[me]
            _changed.notify_all()


def _lends(owner: int, level: int) -> bool:
    """Tell whether `owner` waits for threads that may be the one at `level`."""
    frame = sys._current_frames().get(owner)
    file = None if frame is None else frame.f_code.co_filename
    if file == joblib.parallel.__file__:  # it waits for its workers, never for others
        return level > _owners[owner]
    if file != threading.__file__:
        return False
    while frame is not None:  # its own DataLoader runs no fits
        if frame.f_globals.get("__name__", "").startswith("torch.utils.data"):
            return False
        frame = frame.f_back
    return True


def get_states(device: Any) -> dict[str, Any]:
    """Return the states of the generators of the CPU and of `device`."""
    states: dict[str, Any] = {
        "cpu": (random.getstate(), np.random.get_state(), torch.get_rng_state())
    }
    kind = torch.device(device)
    if kind.type != "cpu":
        module = torch.get_device_module(kind)
        if kind.index is None and kind.type != "mps":
            # Which one is current differs between threads.
            kind = torch.device(kind.type, module.current_device())
        states[str(kind)] = module.get_rng_state(*_arguments(kind))
    return states


def set_states(states: dict[str, Any]) -> None:
    """Set the states that `get_states` returned."""
    for place, state in states.items():
        if place == "cpu":
            random.setstate(state[0])
            np.random.set_state(state[1])
            torch.set_rng_state(state[2])
        else:
            module, kind = torch.get_device_module(place), torch.device(place)
            module.set_rng_state(state, *_arguments(kind))


def _arguments(kind: torch.device) -> list[Any]:
    return [] if kind.type == "mps" else [str(kind)]  # torch.mps takes no device


def _seed(seed: int, device: Any) -> None:
    random.seed(seed)
    np.random.seed(seed)
    # Not `torch.manual_seed`, which seeds every device of the machine.
    torch.default_generator.manual_seed(seed)
    kind = torch.device(device)
    if kind.type != "cpu":
        module = torch.get_device_module(kind)
        with nullcontext() if kind.index is None else module.device(kind):
            module.manual_seed(seed)


def _forget_other_threads() -> None:
    """Start afresh in a forked process, which has one thread."""
    global _changed, _n_blocks
    _changed = threading.Condition()
    for thread in _owners.keys() - {threading.get_ident()}:
        del _owners[thread]
    _n_blocks = len(_owners)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
