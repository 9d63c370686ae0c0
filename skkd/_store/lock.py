"""A lock of a folder, which says whom it waits for, and does not wait for ever."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from skkd._utils.printable import printable
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

# Seconds until a process says that it waits, and until it goes on by itself.
_SILENT, _PATIENCE = 10.0, 1800.0


class FolderLock:
    """A lock that one process at a time holds.

    A process that is killed holds it no more; one that is stopped does, until others
    have waited for half an hour.

    Parameters
    ----------
    folder : Path
        Holds the files ``lock`` and ``holder``, which everybody may write to who may
        write to the folder.
    parameter : str, default="memory"
        What the user knows the folder by.
    """

    def __init__(self, folder: Path, parameter: str = "memory") -> None:
        self._folder, self._holder = folder, folder / "holder"
        self._parameter = parameter
        mode = 0o666 & folder.stat().st_mode if folder.is_dir() else 0o644
        self._lock = FileLock(folder / "lock", mode=mode)

    def acquire(self) -> bool:
        """Wait for the lock; return False if it was not to be had.

        Raises
        ------
        OSError
            If the folder cannot be written to.
        """
        start = time.monotonic()
        for timeout, goes_on in ((_SILENT, False), (_PATIENCE - _SILENT, True)):
            try:
                self._lock.acquire(timeout=timeout)
            except Timeout:
                self._say(time.monotonic() - start, goes_on)
            else:
                self._sign()
                return True
        return False

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()

    def _sign(self) -> None:
        with suppress(OSError):  # only the message of others is less clear
            text = f"process {os.getpid()} on {platform.node()}"
            self._holder.write_text(text, encoding="utf-8")

    def _say(self, waited: float, goes_on: bool) -> None:
        holder = "another process"
        with suppress(OSError, UnicodeDecodeError):
            text = self._holder.read_text(encoding="utf-8")[:100]
            holder = printable(text) or holder
        end = "waits until that is done."
        if goes_on:
            end = "does not wait any longer, and computes the same by itself."
        warn(
            f"{self._parameter}={str(self._folder)!r}: after {waited:.0f} s {holder} "
            f"is still at work there, and this process {end}",
            DistillationWarning,
        )
