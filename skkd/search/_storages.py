"""Where a study is kept: the storages of Optuna, named by a text."""

from __future__ import annotations

import os
import random
import sys
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import (
    BaseStorage,
    InMemoryStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileSymlinkLock,
)

_JOURNALS, _DATABASES = (".log", ".journal"), (".db", ".sqlite", ".sqlite3")
_EXPECTED = (
    "expected postgresql://USER@HOST/DATABASE, grpc://HOST:PORT, the path of a journal "
    "(*.log, *.journal) or of an SQLite file (*.db, *.sqlite), a storage of Optuna, or "
    "None"
)
# How often the trial of a killed worker is begun again, before it counts as failed.
MAX_RETRIES = 3
_ATTEMPTS = 5
_SECONDS_TO_CONNECT = 10
_SECONDS_TO_WAIT_FOR_SQLITE = 60


class PatientStorage(RDBStorage):
    """A database whose heartbeats go on after a moment without connection.

    Optuna's thread of heartbeats ends at the first error: a trial that lives would be
    taken for dead, and run twice. Connections are closed when nobody uses it any more.
    """

    def __init__(self, url: str, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(url, *args, **kwargs)
        except Exception:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise
        weakref.finalize(self, self.engine.dispose)

    def record_heartbeat(self, trial_id: int) -> None:
        """Record the heartbeat of a trial, or log why it cannot be recorded."""
        try:
            super().record_heartbeat(trial_id)
        except Exception as error:  # of SQLAlchemy, of its driver, of Optuna
            optuna.logging.get_logger(__name__).warning(
                f"No heartbeat of a trial was recorded: {first_line(error)}"
            )


class MendedJournal(JournalFileBackend):
    """A journal that can be read after a process died, or a disk was full.

    A record of which a part was written would become one line with the next record,
    and nobody could read the journal any more.
    """

    def __init__(self, path: str) -> None:
        self._path, self._mutex = path, JournalFileSymlinkLock(path)
        super().__init__(path, lock_obj=self._mutex)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, each a line, after the last whole one."""
        try:
            self._mutex.acquire()
            try:
                self._drop_unfinished_record()
            finally:
                self._mutex.release()
            super().append_logs(logs)
        except OSError as error:  # Python names no file if the disk is full
            raise OSError(error.errno, error.strerror, self._path) from error

    def _drop_unfinished_record(self) -> None:
        with open(self._path, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read(1) in (b"", b"\n"):
                return
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
        optuna.logging.get_logger(__name__).warning(
            f"{self._path}: an unfinished record of {size - whole} bytes, left by a "
            "worker that was killed or by a full disk, was dropped."
        )


def open_storage(storage: Any, heartbeat: int, grace: int) -> BaseStorage:
    """Open the storage that a text names; create a file that is not there.

    Parameters
    ----------
    storage : None, str, path or optuna.storages.BaseStorage
    heartbeat, grace : int
        Seconds between two signs of life, and without one until a worker counts as
        dead; of databases only, see :mod:`skkd.search._beats`.

    Returns
    -------
    optuna.storages.BaseStorage
    """
    if storage is None:
        return InMemoryStorage()
    if isinstance(storage, BaseStorage):
        return storage
    if not isinstance(storage, (str, os.PathLike)):
        raise TypeError(f"storage={storage!r}: {_EXPECTED}.")
    text = os.fspath(storage)
    if text.startswith("grpc://"):
        return _open_proxy(text)
    if "://" in text:
        return _open_database(text, heartbeat, grace)
    if not text.endswith((*_JOURNALS, *_DATABASES)):
        raise ValueError(f"storage={text!r}: {_EXPECTED}.")
    path = os.path.abspath(text)
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(
            f"storage={text!r}: there is no folder {os.path.dirname(path)!r} on this "
            "machine. Make it, or mount the folder that the machines share."
        )
    if text.endswith(_JOURNALS):
        return JournalStorage(MendedJournal(path))
    return _open_database(f"sqlite:///{path}", heartbeat, grace)


def _open_database(url: str, heartbeat: int, grace: int) -> BaseStorage:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    parsed = make_url(url)
    arguments: dict[str, Any] = {"pool_pre_ping": True}  # after a restart of the server
    if parsed.drivername == "postgresql":
        # psycopg 3 with every SQLAlchemy: before 2.1 the default was psycopg2.
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        arguments["connect_args"] = {"connect_timeout": _SECONDS_TO_CONNECT}
        _import("psycopg", "a study in PostgreSQL")
    if parsed.drivername.startswith("sqlite"):
        arguments["connect_args"] = {"timeout": _SECONDS_TO_WAIT_FOR_SQLITE}
    for attempt in range(_ATTEMPTS):
        try:
            with quiet():
                return PatientStorage(
                    parsed.render_as_string(hide_password=False),
                    arguments,
                    heartbeat_interval=heartbeat,
                    grace_period=grace,
                    heartbeat_stale_trial_callback=retry(),
                )
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            # Of workers that begin together, all but one fail to make the tables.
            twice = any(text in str(error) for text in ("already exists", "duplicate"))
            if not twice or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.1 + random.SystemRandom().random())  # no stream of a fit
    raise AssertionError("the last attempt returns or raises")


def _open_proxy(url: str) -> BaseStorage:
    _import("grpc", "a study behind a gRPC proxy")
    from optuna.storages import GrpcStorageProxy

    host, _, port = url.removeprefix("grpc://").rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"storage={url!r}: expected grpc://HOST:PORT.")
    with quiet():
        storage = GrpcStorageProxy(host=host.strip("[]"), port=int(port))
    storage.wait_server_ready(timeout=_SECONDS_TO_CONNECT)
    return storage


def _import(module: str, what: str) -> None:
    try:
        __import__(module)
    except ImportError as error:
        raise ImportError(
            f'{what} needs {module}: pip install "skkd[study]" ({error})'
        ) from error


def retry() -> Any:
    """Return the callback of Optuna that puts a dead worker's trial into the queue."""
    with quiet():
        return RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore that Optuna calls heartbeats, retries and proxies experimental."""
    with warnings.catch_warnings():
        category = optuna.exceptions.ExperimentalWarning
        warnings.simplefilter("ignore", category)
        yield


def name_of_storage(storage: Any) -> str:
    """Return what to call a storage in a message: never with its password."""
    if storage is None:
        return "memory"
    if isinstance(storage, BaseStorage):
        return type(storage).__name__
    text = os.fspath(storage)
    if "://" not in text:
        return os.path.abspath(text)
    if text.startswith("grpc://"):
        return text
    from sqlalchemy.engine import make_url

    return make_url(text).render_as_string(hide_password=True)


def password_of(storage: Any) -> str | None:
    """Return the password that is written in a storage, if there is one."""
    if not isinstance(storage, str) or "://" not in storage:
        return None
    from sqlalchemy.engine import make_url

    password = make_url(storage).password
    return None if password is None else str(password)


@contextmanager
def explained_errors(storage: Any) -> Iterator[None]:
    """Say in a sentence that the storage does not answer, if that is the error."""
    try:
        yield
    except Exception as error:
        cause = _without_connection(error)
        if cause is None:
            raise
        raise ConnectionError(
            f"The study cannot be reached, storage={name_of_storage(storage)!r}: "
            f"{first_line(cause)}. What was finished is kept. See that its server "
            "runs and can be reached from here (host, port, user; the password of "
            "PostgreSQL is that of PGPASSWORD or ~/.pgpass), and that its disk is not "
            "full; then start the worker again, it goes on."
        ) from error


def _without_connection(error: BaseException | None) -> BaseException | None:
    """Return the error by which a storage was lost, among the causes of `error`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if _is_of_connection(error):
            return error
        # Optuna raises an UnboundLocalError while it handles such an error.
        error = error.__cause__ or error.__context__
    return None


def _is_of_connection(error: BaseException) -> bool:
    if sys.modules.get("sqlalchemy") is not None:
        from sqlalchemy.exc import InterfaceError, OperationalError

        if isinstance(error, (OperationalError, InterfaceError)):
            return True
    if sys.modules.get("grpc") is not None:
        import grpc

        if isinstance(error, grpc.RpcError):
            lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            return getattr(error, "code", lambda: None)() in lost
    if isinstance(error, ConnectionError):  # of the proxy that is not there
        return True
    path = str(getattr(error, "filename", None) or "")
    is_journal = path.removesuffix(".lock").endswith(_JOURNALS)
    return isinstance(error, OSError) and is_journal


def first_line(error: BaseException) -> str:
    """Return the first line of a message, without a full stop."""
    text = getattr(error, "orig", None) or error  # SQLAlchemy's adds the statement
    details = getattr(error, "details", None)  # of gRPC
    lines = str(details() if callable(details) else text).strip().splitlines()
    return (lines or [type(error).__name__])[0].removesuffix(".")
