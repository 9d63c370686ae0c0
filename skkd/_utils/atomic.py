"""Files that are there completely, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skkd._utils.disk_errors import disk_errors


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a temporary file, which takes the place of `path` at the end.

    If the block raises, or the process is killed, an earlier file at `path` stays as
    it was. An OSError names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    remedy = (
        "Give a path in a folder that is there, and that you may write to, on a disk "
        "with free space. A file that was there before is as it was."
    )
    with disk_errors(f"{str(path)!r} cannot be written", remedy):
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())  # else a power cut may leave an empty file
            os.replace(temporary, path)
        finally:
            with suppress(OSError):  # of a folder that is gone, or a disk that is
                temporary.unlink(missing_ok=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or the one that it was made of, is that of a full disk."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def delete(path: Path) -> None:
    """Remove what is there, of whatever kind, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
