"""Images whose classes are in a table: a CSV file or a data frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

from skkd.images._class_folders import Samples, leave_out
from skkd.images._errors import shorten
from skkd.images._file_index import FileIndex
from skkd.images._files import looks_like_image
from skkd.images._label_table import (
    Column,
    LabelColumn,
    LabelTable,
    convert_texts,
)
from skkd.images._names import find_splits, split_of
from skkd.images._spelling import check_alike
from skkd.images._walk import FoundFile, list_files


class Row(NamedTuple):
    """A row of the table: the file that it names, its label, where it is, its cells."""

    file: FoundFile
    label: Any
    place: str
    cells: tuple[Any, ...]


def find_labelled(
    root: Path,
    labels: Any,
    columns: tuple[Column, LabelColumn],
    exclude: str | Sequence[str] | None,
    on_error: str,
) -> Samples:
    """Find the files that a table names, in its order, with their labels."""
    listing = list_files(root)
    if on_error == "raise":
        listing.check_readable()
    all_files = listing.files
    files = leave_out(all_files, exclude)
    index = FileIndex(root, files)
    table = LabelTable.read(root, labels, index)
    i_file, i_label = table.choose_columns(*columns, index)
    excluded = FileIndex(root, sorted({*all_files} - {*files}, key=lambda f: f.parts))
    rows, missing = _match(table, i_file, i_label, (index, excluded), root)
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
    notes.append(_describe_unnamed([f for f in files if f not in found], list(found)))
    if exclude is None or len(exclude):
        notes.append(describe_splits(root, table, rows, {i_file, *i_label}))
    targets = list(found.values())
    if table.is_text:
        targets = convert_texts(targets)
    classes = _sorted_classes(targets)
    texts = [name for name in classes if isinstance(name, str)]
    notes += [check_alike(texts), _describe_several_labels(texts)]
    return Samples(root, list(found), targets, classes, [], notes, listing)


def _match(
    table: LabelTable,
    i_file: int,
    i_label: list[int],
    indices: tuple[FileIndex, FileIndex],
    root: Path,
) -> tuple[list[Row], list[str]]:
    """Return the rows with the file that each names, and those that name none.

    Of the two indices the second has the files that are left out.
    """
    index, excluded = indices
    rows, missing, ambiguous, unlabelled = [], [], [], []
    for i, row in enumerate(table.rows):
        name, label = row[i_file], table.label_of(row, i_label)
        place = table.place_of(i)
        found = index.find(name)
        if not found and excluded.find(name):
            continue
        if not found:
            missing.append(f"{place}: {name!r}")
        elif len(found) > 1:
            names = ", ".join(file.name for file in found)
            ambiguous.append(f"{place}: {name!r} is {names}")
        elif _is_missing(label):
            unlabelled.append(f"{place}: {name!r}")
        else:
            rows.append(Row(found[0], label, place, row))
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
    for row in rows:
        by_file[row.file].append((row.label, row.place))
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


def _describe_unnamed(unnamed: Sequence[FoundFile], found: Sequence[FoundFile]) -> str:
    """Warn of images without a row; those of whole folders can be left out by name."""
    without = [file for file in unnamed if looks_like_image(file.parts[-1])]
    if not without:
        return ""
    folders = {f.parts[0] for f in without} - {f.parts[0] for f in found}
    remedy = ""
    if folders and all(len(f.parts) > 1 and f.parts[0] in folders for f in without):
        patterns = [f"{escape(name)}/*" for name in sorted(folders)]
        remedy = f"\nIf that is meant, say so by exclude={patterns!r}."
    return (
        f"{len(without)} image(s) have no row in the table and are left out:"
        f"{shorten([file.name for file in without])}{remedy}"
    )


def describe_splits(
    root: Path, table: LabelTable, rows: Sequence[Row], known: Collection[int]
) -> str:
    """Warn of rows of several splits: in folders of their own, or told by a column."""
    folders = {part for row in rows for part in row.file.parts[:-1]}
    splits = find_splits(folders)
    if splits:
        tests = [n for n in splits if split_of(n) != "train"]
        tops = {row.file.parts[0] for row in rows}
        patterns = [
            f"{escape(name)}/*" if name in tops else f"*/{escape(name)}/*"
            for name in tests
        ]
        return (
            f"The table names images of the splits {splits!r}, which are loaded "
            f"together. Leave some out by exclude={patterns!r}; exclude=[] says that "
            "all are meant."
        )
    for i, name in enumerate(table.header):
        values = {row.cells[i] for row in rows if isinstance(row.cells[i], str)}
        if (
            i not in known
            and len(values) < 9
            and {*find_splits(values)} == values != set()
        ):
            first = min(values, key=lambda value: split_of(value) != "train")
            return (
                f"The column {name!r} says that the rows are of the splits "
                f"{sorted(values)!r}, which are loaded together. Pass those of one, "
                f"labels=frame[frame[{name!r}] == {first!r}] of a data frame; "
                "exclude=[] says that all are meant."
            )
    return ""


def _describe_several_labels(classes: Sequence[str]) -> str:
    """Warn of labels such as "a|b" where "a" and "b" are labels too."""
    joint = [
        name
        for name in classes
        if any(
            len(parts := [part.strip() for part in name.split(mark)]) > 1
            and {*parts} <= {*classes}
            for mark in "|;,"
        )
    ]
    if not joint:
        return ""
    return (
        f"{len(joint)} label(s) join several others, and are classes of their own:"
        f"{shorten(list(map(repr, joint)), 5)}\nA classifier gives one class to a row: "
        "leave such rows out, or choose one of their labels."
    )


def _is_missing(label: Any) -> bool:
    is_na = type(label).__name__ in {"NAType", "NaTType"}
    return label is None or is_na or label == "" or label != label


def _sorted_classes(labels: Sequence[Any]) -> list[Any]:
    try:
        return sorted(set(labels))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            f"The labels are of the types {kinds!r}; expected one, of texts, ints or "
            "bools, such as frame[column].astype(str)."
        ) from error
