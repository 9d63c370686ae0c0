"""Rows by key on disk, shared by processes, with checksums against damaged files."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from skkd._store.lock import FolderLock
from skkd._store.process import Segment, merged
from skkd._store.row_file import RowFile
from skkd._utils.atomic import delete
from skkd._utils.checksum import row_checksums
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

# Segments up to this many bytes are merged, so that there are few files to search and
# no large one is written twice.
_SMALL = 2**26
_TINY = 2**16


class DiskTable:
    """Rows by key in a folder: immutable segments, of which rows are read as needed.

    A segment is a folder of three ``.npy`` files that gets its name when it is
    complete, so that a process that is killed while writing leaves nothing that would
    be read. Each row has a checksum, which is checked whenever the row is used.
    `dtype` and `shape` are those of one row.
    """

    def __init__(self, folder: Path, dtype: Any, shape: tuple[int, ...]) -> None:
        self.folder, self.dtype, self.shape = Path(folder), np.dtype(dtype), shape

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        return sum(map(_n_bytes, self._folders()))

    def lookup(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of `keys` (n, 2) are here, and the rows of these.

        A segment that is damaged is removed, one that cannot be read now is left where
        it is, each with a DistillationWarning.
        """
        found = np.zeros(len(keys), dtype=bool)
        rows = np.empty((len(keys), *self.shape), dtype=self.dtype)
        for folder in self._folders():
            missing = np.flatnonzero(~found)
            if not missing.size:
                break
            segment = self._open(folder)
            if segment is None:
                continue
            here, places = segment.find(keys[missing])
            if not places.size:
                continue
            part, where = self._read(folder, segment, places), missing[here]
            if part is None:
                continue
            if (row_checksums(keys[where], part) != segment.checks[places]).any():
                self._drop(folder, "the checksum of a row is wrong")
                continue
            rows[where], found[where] = part, True
        return found, rows if found.all() else rows[found]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other processes from computing, or writing, the same rows."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self.folder)
            held = lock.acquire()
        except OSError as error:
            raise self._cannot_write(error) from error
        try:
            if held:
                # No other process writes: unfinished folders are of killed processes.
                for unfinished in self.folder.glob("tmp-*"):
                    delete(unfinished)
            yield
        finally:
            lock.release()

    def add(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Store `rows` (m, *shape) under `keys` (m, 2), inside of :meth:`writing`."""
        if not len(keys):
            return
        new, old = Segment.of(keys, np.asarray(rows, dtype=self.dtype)), []
        by_size = sorted((_n_bytes(folder), folder) for folder in self._folders())
        for n_bytes, folder in by_size:
            if n_bytes > 2 * new.nbytes + _TINY or n_bytes + new.nbytes > _SMALL:
                break
            segment = self._open(folder)
            if segment is None:
                continue
            every = self._read(folder, segment, np.arange(len(segment.keys)))
            if every is not None:
                new = merged(segment._replace(rows=every), new)
                old.append(folder)
        try:
            self._write(new)
        except OSError as error:
            raise self._cannot_write(error) from error
        for folder in old:
            _remove(folder)

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("rows-*"))

    def _write(self, segment: Segment) -> None:
        unfinished = self.folder / f"tmp-{uuid.uuid4().hex}"
        unfinished.mkdir()  # with the permissions that the folder's user chose
        try:
            for name, values in segment._asdict().items():
                np.save(unfinished / f"{name}.npy", values)
            name = f"rows-{_digest(segment)}-{uuid.uuid4().hex}"
            unfinished.rename(self.folder / name)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    def _cannot_write(self, error: OSError) -> OSError:
        return OSError(
            f"memory={str(self.folder)!r}: nothing can be written there ({error}). "
            "Give a folder that you may write to, on a disk with free space, or pass "
            "memory=None."
        )

    def _open(self, folder: Path) -> Segment | None:
        return self._attempt(folder, self._load, folder)

    def _load(self, folder: Path) -> Segment:
        for name in Segment._fields:
            _check_regular(folder / f"{name}.npy")
        segment = Segment(
            keys=np.load(folder / "keys.npy"),
            rows=RowFile(folder / "rows.npy"),
            checks=np.load(folder / "checks.npy"),
        )
        self._check(segment, folder)
        return segment

    def _read(
        self, folder: Path, segment: Segment, places: np.ndarray
    ) -> np.ndarray | None:
        """Return rows of a segment; None if they cannot be read."""
        return self._attempt(folder, segment.rows.read, places)

    def _attempt(self, folder: Path, read: Callable[[Any], Any], what: Any) -> Any:
        """Return what is read of a segment; None if it cannot be read.

        One that is damaged is removed, one that cannot be read now stays.
        """
        # No context manager: a warning is to point at the user's line.
        try:
            return read(what)
        except FileNotFoundError:
            if folder.exists():  # else merged into another one meanwhile
                self._drop(folder, "a file of it is missing")
        except (IsADirectoryError, NotADirectoryError) as error:
            self._drop(folder, str(error))
        except (OSError, MemoryError) as error:  # too many open files, no permission
            warn(
                f"{folder} cannot be read now ({error!r}): it stays as it is, and its "
                "rows are computed again.",
                DistillationWarning,
            )
        except Exception as error:  # whatever a damaged header leads to
            self._drop(folder, str(error))
        return None

    def _check(self, segment: Segment, folder: Path) -> None:
        n, word = segment.keys.size // 2, np.dtype(np.uint64)
        kinds = [(word, (n, 2)), (self.dtype, (n, *self.shape)), (word, (n,))]
        for name, values, kind in zip(Segment._fields, segment, kinds, strict=True):
            if (values.dtype, values.shape) != kind:
                raise ValueError(f"{name}.npy holds {values.dtype} {values.shape}")
        if folder.name.split("-")[1] != _digest(segment):
            raise ValueError("keys or checksums are not those that were written")

    def _drop(self, folder: Path, reason: str) -> None:
        warn(
            f"{folder} is damaged ({reason}): it is removed, and its rows are computed "
            "again.",
            DistillationWarning,
        )
        _remove(folder)


def _check_regular(path: Path) -> None:
    """Raise for what is no file: to open a named pipe would wait for ever."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of folders `open` tells
        raise ValueError(f"{path.name} is no regular file")


def _n_bytes(folder: Path) -> int:
    n_bytes = 0
    with suppress(OSError):  # merged into another one meanwhile
        n_bytes = sum(file.stat().st_size for file in folder.glob("*.npy"))
    return n_bytes


def _digest(segment: Segment) -> str:
    """Return a checksum of keys and checksums, which shows a changed key too."""
    content = segment.keys.tobytes() + segment.checks.tobytes()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _remove(folder: Path) -> None:
    # Renamed first, so that no process opens a folder that is half removed.
    aside = folder.with_name(f"tmp-{uuid.uuid4().hex}")
    with suppress(OSError):  # another process was faster
        folder.rename(aside)
        delete(aside)
