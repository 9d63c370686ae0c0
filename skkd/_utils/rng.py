"""The global random streams, and which thread they belong to.

Python's `random`, NumPy's legacy generator and torch's generators are one for all
threads, and layers, weights and augmentations draw from nothing else. So:

- `seeded_rng` owns the streams as long as its block runs. Other threads that want to
  seed them wait for their turn: seeded fits in threads run one after the other, each as
  if it were alone.
- `preserved_rng` waits for nobody. Of the blocks that overlap, the first one saves the
  states and the last one restores them.

A thread that waits for its turn cannot block the owner that waits for this very thread,
such as a fit whose teacher is itself fitted in threads: if the owner does nothing but
wait for threads, it draws nothing, and the turn is lent. joblib's workers get it only
from an owner above them, never from one beside them.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
_n_blocks = 0
_saved: dict[str, Any] = {}  # the states before the first of these blocks, by device


@contextmanager
def preserved_rng(device: Any = "cpu") -> Iterator[None]:
    """Restore the caller's global random states, whatever the block draws.

    Covers Python's `random`, NumPy's legacy global generator and torch's
    generators of the CPU and of `device`.

    Parameters
    ----------
    device : str or torch.device, default="cpu"
    """
    places = _places(device)
    if threading.get_ident() in _owners:
        states = {place: _get_state(place) for place in places}
        try:
            yield
        finally:
            _set_states(states)
        return
    _enter(places)
    try:
        yield
    finally:
        _leave()


@contextmanager
def seeded_rng(seed: int | None, device: Any = "cpu") -> Iterator[None]:
    """Run the block on streams that start from `seed`; None changes nothing.

    Parameters
    ----------
    seed : int or None
    device : str or torch.device, default="cpu"
    """
    if seed is None:
        yield
        return
    me = threading.get_ident()
    if me in _owners:
        with preserved_rng(device):
            _seed(seed, device)
            yield
        return
    _take_turn(me)
    try:
        _enter(_places(device))
        try:
            with preserved_rng(device):  # the states of a thread that lent its turn
                _seed(seed, device)
                yield
        finally:
            _leave()
    finally:
        with _changed:
            del _owners[me]
            _changed.notify_all()


def _enter(places: list[str]) -> None:
    global _n_blocks
    with _changed:
        _saved.update({p: _get_state(p) for p in places if p not in _saved})
        _n_blocks += 1


def _leave() -> None:
    global _n_blocks
    with _changed:
        _n_blocks -= 1
        if not _n_blocks:
            _set_states(_saved)
            _saved.clear()


def _take_turn(me: int) -> None:
    """Wait until this thread may seed the streams, and make it their owner."""
    level = get_active_backend()[0].nesting_level or 0
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


def _lends(owner: int, level: int) -> bool:
    """Tell whether `owner` waits for threads that may be the one at `level`."""
    frame = sys._current_frames().get(owner)
    if frame is None:
        return False
    if frame.f_code.co_filename == joblib.parallel.__file__:
        return level > _owners[owner]
    if frame.f_code.co_filename != threading.__file__:
        return False
    while frame is not None:  # its own DataLoader runs no fits
        if frame.f_globals.get("__name__", "").startswith("torch.utils.data"):
            return False
        frame = frame.f_back
    return True


def _places(device: Any) -> list[str]:
    """Return the names of the devices whose generators the block may use."""
    kind = torch.device(device)
    if kind.type == "cpu":
        return ["cpu"]
    if kind.index is None and kind.type != "mps":
        # Which one is current differs between threads.
        current = torch.get_device_module(kind).current_device()
        kind = torch.device(kind.type, current)
    return ["cpu", str(kind)]


def _get_state(place: str) -> Any:
    if place == "cpu":
        return random.getstate(), np.random.get_state(), torch.get_rng_state()
    module = torch.get_device_module(place)
    return module.get_rng_state() if place == "mps" else module.get_rng_state(place)


def _set_states(states: dict[str, Any]) -> None:
    for place, state in states.items():
        if place == "cpu":
            random.setstate(state[0])
            np.random.set_state(state[1])
            torch.set_rng_state(state[2])
        elif place == "mps":
            torch.mps.set_rng_state(state)
        else:
            torch.get_device_module(place).set_rng_state(state, place)


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
