"""Teachers on the workers of a Dask cluster, to each of which they are sent once.

distributed pickles tasks with plain ``pickle`` and has no place to register how objects
of a class are pickled, and joblib passes on what is inside of an estimator with each
task. So a plugin brings the teacher to the workers, and to those that come later, when
an estimator is cloned under joblib's Dask backend, as scikit-learn's searches do before
anything else. An estimator that distributed pickles then says by what key its teacher
is found there.
"""

from __future__ import annotations

import sys
import weakref
from contextlib import suppress
from typing import Any

from joblib.parallel import get_active_backend

from skkd._estimator.sent_teacher import DELIVERED, SentTeacher
from skkd._estimator.workers import Key, is_own, key_of
from skkd.memory._requirements import Requirements
from skkd.teachers._sending import dumps, pickle_teacher

_PICKLES_TASKS = "distributed.protocol.pickle"


class _Workers:
    """What the workers of a client have, and what was asked of them."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}  # of teachers, by where they come from
        self.met: set[Requirements] = set()

    def have(self, key: Key) -> bool:
        return self.contents.get(key[0]) == key[1]


_WORKERS: weakref.WeakKeyDictionary[Any, _Workers] = weakref.WeakKeyDictionary()


def bring_teacher(estimator: Any) -> None:
    """Bring an estimator's teacher to the workers, if joblib sends tasks to any.

    Raises
    ------
    TypeError
        If the estimator or its teacher cannot be pickled. joblib would wait for ever.
    RuntimeError
        If a worker has other versions, or does not see the folder of the memory.
    """
    client = _active_client()
    if client is None:
        return
    _check_sendable(estimator)
    if estimator.teacher is None:
        return
    workers = _WORKERS.setdefault(client, _Workers())
    required = Requirements.of(estimator.memory)
    if required not in workers.met:
        _check(client, required)
        workers.met.add(required)
    key = key_of(estimator)
    if key is None:  # it travels with each task
        pickle_teacher(estimator.teacher)
    elif is_own(key) and not workers.have(key):
        _bring(client, key, estimator.teacher)
        workers.contents[key[0]] = key[1]


def stand_in(estimator: Any) -> SentTeacher | None:
    """Return what stands for a teacher that the workers have, if distributed asks."""
    if not _is_called_by(_PICKLES_TASKS):
        return None
    key = key_of(estimator)
    if key is None:
        return None
    if key in DELIVERED or any(workers.have(key) for workers in _WORKERS.values()):
        with suppress(ValueError):  # of the memory, which a fit will raise
            return SentTeacher(key, Requirements.of(estimator.memory))
    return None


def _active_client() -> Any:
    """Return the client of joblib's active backend, None in a worker."""
    distributed = sys.modules["distributed"]
    client = getattr(get_active_backend()[0], "client", None)
    if not isinstance(client, distributed.Client) or client.asynchronous:
        return None
    try:
        distributed.get_worker()
    except ValueError:
        return client
    return None


def _check_sendable(estimator: Any) -> None:
    function, arguments, state = estimator.__reduce_ex__(4)[:3]
    rest = {k: v for k, v in state.items() if v is not estimator.teacher}
    try:
        dumps((function, arguments, rest))
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise TypeError(
            f"The student cannot be sent to the workers of Dask ({error}). Leave out "
            "of its parameters what belongs to this process alone, such as locks and "
            "open files."
        ) from error


def _check(client: Any, required: Requirements) -> None:
    """Ask all workers whether they have what a search needs."""
    answers = client.run(Requirements.unmet, required, on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise RuntimeError(
                f"The worker {worker} of Dask cannot train students ({answer!r}): "
                "install there what is installed here."
            ) from answer
        if answer:
            raise RuntimeError(f"The worker {worker} of Dask: {answer}")


def _bring(client: Any, key: Key, teacher: Any) -> None:
    from skkd._estimator.dask_plugin import TakeBack, TeacherPlugin

    plugin = TeacherPlugin(client.id, key, pickle_teacher(teacher))
    client.register_plugin(TakeBack(client.id))
    client.register_plugin(plugin)
    first = teacher[0] if type(teacher) in (list, tuple) else teacher
    end = weakref.finalize(first, _end, weakref.ref(client), key[0], plugin.name)
    end.atexit = False


def _end(client_ref: weakref.ref[Any], origin: str, name: str) -> None:
    """Take a teacher that is gone from the workers, too."""
    client = client_ref()
    if client is None or client.status != "running":
        return

    async def unregister() -> None:
        with suppress(Exception):  # the cluster may be gone by now
            await client._unregister_worker_plugin(name)

    if _WORKERS[client].contents.pop(origin, None) is not None:
        client.loop.add_callback(unregister)


def _is_called_by(module: str) -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == module:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
