"""The files below a folder: each folder once, in the same order on every system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from skkd.images._errors import UnreadableImageError, describe_failure, shorten
from skkd.images._opening import special_kind

_SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information", "__pycache__"),
}
_Parts = tuple[str, ...]


@dataclass(frozen=True)
class FoundFile:
    """One file below the root; `parts` are the parts of its relative path."""

    path: str
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path relative to the root, with forward slashes on every system."""
        return "/".join(self.parts)


class Listing(NamedTuple):
    """What is below a folder.

    Attributes
    ----------
    files : list of FoundFile
        Sorted by their parts.
    special : list of (str, str)
        Name and kind of named pipes, sockets and devices.
    repeated : dict of str to str
        Links to folders that are read anyway, and the names of these.
    unreadable : list of (str, str)
        Path of each folder that cannot be read, and the reason.
    """

    files: list[FoundFile]
    special: list[tuple[str, str]]
    repeated: dict[str, str]
    unreadable: list[tuple[str, str]]

    def check_readable(self) -> None:
        """Raise UnreadableImageError if a folder cannot be read."""
        if self.unreadable:
            raise UnreadableImageError(
                f"{self._describe_unreadable()}\nGet the permission to read them, or "
                "leave them out with on_error='skip'.",
                self.unreadable,
            )

    def notes(self) -> list[str]:
        """Return what is to be said of what is left out."""
        notes = []
        if self.unreadable:
            notes.append(f"{self._describe_unreadable()}\nTheir images are left out.")
        if self.special:
            lines = [f"{name} ({kind})" for name, kind in self.special]
            notes.append(
                f"Ignored {len(lines)} special file(s), which are not opened:"
                f"{shorten(lines)}"
            )
        if self.repeated:
            lines = [f"{link} is {name}" for link, name in self.repeated.items()]
            notes.append(
                f"Ignored {len(lines)} link(s) to folders that are read already:"
                f"{shorten(lines)}"
            )
        return notes

    def _describe_unreadable(self) -> str:
        lines = [f"{path!r}: {reason}" for path, reason in self.unreadable]
        return f"Cannot read {len(lines)} folder(s):{shorten(lines)}"


def is_hidden(name: str) -> bool:
    """Tell whether a file was left behind by the system or a tool."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def list_files(root: Path) -> Listing:
    """List the files at any depth; links to folders are followed once."""
    found, known = Listing([], [], {}, []), dict[str, _Parts]()
    waiting: list[_Parts] = [()]
    while waiting:
        # Folders before links to them, whatever the names are.
        links: list[_Parts] = []
        for parts in sorted(waiting):
            links += _read(root, parts, found, known)
        waiting = links
    # By parts, so that "a/x" and "a/y" are neighbours even if there is an "a.b".
    found.files.sort(key=lambda file: file.parts)
    return found


def _read(
    root: Path, top: _Parts, found: Listing, known: dict[str, _Parts]
) -> list[_Parts]:
    """Add what is below one folder to `found`; return the links to folders in it."""
    links: list[_Parts] = []
    stack = [top]
    while stack:
        parts = stack.pop()
        folder = root.joinpath(*parts)
        first = known.setdefault(os.path.realpath(folder), parts)
        if first != parts:
            if parts[: len(first)] != first:  # else it lies within itself
                found.repeated["/".join(parts)] = "/".join(first)
            continue
        try:
            with os.scandir(folder) as entries:
                inside = [e for e in entries if not is_hidden(e.name)]
        except OSError as error:
            found.unreadable.append((str(folder), describe_failure(error)))
            continue
        for entry in sorted(inside, key=lambda entry: entry.name, reverse=True):
            here, kind = (*parts, entry.name), _kind_of(entry)
            if kind == "folder":
                (links if entry.is_symlink() else stack).append(here)
            elif kind == "file":
                found.files.append(FoundFile(str(root.joinpath(*here)), here))
            else:
                found.special.append(("/".join(here), kind))
    return links


def _kind_of(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return special_kind(entry.stat().st_mode) or "file"
    except OSError:  # a link to nothing, or to itself: who reads it says so
        return "file"
