"""Teachers on the workers of Ray, to each of which they are sent once.

Ray's pickler takes a reducer for each class. The pickle of the teacher goes into Ray's
object store, and estimators carry the reference.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from skkd._estimator.sent_teacher import SentTeacher
from skkd._estimator.workers import Key, key_of
from skkd.memory._requirements import Requirements
from skkd.teachers._sending import pickle_teacher

# References by key, of this job of Ray alone.
_REFERENCES: dict[Key, Any] = {}
_KEPT = 2
_REGISTERED: set[type] = set()
_JOB: list[str] = []


def register(cls: type) -> None:
    """Tell Ray how to pickle estimators of a class, if it runs."""
    ray: Any = sys.modules["ray"]
    if not ray.is_initialized():
        return
    job = ray.get_runtime_context().get_job_id()
    if [job] != _JOB:
        _JOB[:] = [job]
        _REFERENCES.clear()
        _REGISTERED.clear()
    if cls not in _REGISTERED:
        ray.util.register_serializer(cls, serializer=_reduce, deserializer=_rebuild)
        _REGISTERED.add(cls)


def _reduce(estimator: Any) -> tuple[Any, ...]:
    """Return the parts of an estimator, with a reference in place of the teacher."""
    function, arguments, state = estimator.__reduce_ex__(4)[:3]
    key, teacher = key_of(estimator), estimator.teacher
    if key is not None:
        with suppress(ValueError):  # of the memory, which a fit will raise
            fetch = partial(_fetch, key, _reference(key, teacher))
            sent = SentTeacher(key, Requirements.of(estimator.memory), fetch)
            state = {k: sent if v is teacher else v for k, v in state.items()}
    return function, arguments, state


def _rebuild(parts: tuple[Any, ...]) -> Any:
    function, arguments, state = parts
    estimator = function(*arguments)
    estimator.__setstate__(state)
    return estimator


def _reference(key: Key, teacher: Any) -> Any:
    if key not in _REFERENCES:
        pickled = np.frombuffer(pickle_teacher(teacher), dtype=np.uint8)
        _remember(key, sys.modules["ray"].put(pickled))
    return _REFERENCES[key]


def _remember(key: Key, reference: Any) -> None:
    _REFERENCES[key] = reference
    for old in [*_REFERENCES][:-_KEPT]:
        del _REFERENCES[old]


def _fetch(key: Key, reference: Any) -> bytes:
    import ray

    _remember(key, reference)  # for students that go back
    return ray.get(reference).tobytes()
