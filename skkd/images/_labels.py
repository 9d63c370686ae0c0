"""Images whose classes are in a table: a CSV file or a data frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skkd.images._class_folders import Samples, leave_out
from skkd.images._errors import shorten
from skkd.images._files import FoundFile, list_files, looks_like_image
from skkd.images._label_table import (
    Column,
    FileIndex,
    LabelColumn,
    LabelTable,
    convert_texts,
)
from skkd.images._layout import check_alike

# A row of the table: what it says, where, and the file that it names.
Row = tuple[FoundFile, Any, str]


def find_labelled(
    root: Path,
    labels: Any,
    columns: tuple[Column, LabelColumn],
    exclude: str | Sequence[str] | None,
    on_error: str,
) -> Samples:
    """Find the files that a table names, in its order, with their labels."""
    files = leave_out(list_files(root), exclude)
    index = FileIndex(root, files)
    table = LabelTable.read(root, labels, index)
    i_file, i_label = table.choose_columns(*columns, index)
    rows, missing = _match(table, i_file, i_label, index, root)
    if missing:
        text = (
            f"{len(missing)} of {len(table.rows)} rows name files that are not below "
            f"root={str(root)!r}:{shorten(missing)}\n"
        )
        if on_error == "raise":
            hint = (
                "Pass the folder of the images, or on_error='skip' to leave them out."
            )
            raise FileNotFoundError(text + hint)
    found, notes = _merge(rows)
    if missing:
        notes.append(f"{text}They are left out.")
    without = sorted(
        {f.name for f in files if looks_like_image(f.name)}
        - {file.name for file in found}
    )
    if without:
        notes.append(
            f"{len(without)} image(s) have no row in the table and are left out:"
            f"{shorten(without)}"
        )
    targets = list(found.values())
    if table.is_text:
        targets = convert_texts(targets)
    classes = _sorted_classes(targets)
    notes.append(check_alike([name for name in classes if isinstance(name, str)]))
    return Samples(root, list(found), targets, classes, [], notes)


def _match(
    table: LabelTable, i_file: int, i_label: list[int], index: FileIndex, root: Path
) -> tuple[list[Row], list[str]]:
    """Return the rows with the file that each names, and those that name none."""
    rows, missing, ambiguous, unlabelled = [], [], [], []
    for i, row in enumerate(table.rows):
        name, label = row[i_file], table.label_of(row, i_label)
        place = table.place_of(i)
        found = index.find(name)
        if not found:
            missing.append(f"{place}: {name!r}")
        elif len(found) > 1:
            names = ", ".join(file.name for file in found)
            ambiguous.append(f"{place}: {name!r} is {names}")
        elif _is_missing(label):
            unlabelled.append(f"{place}: {name!r}")
        else:
            rows.append((found[0], label, place))
    if ambiguous:
        raise ValueError(
            f"{len(ambiguous)} row(s) name several files below root={str(root)!r}; "
            f"pass the folder that is meant, or exclude=:{shorten(ambiguous)}"
        )
    if unlabelled:
        raise ValueError(
            f"{len(unlabelled)} row(s) have no label; remove them, or write a label of "
            "its own, which a student can be told as unlabeled=:"
            f"{shorten(unlabelled)}"
        )
    if not rows:
        raise ValueError(f"No row names a file below root={str(root)!r}.")
    return rows, missing


def _merge(rows: Sequence[Row]) -> tuple[dict[FoundFile, Any], list[str]]:
    """Return the label of each file; raise if two rows give it different ones."""
    by_file: dict[FoundFile, list[tuple[Any, str]]] = defaultdict(list)
    for file, label, place in rows:
        by_file[file].append((label, place))
    twice = {file: found for file, found in by_file.items() if len(found) > 1}
    unequal = [
        f"{file.name}: " + ", ".join(f"{label!r} ({place})" for label, place in found)
        for file, found in twice.items()
        if len({label for label, _ in found}) > 1
    ]
    if unequal:
        raise ValueError(
            f"{len(unequal)} file(s) have rows with different labels; keep one row for "
            f"each:{shorten(unequal)}"
        )
    notes = []
    if twice:
        notes.append(
            f"{len(twice)} file(s) have several rows with one label; each is taken "
            f"once:{shorten([file.name for file in twice])}"
        )
    return {file: found[0][0] for file, found in by_file.items()}, notes


def _is_missing(label: Any) -> bool:
    is_na = type(label).__name__ in {"NAType", "NaTType"}
    return label is None or is_na or label == "" or label != label


def _sorted_classes(labels: Sequence[Any]) -> list[Any]:
    try:
        return sorted(set(labels))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            f"The labels are of different types, {kinds!r}; expected one type."
        ) from error
