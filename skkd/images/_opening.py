"""Open what may be an image: no special file, and none that is too large."""

from __future__ import annotations

import io
import os
import stat

from skkd.images._decoding import check_start
from skkd.images._errors import NotAnImageError
from skkd.images._limits import check_n_bytes

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special_kind(mode: int) -> str:
    """Return what kind of special file has this ``st_mode``; "" if it is none."""
    return _KINDS.get(stat.S_IFMT(mode), "")


def read_image_file(path: str) -> io.BytesIO:
    """Return the content of a file, which begins as an image does.

    Of other files only the beginning is read. Decoders get a copy in memory, since some
    map a file, and a mapped file that somebody cuts ends the process.
    """
    kind = special_kind(os.stat(path).st_mode)
    if kind:  # which may block whoever opens it
        raise NotAnImageError(f"{kind}, which is not opened")
    with open(path, "rb") as file:
        check_start(file)
        n_bytes = os.fstat(file.fileno()).st_size
        check_n_bytes(n_bytes, "a file")
        return io.BytesIO(file.read(n_bytes))
