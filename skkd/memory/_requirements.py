"""What a process has to have in common with the one that it works for."""

from __future__ import annotations

import atexit
import functools
import platform
import sys
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from skkd._version import __version__
from skkd.memory._logits import LogitMemory, as_memory

_MARK = f"client-{uuid.uuid4().hex}"


class Requirements(NamedTuple):
    """Versions, and a folder of logits that both see.

    Attributes
    ----------
    versions : tuple of (str, str)
        Names of packages and their versions.
    location : str
        The folder as the user gave it; empty if there is none.
    mark : str
        The path of a file that shows that it is the same folder.
    """

    versions: tuple[tuple[str, str], ...]
    location: str = ""
    mark: str = ""

    @classmethod
    def of(cls, memory: Any = None) -> Requirements:
        """Return what this process has, and `memory`, as of a DistilledClassifier."""
        if memory is not None:
            memory = as_memory(memory)
        folder = None if memory is None else memory._folder()
        mark = None if folder is None else _mark(folder)
        if mark is None:
            return cls(_versions())
        return cls(_versions(), _location(memory), str(mark))

    def unmet(self) -> str:
        """Return what of it this process does not have, in a sentence, or nothing."""
        if self in _MET:  # it is asked for each task
            return ""
        problem = _look(self)
        if not problem:
            _MET.add(self)
        return problem


_MET: set[Requirements] = set()


def _look(required: Requirements) -> str:
    here = dict(_versions())
    others = [
        f"{n} {v} and not {here[n]}" for n, v in required.versions if here[n] != v
    ]
    if others:
        return (
            f"The process that started this has {', '.join(others)}, as {_me()} has: "
            "the same teacher may give other logits there. Install the same versions."
        )
    if required.mark and not Path(required.mark).exists():
        return (
            f"{_me()} does not see the folder memory={required.location!r}: it would "
            "compute the teacher's logits for itself. Give a folder that all machines "
            "share, by its absolute path, or memory=None."
        )
    return ""


def _me() -> str:
    return f"the process {sys.argv[0] or 'python'} on {platform.node()}"


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    return (
        ("Python", ".".join(platform.python_version_tuple()[:2])),
        ("skkd", __version__),
        ("numpy", np.__version__),
        ("scikit-learn", version("scikit-learn")),
        ("skorch", version("skorch")),
        # Without what it was compiled for: a GPU may work for a CPU.
        ("torch", torch.__version__.partition("+")[0]),
    )


def _mark(folder: Path) -> Path | None:
    """Return a file in the folder, for as long as this process lives.

    None if it cannot be written: then nothing can be told.
    """
    mark = folder / _MARK
    if not mark.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError:
            return None
        atexit.register(_remove, mark)
    return mark


def _remove(mark: Path) -> None:
    with suppress(OSError):
        mark.unlink()


def _location(memory: LogitMemory) -> str:
    location = memory.location
    return str(getattr(location, "location", location))
