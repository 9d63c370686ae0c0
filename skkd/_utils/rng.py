"""Random streams of our own, so that nobody else's is disturbed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch


@contextmanager
def preserved_rng(device: str = "cpu") -> Iterator[None]:
    """Give the caller's global random states back, whatever the block draws.

    Covers Python's `random`, NumPy's legacy global generator and torch's
    generators of the CPU and of `device`.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    kind = torch.device(device)
    devices = [] if kind.type == "cpu" else [kind]
    device_type = "cuda" if kind.type == "cpu" else kind.type
    try:
        with torch.random.fork_rng(devices=devices, device_type=device_type):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def seeded_rng(seed: int | None, device: str = "cpu") -> Iterator[None]:
    """Run the block on streams that start from `seed`; None changes nothing."""
    if seed is None:
        yield
        return
    with preserved_rng(device):
        random.seed(seed)
        np.random.seed(seed)
        # Not `torch.manual_seed`, which seeds every device of the machine.
        torch.default_generator.manual_seed(seed)
        kind = torch.device(device)
        if kind.type != "cpu":
            module = torch.get_device_module(kind)
            with nullcontext() if kind.index is None else module.device(kind):
                module.manual_seed(seed)
        yield
