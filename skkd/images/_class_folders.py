"""Class folders: which folders are the classes, and the files in them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from skkd.images._files import FoundFile, is_hidden, list_files, looks_like_image
from skkd.images._layout import check_alike, check_layout, find_class_root


class Samples(NamedTuple):
    """Files with the class of each, and what is to be said of how they were found.

    `stray` are files that have no class.
    """

    root: Path
    files: list[FoundFile]
    labels: list[Any]
    classes: list[Any]
    stray: list[FoundFile]
    notes: list[str]


def find_samples(
    root: Path, classes: Sequence[str] | None, exclude: str | Sequence[str] | None
) -> Samples:
    """Find the class folders of `root`, or those named by `classes`."""
    notes = []
    if classes is None:
        top, root = root, find_class_root(root)
        if root != top:
            notes.append(
                f"root={str(top)!r} holds nothing but the folder "
                f"{root.relative_to(top).as_posix()!r}: the classes are the folders in "
                f"it. Pass root={str(root)!r} to say so."
            )
    names = _list_classes(root, classes)
    found = leave_out(list_files(root), exclude)
    if classes is None:
        check_layout(root, found)
        notes.append(check_alike(names))
    files = [f for f in found if len(f.parts) > 1 and f.parts[0] in names]
    return Samples(
        root,
        files,
        labels=[file.parts[0] for file in files],
        classes=names,
        stray=[file for file in found if len(file.parts) == 1],
        notes=notes,
    )


def leave_out(
    files: list[FoundFile], exclude: str | Sequence[str] | None
) -> list[FoundFile]:
    """Return the files whose path below the root matches none of the patterns."""
    patterns = [exclude] if isinstance(exclude, str) else list(exclude or [])
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError(
            f"exclude={exclude!r}; expected a pattern of paths below the root, such as "
            "'*/masks/*', or a list of patterns."
        )
    return [f for f in files if not any(fnmatchcase(f.name, p) for p in patterns)]


def _list_classes(root: Path, classes: Sequence[str] | None) -> list[str]:
    entries = [entry for entry in root.iterdir() if not is_hidden(entry.name)]
    names = sorted(entry.name for entry in entries if entry.is_dir())
    if not names:
        tables = sorted(e.name for e in entries if e.suffix.lower() in {".csv", ".tsv"})
        hint = (
            f" If {tables[0]!r} names the class of each image, pass "
            f"labels={tables[0]!r}."
            if tables
            else ""
        )
        if any(looks_like_image(entry.name) for entry in entries) and not tables:
            hint = (
                f" If {root.name!r} is one of the classes, pass its parent, "
                f"root={str(root.parent)!r}."
            )
        raise ValueError(
            f"root={str(root)!r} has no class folders (files directly in it: "
            f"{len(entries)}); expected one folder per class with its images inside, "
            f"such as cat/1.jpg and dog/1.jpg.{hint}"
        )
    if classes is None:
        return names
    if isinstance(classes, str) or not len(classes) or set(classes) - set(names):
        raise ValueError(
            f"classes={classes!r}; expected a list of names of first-level folders, "
            f"among {names!r}."
        )
    return sorted(set(classes))
