"""The files of one fit: two of the last epochs, or one of the finished student."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from skkd._formats.container import FileRefused, Kind, pack, read_file
from skkd._utils.atomic import delete, new_file
from skkd._utils.warn import warn
from skkd.checkpoints._folder import FINISHED, SUFFIX
from skkd.exceptions import DistillationWarning

KIND = Kind("skkd-fit", 1, "a fit", "checkpoint=")
_EPOCH = re.compile(rf"epoch-(\d{{6,}}){re.escape(SUFFIX)}")
_KEPT = 2


class FitFiles:
    """Reads and writes the files of a fit; nothing that is wrong with one raises.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._has_failed = False

    @property
    def finished(self) -> Path:
        """The file of the finished student, whether or not it is there."""
        return self.folder / FINISHED

    def epochs(self) -> list[Path]:
        """Return the files of epochs, the last one first."""
        found = [path for path in self.folder.glob("epoch-*") if _number(path)]
        return sorted(found, key=_number, reverse=True)

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        """Return what a file holds, None if there is none that can be read.

        One that is damaged is removed, with a DistillationWarning; one that cannot be
        read now stays.
        """
        try:
            check_regular(path)
            found = read_file(path, KIND)
        except FileNotFoundError:
            return None
        except (OSError, MemoryError) as error:
            warn(
                f"{path} cannot be read now ({error!r}): it stays as it is, and the "
                "fit does without it.",
                DistillationWarning,
            )
            return None
        except FileRefused as error:
            self.drop(path, str(error))
            return None
        with suppress(OSError):  # it is not ours to write to
            os.utime(path)  # the least recently used are removed first
        return found

    def drop(self, path: Path, reason: str) -> None:
        """Remove what is of no use, of whatever kind, with a DistillationWarning."""
        warn(
            f"{path} is of no use ({reason}): it is removed, and what it held is "
            "trained again.",
            DistillationWarning,
        )
        delete(path)

    def write_epoch(
        self, n: int, content: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        """Write the state after `n` epochs, and keep the one before it."""
        if self._write(self.folder / f"epoch-{n:06d}{SUFFIX}", content, tensors):
            self._remove(self.epochs()[_KEPT:])

    def write_finished(
        self, content: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        """Write the finished student, in place of the epochs."""
        if self._write(self.finished, content, tensors):
            self._remove(self.epochs())

    def clean(self) -> None:
        """Remove what processes that were killed have left half-written."""
        self._remove([*self.folder.glob(".*.tmp")])

    def _write(
        self, path: Path, content: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> bool:
        data = pack(content, tensors, KIND)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # may have been emptied
            with new_file(path) as temporary:
                temporary.write_bytes(data)
        except OSError as error:
            if not self._has_failed:  # once a fit
                warn(
                    f"{path} cannot be written ({error}): the training goes on, and "
                    "what was saved before stays. To be able to go on from here, make "
                    "room on the disk, or pass another checkpoint= folder.",
                    DistillationWarning,
                )
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _remove(self, paths: Iterator[Path] | list[Path]) -> None:
        for path in paths:
            with suppress(OSError):
                path.unlink()


def check_regular(path: Path) -> None:
    """Raise FileRefused for what is no file: to open a named pipe waits for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise FileRefused("it is no regular file")


def _number(path: Path) -> int:
    found = _EPOCH.fullmatch(path.name)
    return int(found[1]) if found else 0
