"""Fingerprints of teachers and keys of rows, computed once while nothing changes.

That nothing changed is shown by a quick hash of all of it: every number, every setting,
the code of classes. Not by version counters of tensors, which miss what is written to
``.data``, or to an array that shares memory with the tensor.
"""

from __future__ import annotations

import copyreg
import hashlib
import io
import pickle
import threading
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from skkd._utils.checksum import checksum
from skkd.memory._fingerprint import (
    content_function,
    fingerprint,
    fingerprint_of_code,
    is_of_release,
)
from skkd.memory._own_pickle import has_own_pickle
from skkd.memory._release import release_of
from skkd.memory._row_keys import row_keys

# Fingerprints and arrays of keys that are kept; keys of more rows are not.
_KEPT, _MAX_ROWS = 32, 2**18


def known_fingerprint(content: Any) -> str:
    """Return ``fingerprint(content)``, the one from before if nothing changed."""
    return _KNOWN.get(content, quick_hash, fingerprint)


def known_row_keys(X: Any) -> tuple[np.ndarray, str]:
    """Return ``row_keys(X)``, those from before if `X` is an array of the same rows."""
    return _KNOWN.get(X, _quick_hash_of_rows, row_keys)


def quick_hash(content: Any) -> bytes | None:
    """Return a hash that changes whenever ``fingerprint(content)`` does, in a tenth.

    It may change where the fingerprint does not, and holds in this process alone. None
    where an object cannot be looked through.
    """
    stream = io.BytesIO()
    pickler = _QuickPickler(stream)
    try:
        pickler.dump(content)
    except Exception:  # whatever a __reduce__ of others may raise
        return None
    return hashlib.sha256(stream.getbuffer()).digest() + pickler._hash.digest()


class _QuickPickler(pickle.Pickler):
    """Writes what `ContentHasher` does, compiled where that is written in Python."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=4)
        self._hash = _Checksums()
        # What tells the content of objects of a class, if not their pickle.
        self._of_class: dict[type, Callable[[Any, Any], Any] | None] = {}

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type):
            known = obj.__module__ == "builtins"
            return NotImplemented if known else (str, (_describe_class(obj),))
        if isinstance(obj, types.FunctionType):
            known = is_of_release(obj)
            return NotImplemented if known else (str, (fingerprint(obj),))
        cls = type(obj)
        if cls in (np.ndarray, np.memmap) and not obj.dtype.hasobject:
            self._hash.update(obj)  # the text of its dtype takes longer
            return copyreg.__newobj__, (cls,), (obj.dtype, obj.shape)  # type: ignore
        if cls not in self._of_class:
            self._of_class[cls] = content_function(cls)
            if self._of_class[cls] is None and _hides(cls):
                raise ValueError("its class says what is pickled of it")
        content_of = self._of_class[cls]
        content = NotImplemented if content_of is None else content_of(self, obj)
        if content is NotImplemented:
            return NotImplemented
        # In place of its state, as a part of it may refer to it.
        return copyreg.__newobj__, (cls,), content  # type: ignore[attr-defined]

    def _describe_function(self, function: types.FunctionType) -> str:
        return fingerprint_of_code(function)


class _Checksums:
    """Takes the place of a hash of bytes."""

    def __init__(self) -> None:
        self._sums: list[bytes] = []

    def update(self, raw: Any) -> None:
        self._sums.append(checksum(raw) if isinstance(raw, np.ndarray) else raw)

    def digest(self) -> bytes:
        lengths = repr([*map(len, self._sums)]).encode()
        return hashlib.sha256(lengths + b"".join(self._sums)).digest()


class _Known:
    """What was computed last, by the quick hash of what it was computed from."""

    def __init__(self) -> None:
        self._values: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        content: Any,
        quick_hash: Callable[[Any], bytes | None],
        compute: Callable[[Any], Any],
    ) -> Any:
        quick = quick_hash(content)
        with self._lock:
            if quick in self._values:
                self._values.move_to_end(quick)
                return self._values[quick]
        value = compute(content)
        # Another thread may have changed it meanwhile.
        if quick is not None and quick_hash(content) == quick:
            with self._lock:
                self._values[quick] = value
                while len(self._values) > _KEPT:
                    self._values.popitem(last=False)
        return value


_KNOWN = _Known()


def _quick_hash_of_rows(X: Any) -> bytes | None:
    is_array = type(X) is np.ndarray and X.dtype.kind in "biuf"
    if not is_array or len(X) > _MAX_ROWS:
        return None
    quick = f"rows {X.dtype} {X.shape} ".encode() + checksum(X)
    return hashlib.sha256(quick).digest()


def _describe_class(cls: type) -> str:
    if all(release_of(base.__module__) for base in cls.__mro__):
        return f"{cls.__module__}.{cls.__qualname__}"
    return fingerprint(cls)


def _hides(cls: type) -> bool:
    """Tell whether attributes of an object may count that its pickle leaves out."""
    if cls.__module__ == "builtins" or release_of(cls.__module__):
        return False
    return has_own_pickle(cls)
