"""What a folder of checkpoints and of cached logits holds, and how it is emptied."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from skkd._formats.container import FileRefused, read_content
from skkd.checkpoints._files import KIND, FitFiles, check_regular
from skkd.checkpoints._folder import FITS, fits_in, is_in_use, remove, used_of
from skkd.memory._logits import LogitMemory

KINDS = ("fits", "logits")


class Stored(NamedTuple):
    """One thing that a folder holds.

    Attributes
    ----------
    kind : {"finished fit", "unfinished fit", "logits"}
    path : str
    nbytes : int
    age : float
        Seconds since it was used last, or written.
    about : str
        Of a fit the student and its epochs, where that can be read.
    in_use : bool
        Whether a process trains it now.
    """

    kind: str
    path: str
    nbytes: int
    age: float
    about: str
    in_use: bool

    @property
    def part(self) -> str:
        """One of "fits" and "logits"."""
        return "logits" if self.kind == "logits" else "fits"


def list_folder(location: str | os.PathLike[str]) -> list[Stored]:
    """List the fits and the teachers' logits that a folder holds.

    Parameters
    ----------
    location : str or path
        As of ``checkpoint=`` or ``memory=``.

    Returns
    -------
    list of Stored
        The largest first.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.checkpoints import empty_folder, list_folder
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     student = DistilledClassifier(checkpoint=folder, random_state=0).fit(X, y)
    ...     [fit] = list_folder(folder)
    ...     [removed] = empty_folder(folder)
    >>> fit.kind, removed.path == fit.path
    ('finished fit', True)
    """
    location = Path(location)
    if not location.is_dir():
        raise FileNotFoundError(f"{str(location)!r}: there is no such folder.")
    found = [*_fits(location), *_logits(location)]
    return sorted(found, key=lambda one: -one.nbytes)


def empty_folder(
    location: str | os.PathLike[str], *, kinds: tuple[str, ...] = KINDS
) -> list[Stored]:
    """Remove the fits and the teachers' logits that a folder holds, and nothing else.

    What a process trains now stays.

    Parameters
    ----------
    location : str or path
        As of :func:`list_folder`.
    kinds : tuple of {"fits", "logits"}, default=("fits", "logits")

    Returns
    -------
    list of Stored
        What was removed.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If a kind is none of these.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"kinds={kinds!r}: expected one or both of {KINDS}.")
    removed = []
    for one in list_folder(location):
        if one.part in kinds and remove(Path(one.path)):
            removed.append(one)
    return removed


def _fits(location: Path) -> Iterator[Stored]:
    for fit in fits_in(location / FITS):
        files = FitFiles(fit)
        is_finished = files.finished.exists()
        newest = files.finished if is_finished else next(iter(files.epochs()), None)
        kind = "finished fit" if is_finished else "unfinished fit"
        n_bytes, last = used_of(fit)
        about = "" if newest is None else _about(newest)
        yield Stored(kind, str(fit), n_bytes, _age(last), about, is_in_use(fit))


def _about(path: Path) -> str:
    try:
        check_regular(path)
        about: Any = read_content(path, KIND)["about"]
        n, total = about["epochs"]
        return f"{about['student']}, epoch {n} of {total}"
    except (OSError, FileRefused, KeyError, TypeError, ValueError):
        return "damaged"


def _logits(location: Path) -> Iterator[Stored]:
    root: Any = LogitMemory(location)._folder()
    for table in sorted(root.glob("teacher-*")):
        if table.is_symlink() or not table.is_dir():
            continue
        found = []
        for path in table.rglob("*"):
            with suppress(OSError):
                if not path.is_dir():
                    found.append(path.lstat())
        n_bytes = sum(one.st_size for one in found)
        last = max((one.st_mtime for one in found), default=0.0)
        about = "of one teacher, for one kind of rows"
        yield Stored("logits", str(table), n_bytes, _age(last), about, is_in_use(table))


def _age(last: float) -> float:
    return max(0.0, time.time() - last) if last else 0.0
