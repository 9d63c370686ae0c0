"""The folder that holds fits: where each lies, and how much they may take in all."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sklearn.base import BaseEstimator

from skkd._utils.checks import check_number
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning

FITS, PREFIX, SUFFIX = "skkd-fits", "fit-", ".safetensors"
FINISHED = f"finished{SUFFIX}"


class CheckpointFolder(BaseEstimator):
    """A folder of checkpoints, with a bound on their bytes.

    ``DistilledClassifier(checkpoint="folder")`` is the same with the defaults.

    Parameters
    ----------
    location : str or path
        Shared by processes, and kept. Teachers' logits are cached there as well, unless
        ``memory`` says where.
    max_bytes : int, default=2**33
        Bound on the fits in this folder. The least recently used are removed first,
        with a DistillationWarning; never one that is in progress.

    See Also
    --------
    skkd.checkpoints.list_folder : What a folder holds.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.checkpoints import CheckpointFolder
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = CheckpointFolder(folder, max_bytes=2**20)
    ...     student = DistilledClassifier(checkpoint=saved, random_state=0)
    ...     student.fit(X, y).resumed_, student.fit(X, y).resumed_
    (0, 30)
    """

    def __init__(self, location: Any, *, max_bytes: int = 2**33) -> None:
        self.location = location
        self.max_bytes = max_bytes

    @property
    def root(self) -> Path:
        """The folder of the fits, beside those of others."""
        return Path(self.location) / FITS

    def check(self) -> None:
        """Raise TypeError or ValueError if a parameter has a wrong value."""
        if not isinstance(self.location, (str, os.PathLike)) or not str(self.location):
            raise TypeError(
                f"checkpoint={self.location!r}: expected a folder, as text or path, "
                "or None."
            )
        check_number("max_bytes", self.max_bytes, Integral, low=1)

    def make_room(self, keep: Path) -> None:
        """Remove the least recently used fits until the bound is kept.

        Parameters
        ----------
        keep : Path
            The fit that is in progress; it stays, whatever its size.
        """
        used = {fit: used_of(fit) for fit in fits_in(self.root)}
        total = sum(n_bytes for n_bytes, _ in used.values())
        removed = 0
        for fit in sorted(used, key=lambda fit: used[fit][1]):
            if total <= self.max_bytes:
                break
            if fit != keep and remove(fit):
                total -= used[fit][0]
                removed += 1
        if removed:
            warn(
                f"{self.root}: {removed} of the least recently used fits were removed, "
                f"as all would take more than max_bytes={self.max_bytes:,}. If they "
                "are needed again, they are trained again: pass "
                "checkpoint=CheckpointFolder(folder, max_bytes=...) with more, or "
                "another folder.",
                DistillationWarning,
            )


def as_folder(checkpoint: Any) -> CheckpointFolder:
    """Return the checked CheckpointFolder that `checkpoint` stands for."""
    if not isinstance(checkpoint, CheckpointFolder):
        checkpoint = CheckpointFolder(checkpoint)
    checkpoint.check()
    return checkpoint


def fits_in(root: Path) -> list[Path]:
    """Return the folders of fits."""
    found = [path for path in root.glob(f"{PREFIX}*") if path.is_dir()]
    return sorted(path for path in found if not path.is_symlink())


def used_of(fit: Path) -> tuple[int, float]:
    """Return the bytes of a folder, and when something in it was used last."""
    n_bytes, last = 0, 0.0
    with suppress(OSError):  # another process removes it
        for entry in os.scandir(fit):
            with suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                n_bytes += found.st_size
                if entry.name.endswith(SUFFIX):
                    last = max(last, found.st_mtime)
    return n_bytes, last


def is_in_use(fit: Path) -> bool:
    """Tell whether a process trains this fit, or writes these logits, now."""
    lock = FileLock(fit / "lock")
    if not (fit / "lock").exists():
        return False
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # it is not ours to write to
        return False


def remove(fit: Path) -> bool:
    """Remove a folder that is not in use; return whether it is gone."""
    if is_in_use(fit):
        return False
    # Renamed first, so that no process opens a folder that is half removed.
    aside = fit.with_name(f"tmp-{uuid.uuid4().hex}")
    try:
        fit.rename(aside)
    except OSError:
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True
