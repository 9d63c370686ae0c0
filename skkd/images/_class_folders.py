"""Class folders: which folders are the classes, and the files in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from skkd.images._files import list_archives, looks_like_image, unpack_call
from skkd.images._layout import check_layout, find_class_root
from skkd.images._names import are_contents, call_of, shorten_names
from skkd.images._spelling import check_alike
from skkd.images._tables import COLUMNS, suggest_table
from skkd.images._walk import FoundFile, Listing, is_hidden, list_files

# What is between the class and the rest of a file's name: cat.1.jpg, big_dog_2.jpg.
_NUMBER = r"[\W_]*\d"


class Samples(NamedTuple):
    """Files with the class of each, and what is to be said of how they were found.

    `stray` are files that have no class, `listing` is all that is below `root`.
    """

    root: Path
    files: list[FoundFile]
    labels: list[Any]
    classes: list[Any]
    stray: list[FoundFile]
    notes: list[str]
    listing: Listing


def find_samples(
    root: Path,
    classes: Sequence[str] | None,
    exclude: str | Sequence[str] | None,
    on_error: str,
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
    listing = list_files(root)
    if on_error == "raise":
        listing.check_readable()
    if classes is None:  # a link to one of the others has no images of its own
        names = [name for name in names if name not in listing.repeated]
    found = leave_out(listing.files, exclude)
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
        listing=listing,
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


def check_no_class_empty(
    root: Path, classes: Sequence[Any], targets: Collection[Any], has_folders: bool
) -> None:
    """Raise if there are classes without images."""
    empty = [name for name in classes if name not in targets]
    if not empty:
        return
    if has_folders:
        kept = [name for name in classes if name in targets]
        remedy = _remedy_for_empty_folders(root, kept, empty)
    else:
        remedy = "Repair them, or remove the rows of these classes"
    raise ValueError(
        f"{len(empty)} of {len(classes)} classes have no readable image: "
        f"{shorten_names(empty)}. {remedy}."
    )


def _remedy_for_empty_folders(
    root: Path, kept: Sequence[str], empty: Sequence[str]
) -> str:
    """Return what can be done; most often these folders are no classes."""
    archives = [path for name in empty for path in list_archives(root / name)]
    inner = [name for name in kept if are_contents([name])]
    if archives:
        return unpack_call(archives[0])
    if inner or len(kept) == 1:
        call = call_of(root / (inner or kept)[0])
        return f"If the classes are the folders in one of the others: {call}"
    if kept:
        return f"Add images, or leave these folders out: {call_of(root, classes=kept)}"
    return "Add images, or pass the folder that holds the classes"


def _list_classes(root: Path, classes: Sequence[str] | None) -> list[str]:
    entries = [entry for entry in root.iterdir() if not is_hidden(entry.name)]
    names = sorted(entry.name for entry in entries if entry.is_dir())
    if not names:
        raise ValueError(
            f"root={str(root)!r} has no class folders (files directly in it: "
            f"{len(entries)}); expected one folder per class with its images inside, "
            f"such as cat/1.jpg and dog/1.jpg.{_hint_without_folders(root)}"
        )
    if classes is None:
        return names
    if isinstance(classes, str) or not len(classes) or set(classes) - set(names):
        raise ValueError(
            f"classes={classes!r}; expected a list of names of first-level folders, "
            f"among {names!r}."
        )
    return sorted(set(classes))


def _hint_without_folders(root: Path) -> str:
    """Return what can be done about a folder of files: a table, or unpacking."""
    table, archives = suggest_table(root), list_archives(root)
    images = [path for path in root.iterdir() if looks_like_image(path.name)]
    if table:
        return f" If {table!r} names the class of each image, pass labels={table!r}."
    if archives and not images:
        return f" {unpack_call(archives[0])}."
    if not images:
        return ""
    classes = {re.split(_NUMBER, path.stem)[0] for path in images} - {""}
    if 1 < len(classes) <= len(images) / 2:
        suffix = Counter(path.suffix for path in images).most_common(1)[0][0]
        return (
            f" If the names begin with the class, as in {sorted(classes)[0]!r}, make a "
            f"table of them: names = [p.name for p in pathlib.Path({str(root)!r})"
            f".glob('*{suffix}')]; labels = [re.split(r'{_NUMBER}', name)[0] for name "
            f"in names]; load_image_folder({str(root)!r}, labels={COLUMNS})."
        )
    return (
        f" If {root.name!r} is one of the classes, pass its parent, "
        f"root={str(root.parent)!r}; labels= takes a table ({COLUMNS})."
    )
