"""Which callbacks run in which process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from skorch.callbacks import Checkpoint, EpochTimer, TrainEndCheckpoint
from skorch.callbacks import logging as loggers


def writes(callback: Any) -> bool:
    """Tell whether a callback prints or writes: then the main process alone runs it.

    Those of skorch are known. One of a user's own says so by an attribute
    ``main_process_only = True``.
    """
    if hasattr(callback, "main_process_only"):
        return bool(callback.main_process_only)
    if isinstance(callback, (Checkpoint, TrainEndCheckpoint)):
        return True
    kinds = [kind for kind in type(callback).__mro__ if kind is not EpochTimer]
    return any(kind.__module__ == loggers.__name__ for kind in kinds)


@contextmanager
def without_writing(net: Any) -> Iterator[None]:
    """Leave out callbacks that write, in this block: the main process runs them."""
    before = net.callbacks_
    net.callbacks_ = [(name, one) for name, one in before if not writes(one)]
    try:
        yield
    finally:
        net.callbacks_ = before


def without_printing() -> Any:
    """Drop what callbacks print in this block, as that a fit stops early."""
    return redirect_stdout(StringIO())
