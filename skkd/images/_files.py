"""Look at the files of an image folder, decode each, and compare their contents."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed

from skkd.images._decoder_warnings import catching_warnings, warnings_of_image
from skkd.images._decoding import decode_image, get_image_suffixes
from skkd.images._errors import (
    NotAnImageError,
    describe_failure,
    shorten,
)
from skkd.images._opening import read_image_file
from skkd.images._walk import FoundFile


@dataclass(frozen=True)
class Finding:
    """What the content of one file is, and what its decoder warns of."""

    kind: Literal["image", "other", "broken"]
    reason: str = ""
    sha256: str = ""
    warnings: tuple[str, ...] = ()

    def as_image(self) -> Finding:
        """Return the finding for a file that is meant to be an image."""
        return Finding("broken", self.reason) if self.kind == "other" else self


def looks_like_image(name: str) -> bool:
    """Tell by its suffix whether a file is meant to be an image."""
    return Path(name).suffix.lower() in get_image_suffixes()


def list_archives(folder: Path) -> list[Path]:
    """List archives directly in a folder, as they are downloaded."""
    with suppress(OSError):  # a folder that cannot be read is named elsewhere
        return sorted(path for path in folder.iterdir() if is_archive(path.name))
    return []


def is_archive(name: str) -> bool:
    """Tell by its suffix whether shutil can unpack a file."""
    formats = shutil.get_unpack_formats()
    return name.lower().endswith(
        tuple(s for _, suffixes, _ in formats for s in suffixes)
    )


def unpack_call(path: Path) -> str:
    """Return how to unpack an archive into a folder of its own."""
    folder = path.with_name(path.name.partition(".")[0])
    return f"Unpack the archive: shutil.unpack_archive({str(path)!r}, {str(folder)!r})"


def map_files(function: Callable[[str], Any], files: Iterable[FoundFile]) -> list[Any]:
    """Apply a function to all paths in parallel threads, keeping the order."""
    # Hashing and decoding release the GIL, so threads are enough.
    with catching_warnings:
        return Parallel(n_jobs=-1, require="sharedmem")(
            delayed(function)(file.path) for file in files
        )


def inspect_file(path: str) -> Finding:
    """Decode a file completely and hash its content, reading it once."""
    try:
        content = read_image_file(path)
        # "RGB", because it tests every conversion; a small size, because only whether
        # it can be decoded matters; "minmax", because a reader may be told the levels.
        with warnings_of_image() as warnings:
            decode_image(content, (16, 16), "RGB", "minmax")
    except NotAnImageError as error:
        is_meant = Path(path).suffix.lower() in get_image_suffixes()
        return Finding("broken" if is_meant else "other", str(error))
    # Damaged files make Pillow's decoders raise errors of any type.
    except Exception as error:
        return Finding("broken", describe_failure(error))
    sha256 = hashlib.sha256(content.getbuffer()).hexdigest()
    return Finding("image", sha256=sha256, warnings=tuple(warnings))


def hash_file(path: str) -> str:
    """Return the SHA-256 of the content, empty for a file that is not regular."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_ignored(others: Sequence[str], stray: Sequence[str]) -> str:
    """List the files that are left out: not images, or images without a class."""
    messages = []
    if others:
        text = f"Ignored {len(others)} file(s) that are not images:{shorten(others)}"
        messages.append(text)
    if stray:
        messages.append(
            f"Ignored {len(stray)} image(s) directly in the root; move each into the "
            f"folder of its class:{shorten(stray)}"
        )
    return "\n".join(messages)


def describe_warnings(files: Sequence[FoundFile], findings: Sequence[Finding]) -> str:
    """List the images of which a decoder has warned."""
    lines = [
        f"{file.name}: {text}"
        for file, found in zip(files, findings, strict=True)
        for text in found.warnings
    ]
    if not lines:
        return ""
    n_files = sum(bool(found.warnings) for found in findings)
    return (
        f"{n_files} image(s) can be read, with a warning of their decoder:"
        f"{shorten(lines)}\nLook at them; those that are right can be saved again."
    )


def describe_leaks(
    files: Sequence[FoundFile], hashes: Sequence[str], known: dict[str, str]
) -> str:
    """List the files that are also in the folder compared with."""
    lines = [
        f"{file.name} = {known[sha256]}"
        for file, sha256 in zip(files, hashes, strict=True)
        if sha256 in known
    ]
    if not lines:
        return ""
    return (
        f"{len(lines)} of {len(files)} images are byte-identical to files in "
        "compare_with; a model trained there has seen them, so remove them from one "
        f"of the folders:{shorten(lines)}"
    )


def describe_duplicates(
    files: Sequence[FoundFile], hashes: Sequence[str], classes: Sequence[Any]
) -> str:
    """List identical files of different classes, and count those within a class."""
    by_content: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for file, sha256, label in zip(files, hashes, classes, strict=True):
        by_content[sha256].append((file.name, label))
    groups = [group for group in by_content.values() if len(group) > 1]
    within = [group for group in groups if len({label for _, label in group}) == 1]
    across = [group for group in groups if len({label for _, label in group}) > 1]
    messages = []
    if across:
        equal = [" = ".join(name for name, _ in group) for group in across]
        messages.append(
            f"{len(across)} group(s) of byte-identical files are in more than one "
            f"class; keep one copy, in the right class:{shorten(equal)}"
        )
    if within:
        messages.append(
            f"{len(within)} group(s) of byte-identical files are within one class "
            f"({sum(map(len, within))} files); a random split would put copies on "
            "both sides: pass `groups` to StratifiedGroupKFold."
        )
    return "\n".join(messages)
