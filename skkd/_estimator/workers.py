"""A fitted teacher goes to each worker process of a search once, not with each task.

A process knows the teachers that it sent or received by weak references alone: a
teacher that is gone takes its pickle with it. Only the teachers that a worker received
last are kept alive, for its next task.
"""

from __future__ import annotations

import itertools
import pickle
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from skkd.memory._known import known_fingerprint
from skkd.teachers._as_teacher import as_teacher
from skkd.teachers._sending import (
    pickle_teacher,
    reduction,
    refuse_session,
    register_programs,
)

# By the object that a teacher was at first, and its content: a teacher that comes back
# from a worker is found by these.
Key = tuple[str, str]

_KNOWN: dict[Key, _Known] = {}
_RECEIVED: OrderedDict[Key, Any] = OrderedDict()
_KEPT = 2  # pickles, and received teachers
_LOCK = threading.RLock()  # weak references may end at any time, in any thread
_PROCESS, _NUMBERS = uuid.uuid4().hex, itertools.count()


def send_teacher_once(cls: type) -> None:
    """Register how loky, which runs scikit-learn's workers, pickles a class.

    Its parameters include ``teacher`` and ``teacher_cv``. Subclasses are registered one
    by one, since pickle looks up the very class.
    """
    if reduction is not None:
        reduction.register(cls, _reduce)


def _reduce(estimator: Any) -> Any:
    register_programs()
    refuse_session(estimator.teacher)
    reduced = estimator._reduce_for_worker()
    key = key_of(estimator)
    if key is None:  # the teacher travels as any object does
        return reduced
    teacher, (function, arguments, state) = estimator.teacher, reduced[:3]
    names = [name for name, value in state.items() if value is teacher]
    state = {**state, **dict.fromkeys(names)}
    return _rebuild, (function, arguments, state, names, key, _pickled(key, teacher))


def _rebuild(
    function: Any,
    arguments: Any,
    state: dict[str, Any],
    names: list[str],
    key: Key,
    pickled: np.ndarray,
) -> Any:
    estimator = function(*arguments)
    teacher = received(key, pickled.tobytes)
    estimator.__setstate__({**state, **dict.fromkeys(names, teacher)})
    return estimator


def key_of(estimator: Any) -> Key | None:
    """Return by what name other processes know the fitted teacher of an estimator.

    None if there is no such teacher, its content cannot be told, or there are no weak
    references to it.
    """
    teacher = estimator.teacher
    if teacher is None or not isinstance(estimator.teacher_cv, str):
        return None
    try:
        # Neither name nor code tell what a function of a script does, which is sent
        # with the globals that it refers to: `as_teacher` marks such ones.
        content = known_fingerprint(as_teacher(teacher))
        with _LOCK:
            key = _origin_of(teacher), content
            known = _KNOWN.pop(key, None) or _Known(key, teacher)
            _KNOWN[key] = known  # the last
    except (TypeError, ValueError):
        return None
    return key


class _Known:
    """A teacher of this process, and its pickle if it was sent lately.

    Of a list, to which there are no weak references, the members are known.
    """

    def __init__(self, key: Key, teacher: Any) -> None:
        def forget(_: Any) -> None:
            _KNOWN.pop(key, None)

        self.kind = type(teacher)
        self.members = [weakref.ref(one, forget) for one in _members_of(teacher)]
        self.pickled: np.ndarray | None = None

    def get(self) -> Any:
        """Return the teacher, a list with the same members; None if it is gone."""
        members = [member() for member in self.members]
        if any(member is None for member in members):
            return None
        return self.kind(members) if self.kind in (list, tuple) else members[0]

    def is_of(self, teacher: Any) -> bool:
        members = _members_of(teacher)
        return type(teacher) is self.kind and (
            [id(member()) for member in self.members] == [id(one) for one in members]
        )


def _members_of(teacher: Any) -> list[Any]:
    return [*teacher] if type(teacher) in (list, tuple) else [teacher]


def _pickled(key: Key, teacher: Any) -> np.ndarray:
    with _LOCK:
        known = _KNOWN.pop(key, None) or _Known(key, teacher)
        _KNOWN[key] = known  # the last: another thread may have sent others meanwhile
        if known.pickled is None:
            # joblib writes a large array to a file, once for all tasks that hold the
            # same, and the workers map it into their memory.
            known.pickled = np.frombuffer(pickle_teacher(teacher), dtype=np.uint8)
        for other in [*_KNOWN.values()][:-_KEPT]:
            other.pickled = None
        return known.pickled


def is_own(key: Key) -> bool:
    """Tell whether the teacher of a key comes from this process."""
    return key[0].startswith(_PROCESS)


def known_teacher(key: Key) -> Any:
    """Return the teacher that this process sent, or received, under a key, or None."""
    with _LOCK:
        known = _KNOWN.get(key)
        return None if known is None else known.get()


def received(key: Key, pickled: Callable[[], bytes]) -> Any:
    """Return the teacher of a key, unpickled unless this process has it already."""
    with _LOCK:
        teacher = known_teacher(key)
        if teacher is None:
            teacher = pickle.loads(pickled())
            with suppress(TypeError):  # no weak references
                _KNOWN[key] = _Known(key, teacher)
        if not is_own(key):  # this is a worker
            _RECEIVED[key] = teacher
            _RECEIVED.move_to_end(key)
            while len(_RECEIVED) > _KEPT:
                _RECEIVED.popitem(last=False)
    return teacher


def _origin_of(teacher: Any) -> str:
    """Return the name of a teacher across processes, a new one at first."""
    for key in list(_KNOWN):  # a copy: references may end meanwhile
        known = _KNOWN.get(key)
        if known is not None and known.is_of(teacher):
            return key[0]
    return f"{_PROCESS}-{next(_NUMBERS)}"
