"""The cache of decoded images on disk, and the keys of its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import ImageFile, features
from sklearn.utils.validation import check_memory

from skkd._store.disk import DiskTable
from skkd._store.process import Segment
from skkd.images._errors import (
    describe_failure,
)
from skkd.images._levels import Levels
from skkd.images._sources import Source, key_of

# To be incremented when decode_image returns other pixels for the same file.
_DECODING = 2
# They may decode some of the formats, if they are installed.
_OPTIONAL = ("pydicom", "pillow-heif")
_CODECS = ("libjpeg_turbo", "jpg", "jpg_2000", "webp", "avif")
_KEY_BYTES = 16


class ImageTable(DiskTable):
    """Images by key of their file, in a folder of their own for each kind.

    The keys of segments stay in memory, since lazy images are looked up in every batch.
    """

    def __init__(self, folder: Path, dtype: Any, shape: tuple[int, ...]) -> None:
        super().__init__(folder, dtype, shape)
        self._opened: dict[Path, Segment] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_opened": {}}

    def contains(self, keys: np.ndarray) -> np.ndarray:
        """Tell which of `keys` (n, 2) are here, without reading their rows."""
        found = np.zeros(len(keys), dtype=bool)
        for folder in self._folders():
            missing = np.flatnonzero(~found)
            if not missing.size:
                break
            segment = self._open(folder)
            if segment is not None:
                found[missing] = segment.find(keys[missing])[0]
        return found

    def _folders(self) -> list[Path]:
        folders = super()._folders()
        # A list first: other threads may open segments meanwhile.
        for folder in set(list(self._opened)).difference(folders):
            self._opened.pop(folder, None)  # merged into another one meanwhile
        return folders

    def _open(self, folder: Path) -> Segment | None:
        segment = self._opened.get(folder) or super()._open(folder)
        if segment is not None:
            self._opened[folder] = segment
        return segment


def open_table(
    memory: Any, shape: tuple[int, ...], mode: str, levels: Levels = None
) -> ImageTable | None:
    """Return the table for images of one kind; None if nothing is cached."""
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    memory = check_memory(memory)
    if getattr(memory, "location", memory) is None:
        return None
    location = getattr(getattr(memory, "store_backend", None), "location", None)
    if location is None:
        raise ValueError(
            f"memory={memory!r} keeps no files; expected a folder on this machine. "
            "Pass a path, or a joblib.Memory with one."
        )
    return ImageTable(
        Path(location) / "skkd-images" / image_kind(shape, mode, levels),
        np.uint8,
        shape,
    )


def image_kind(shape: tuple[int, ...], mode: str, levels: Levels = None) -> str:
    """Name everything that determines the pixels, apart from the file."""
    versions = [PIL.__version__, *(features.version(name) for name in _CODECS)]
    versions += [_version_of(name) for name in _OPTIONAL]
    # With this switch Pillow fills truncated images with gray instead of raising.
    decoder = f"{_DECODING} {versions} {ImageFile.LOAD_TRUNCATED_IMAGES} {levels}"
    digest = hashlib.blake2b(decoder.encode(), digest_size=8).hexdigest()
    return f"{shape[1]}x{shape[2]}-{mode}-{digest}"


@cache
def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def source_keys(sources: Sequence[Source]) -> tuple[np.ndarray, dict[int, str]]:
    """Return a key (n, 2) for each image, and by row why there is none for some.

    That of an image in memory is a hash of its content. That of a file is a hash of
    path, size and times of change, so that no file is opened. The second time
    (``st_ctime``) cannot be set by a program: it also changes when an archive or a copy
    replaces the file and sets an older, or the same, date.
    """
    digests, failures = [], {}
    for i, path in enumerate(sources):
        if not isinstance(path, str):
            digests.append(key_of(path, _KEY_BYTES))
            continue
        try:
            found = os.stat(path)
        except (OSError, ValueError) as error:  # ValueError: no possible path
            failures[i] = describe_failure(error)
            digests.append(bytes(_KEY_BYTES))
            continue
        stamp = f"\0{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        content = (os.path.abspath(path) + stamp).encode("utf-8", "surrogatepass")
        digests.append(hashlib.blake2b(content, digest_size=_KEY_BYTES).digest())
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2), failures
