"""Errors of the system that say which file they are about, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disk_errors(subject: str, remedy: str) -> Iterator[None]:
    """Let an OSError of this block begin with `subject` and end with `remedy`.

    It keeps its type and number. Those with a message of their own stay as they are.

    Examples
    --------
    >>> from skkd._utils.disk_errors import disk_errors
    >>> with disk_errors("'x' cannot be read", "Check the path."):
    ...     open("/no/x")
    Traceback (most recent call last):
    FileNotFoundError: 'x' cannot be read: No such file or directory. Check the path.
    """
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise
        told = type(error)(f"{subject}: {error.strerror}. {remedy}")
        told.errno = error.errno
        raise told from error
