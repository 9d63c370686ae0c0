"""A teacher that is on its way, in place of the teacher itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skkd._estimator.workers import Key, is_own, known_teacher, received
from skkd.memory._requirements import Requirements
from skkd.teachers._base import Teacher


class SentTeacher(Teacher):
    """Stands for a teacher whose pickle is, or will be, where this is unpickled.

    Unpickled it is the teacher itself. Where that is not to be had, as in Dask's
    scheduler, which unpickles tasks and sends them on, it stays what it is, and
    unpickling never fails: workers that cannot read a message would wait, or die.

    Parameters
    ----------
    key : (str, str)
    required : Requirements
        Of the process that uses the teacher.
    fetch : callable or None, default=None
        Returns the pickle, where it was not delivered.
    reason : str, default=""
        Why the teacher is not here.
    """

    def __init__(
        self,
        key: Key,
        required: Requirements,
        fetch: Callable[[], bytes] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(None)
        self.key, self.required, self.fetch, self.reason = key, required, fetch, reason

    def __reduce__(self) -> Any:
        return arrived, (self.key, self.required, self.fetch)

    @property
    def described(self) -> str:
        return "that was to be sent here"

    @property
    def classes_(self) -> np.ndarray | None:
        raise self._absent()

    def check(self, classes: Any) -> None:
        raise self._absent()

    def output_kind(self) -> str:
        raise self._absent()

    def _absent(self) -> RuntimeError:
        return RuntimeError(f"The teacher is not in this process. {self.reason}")


def arrived(
    key: Key, required: Requirements, fetch: Callable[[], bytes] | None = None
) -> Any:
    """Return the teacher of a key, or what stands for it."""
    if is_own(key):
        teacher, gone = known_teacher(key), "It was dropped meanwhile."
        return SentTeacher(key, required, fetch, gone) if teacher is None else teacher
    reason = required.unmet()
    if not reason:
        try:
            if key in DELIVERED:
                return DELIVERED[key].open()
            if fetch is not None:
                return received(key, fetch)
            reason = "It did not arrive: start the search anew."
        except Exception as error:  # whatever the classes of others may raise
            reason = f"Reading it raised {type(error).__name__}: {error}."
    return SentTeacher(key, required, fetch, reason)


class Delivered:
    """The pickle of a teacher, until somebody wants the teacher."""

    def __init__(self, key: Key, pickled: bytes) -> None:
        self.key, self._pickled, self._teacher = key, pickled, None

    def open(self) -> Any:
        """Return the teacher."""
        self._teacher = received(self.key, lambda: self._pickled)
        self._pickled = b""
        return self._teacher


# What was brought to this process.
DELIVERED: dict[Key, Delivered] = {}
