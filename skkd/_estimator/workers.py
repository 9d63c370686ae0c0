"""A fitted teacher goes to each worker process of a search once, not with each task."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import numpy as np

from skkd.memory._fingerprint import fingerprint
from skkd.teachers._as_teacher import as_teacher

try:  # not public: without it a teacher is pickled as any object is
    from joblib.externals.loky.backend import reduction
except ImportError:
    reduction = None

# The teachers that this process sent or received last, by content.
_SENT: OrderedDict[str, tuple[Any, np.ndarray]] = OrderedDict()
_RECEIVED: OrderedDict[str, Any] = OrderedDict()
_KEPT = 2


def send_teacher_once(cls: type) -> None:
    """Register how loky, which runs scikit-learn's workers, pickles a class.

    Parameters
    ----------
    cls : type
        An estimator with parameters ``teacher`` and ``teacher_cv``. Subclasses are
        registered one by one, since pickle looks types up as they are.
    """
    if reduction is not None:
        reduction.register(cls, _reduce)


def _reduce(estimator: Any) -> Any:
    function, arguments, state, *rest = estimator.__reduce_ex__(4)
    teacher = estimator.teacher
    if teacher is None or not isinstance(estimator.teacher_cv, str):
        return function, arguments, state, *rest
    try:
        # Of a function of a script, which is sent with the globals that it refers to,
        # neither name nor code tell what it does: `as_teacher` marks such ones.
        key = fingerprint(as_teacher(teacher))
    except (TypeError, ValueError):  # no teacher, or one of unknown content
        return function, arguments, state, *rest
    packed = _SENT[key][1] if key in _SENT else None
    if packed is None:
        packed = np.frombuffer(reduction.dumps(teacher), dtype=np.uint8)
    # This very teacher is to come back, not one that was its equal once.
    _keep(_SENT, key, (teacher, packed))
    # joblib writes a large array to a file, once for all tasks that hold the same,
    # and the workers map it into their memory.
    parcel = _Parcel(key, packed)
    held = {k: parcel for k, v in state.items() if v is teacher}
    return _rebuild, (function, arguments, {**state, **held})


class _Parcel:
    """Stands for a teacher on its way."""

    def __init__(self, key: str, packed: np.ndarray) -> None:
        self.key, self.packed = key, packed

    def open(self) -> Any:
        if self.key in _SENT:  # it comes back
            return _SENT[self.key][0]
        if self.key not in _RECEIVED:
            _keep(_RECEIVED, self.key, pickle.loads(self.packed.tobytes()))
        return _RECEIVED[self.key]


def _rebuild(function: Any, arguments: Any, state: dict[str, Any]) -> Any:
    parcels = {k: v for k, v in state.items() if isinstance(v, _Parcel)}
    estimator = function(*arguments)
    estimator.__setstate__({**state, **{k: v.open() for k, v in parcels.items()}})
    return estimator


def _keep(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)
