"""What the classes of a user's own leave out of their pickles."""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from typing import Any

from skkd.memory._release import release_of_function

_METHODS = (
    *("__reduce_ex__", "__reduce__", "__getstate__"),
    *("__getnewargs_ex__", "__getnewargs__"),
)
# More files than these below one folder are not looked at.
_FILES = 1000


def has_own_pickle(cls: type) -> bool:
    """Tell whether code that is not of a released package pickles objects of `cls`."""
    for base in cls.__mro__[:-1]:
        own = [vars(base)[name] for name in _METHODS if name in vars(base)]
        if own:  # not what is compiled, which is of some library
            functions = [f for f in own if isinstance(f, types.FunctionType)]
            return any(release_of_function(f) is None for f in functions)
    return False


def hidden_attributes(obj: Any, reduced: Any) -> dict[str, Any]:
    """Return the attributes of an object that its pickle does not hold as they are."""
    parts = reduced[2] if isinstance(reduced, tuple) and len(reduced) > 2 else None
    states = [s for s in (parts if isinstance(parts, tuple) else (parts,)) if s]
    kept = {
        k: v for state in states if isinstance(state, dict) for k, v in state.items()
    }
    return {
        key: value
        for key, value in sorted(getattr(obj, "__dict__", {}).items())
        if not (key in kept and kept[key] is value)
    }


def files_named(values: Any) -> list[tuple[str, int, int, int]]:
    """Return size and times of change of the files that are named in `values`.

    An object that is pickled as the path of a file is another one once the file is.
    """
    return [
        (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        for value in _flat(values)
        for path in _files_at(value)
        if (found := os.stat(path))
    ]


def _flat(values: Any) -> Iterator[str]:
    """Yield the texts and paths in nested containers."""
    if isinstance(values, (str, os.PathLike)):
        yield os.fspath(values)
    elif isinstance(values, dict):
        yield from _flat([*values.values()])
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _flat(value)


def _files_at(path: str) -> list[str]:
    try:
        if os.path.isfile(path):
            return [path]
        if not path or not os.path.isdir(path):
            return []
    except ValueError:  # a text with zeros
        return []
    files: list[str] = []
    for folder, _, names in os.walk(path):
        files += [os.path.join(folder, name) for name in names]
        if len(files) > _FILES:
            raise ValueError(f"it is pickled as a folder of many files, {path!r}")
    return sorted(files)
