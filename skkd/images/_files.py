"""Find the files of an image folder, decode each, and compare their contents."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed

from skkd.images._decoding import decode_image, get_image_suffixes
from skkd.images._errors import (
    NotAnImageError,
    describe_failure,
    shorten,
)

_SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information", "__pycache__"),
}


@dataclass(frozen=True)
class FoundFile:
    """One file below the root; `parts` are the parts of its relative path."""

    path: str
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path relative to the root, with forward slashes on every system."""
        return "/".join(self.parts)


@dataclass(frozen=True)
class Finding:
    """What the content of one file is."""

    kind: Literal["image", "other", "broken"]
    reason: str = ""
    sha256: str = ""

    def as_image(self) -> Finding:
        """Return the finding for a file that is meant to be an image."""
        return Finding("broken", self.reason) if self.kind == "other" else self


def is_hidden(name: str) -> bool:
    """Tell whether a file was left behind by the system or a tool."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def looks_like_image(name: str) -> bool:
    """Tell by its suffix whether a file is meant to be an image."""
    return Path(name).suffix.lower() in get_image_suffixes()


def list_archives(folder: Path) -> list[Path]:
    """List archives directly in a folder, as they are downloaded."""
    return sorted(path for path in folder.iterdir() if is_archive(path.name))


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


def list_files(root: Path) -> list[FoundFile]:
    """List the files at any depth, in the same order on every system."""
    found = [
        FoundFile(str(root.joinpath(*parts)), parts) for parts in _walk(root, (), ())
    ]
    # By parts, so that "a/x" and "a/y" are neighbours even if there is an "a.b".
    return sorted(found, key=lambda file: file.parts)


def _walk(
    folder: Path, parts: tuple[str, ...], ancestors: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    real_path = os.path.realpath(folder)
    # A link to an ancestor would recurse endlessly.
    if real_path in ancestors:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            here = (*parts, entry.name)
            if entry.is_dir():
                yield from _walk(Path(entry.path), here, (*ancestors, real_path))
            else:
                yield here


def map_files(function: Callable[[str], Any], files: Iterable[FoundFile]) -> list[Any]:
    """Apply a function to all paths in parallel threads, keeping the order."""
    # Hashing and decoding release the GIL, so threads are enough.
    return Parallel(n_jobs=-1, require="sharedmem")(
        delayed(function)(file.path) for file in files
    )


def inspect_file(path: str) -> Finding:
    """Decode a file completely and hash its content, reading it once."""
    # Reading a named pipe would block.
    if os.path.exists(path) and not os.path.isfile(path):
        return Finding("other", "not a regular file")
    try:
        content = Path(path).read_bytes()
        # "RGB", because it tests every conversion; a small size, because only whether
        # it can be decoded matters; "minmax", because a reader may be told the levels.
        decode_image(io.BytesIO(content), (16, 16), "RGB", "minmax")
    except NotAnImageError as error:
        is_meant = Path(path).suffix.lower() in get_image_suffixes()
        return Finding("broken" if is_meant else "other", str(error))
    # Damaged files make Pillow's decoders raise errors of any type.
    except Exception as error:
        return Finding("broken", describe_failure(error))
    return Finding("image", sha256=hashlib.sha256(content).hexdigest())


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
