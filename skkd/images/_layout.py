"""Layouts of folders whose first level does not hold the classes.

By names alone: images are decoded only once the layout is clear.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path

from skkd.images._files import looks_like_image
from skkd.images._names import (
    are_contents,
    call_of,
    find_splits,
    is_split,
    letters_of,
    shorten_names,
    split_of,
    words_of,
)
from skkd.images._tables import COLUMNS, has_table, suggest_table
from skkd.images._walk import FoundFile, is_hidden

_DATE = re.compile(r"[\d\W_]{4,}")  # or another number that tells no class


def find_class_root(root: Path) -> Path:
    """Follow folders that hold one folder and no image, down to the classes."""
    while True:
        folders, images = _list(root)
        if len(folders) != 1 or images:
            return root
        inner_folders, inner_images = _list(folders[0])
        if inner_images or not inner_folders:
            return root
        root = folders[0]


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    try:
        entries = [entry for entry in folder.iterdir() if not is_hidden(entry.name)]
    except OSError:  # which is said where all files are listed
        return [], []
    folders = [entry for entry in entries if entry.is_dir()]
    images = [e for e in entries if not e.is_dir() and looks_like_image(e.name)]
    return folders, images


def check_layout(root: Path, files: Sequence[FoundFile]) -> None:
    """Raise if the first-level folders are certainly not the classes."""
    in_folders = [file for file in files if len(file.parts) > 1]
    # Files without a suffix are images where there are no others, as in DICOM.
    seen = [f for f in in_folders if looks_like_image(f.name)] or in_folders
    subfolders = _subfolders(seen)
    names = sorted(subfolders)
    splits = find_splits(names)
    if splits:
        raise ValueError(_splits_message(root, seen, names, splits))
    for name in names:
        copied = sorted(subfolders[name] & set(names) - {name})
        if len(copied) > 1 or (copied and subfolders[name] == set(copied)):
            raise ValueError(
                f"The folder {name!r} in {str(root)!r} holds folders named like those "
                f"beside it, {shorten_names(copied)}: a copy, or another level of "
                f"folders. Move it away, or leave it out: "
                f"{_call_without(root, names, name)}. If it is a class, pass "
                f"classes={shorten_names(names)}."
            )
    inside = {name for inner in subfolders.values() for name in inner} - {""}
    # Masks may lie a level deeper than their images.
    is_leaf = any("" in inner for inner in subfolders.values()) or are_contents(inside)
    is_alone = len(_list(root)[0]) == 1 and not has_table(root)
    if is_leaf and are_contents(names) and not is_alone:
        raise ValueError(_contents_message(root, names, suggest_table(root)))


def _subfolders(files: Sequence[FoundFile]) -> dict[str, set[str]]:
    """Return the second-level folders of each first-level one; "" is the folder."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        name, *inside = file.parts[:-1]
        if len(inside) > 1 and inside[0] == name:  # an archive, unpacked in x/x
            inside = inside[1:]
        found[name].add(inside[0] if inside else "")
    return found


def _call_without(root: Path, names: Sequence[str], name: str) -> str:
    """Return a call that leaves out one of the first-level folders."""
    others = [other for other in names if other != name]
    if len(others) > 1:
        return call_of(root, classes=others)
    return call_of(root / others[0])  # it holds the classes, or splits


def _splits_message(
    root: Path, files: Sequence[FoundFile], names: Sequence[str], splits: Sequence[str]
) -> str:
    deep = {file.parts[0] for file in files if len(file.parts) > 2}
    in_order = sorted(splits, key=lambda name: "train" not in name.casefold())
    ready = [name for name in in_order if name in deep]
    flat = [name for name in in_order if name not in deep]
    beside = [name for name in names if name not in splits]
    text = f"root={str(root)!r} holds splits, not classes: {shorten_names(splits)}"
    text += f", beside {shorten_names(beside)}. " if beside else ". "
    if ready:
        text += f"Load each by itself: {call_of(root / ready[0])}. "
    text += _remedy_for_flat_splits(root, flat, is_needed=not ready) if flat else ""
    return text + f"If these are the classes, pass classes={shorten_names(names)}."


def _remedy_for_flat_splits(root: Path, flat: Sequence[str], is_needed: bool) -> str:
    first = [name for name in flat if split_of(name) == split_of(flat[0])]
    is_one = len(set(map(letters_of, first))) == 1
    if not is_one:  # trainA and trainB, or cat_train and dog_train
        return f"Load each split by itself: {call_of(root, classes=first)}. "
    table = suggest_table(root, split_of(flat[0]))
    if table and len(first) > 1:  # train_1 and train_2
        call = call_of(root, labels=table.removeprefix("../"))
        text = f"a table can name the classes: {call}"
    elif table:
        text = f"a table can name the classes: {call_of(root / flat[0], labels=table)}"
    elif is_needed:
        text = f"a data frame can name the classes, by labels= ({COLUMNS})"
    else:
        return ""
    return f"{shorten_names(flat)} have no class folders; {text}. "


def _contents_message(root: Path, names: Sequence[str], table: str) -> str:
    if table:
        remedy = (
            f"Beside them is {table!r}; if it names the class of each image: "
            f"{call_of(root, labels=table)}."
        )
    else:
        remedy = (
            "Pass the folder that holds one folder per class, or name the classes by "
            f"labels=, a table ({COLUMNS})."
        )
    return (
        f"root={str(root)!r} has the folders {shorten_names(names)}, which say what "
        f"lies in them and are no classes. {remedy} If these are the classes, pass "
        f"classes={shorten_names(names)}."
    )


def describe_layout(top: Path, root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of classes that may be elsewhere; the only folder of `top` holds `root`."""
    subfolders = _subfolders(files)
    names = sorted(subfolders)
    if len(names) == 1:
        return _describe_one_class(top, root, names[0], subfolders[names[0]])
    split = _find_nested_split(subfolders)
    if split:
        return (
            f"The class {split!r} has the name of a split, and holds the folders "
            f"{shorten_names(sorted(subfolders[split]))}. If those are the classes, "
            f"load it by itself: {call_of(root / split)}; if not, say so by "
            f"classes={shorten_names(names)}."
        )
    odd = _find_split_beside_classes(names)
    if odd:
        return (
            f"The class {odd!r} has the name of a split. If it is none: "
            f"{_call_without(root, names, odd)}; if it is one, say so by "
            f"classes={shorten_names(names)}."
        )
    if any("" in inner for inner in subfolders.values()):
        return ""
    inside = _classes_inside(subfolders)
    if len(inside) < 2:
        return ""
    return (
        f"The classes are the first-level folders, {shorten_names(names)}, but all "
        f"images lie deeper, in {shorten_names(inside)}. If those are the classes, "
        f"load each first-level folder by itself: {call_of(root / names[0])}; if not, "
        f"say so by classes={shorten_names(names)}."
    )


def _describe_one_class(top: Path, root: Path, name: str, inside: set[str]) -> str:
    """Warn of a single class that is named as contents, or lies beside a table."""
    folder = top if suggest_table(top) else root
    table = suggest_table(folder)
    if are_contents([name]):
        return _contents_message(folder, [name], table)
    remedy = f"say so by classes={[name]!r}."
    if table:
        return (
            f"There is one class, {name!r}, beside {table!r}. If that names the class "
            f"of each image: {call_of(folder, labels=table)}; if not, {remedy}"
        )
    if root.name == name or name in inside or split_of(name):
        return (
            f"There is one class, {name!r}, with the name of a split, or of the folder "
            f"that holds it. A table ({COLUMNS}) can name the class of each image, by "
            f"labels=; if it is a class, {remedy}"
        )
    return ""


def _classes_inside(subfolders: Mapping[str, set[str]]) -> list[str]:
    """Return second-level folders that may be classes: the same in each, or words."""
    counts = Counter(name for inner in subfolders.values() for name in inner)
    inside = sorted(counts)
    if find_splits(inside):
        return []
    # Images, masks and dates are none.
    inside = [n for n in inside if not (are_contents([n]) or _DATE.fullmatch(n))]
    n_shared = sum(2 * counts[name] > len(subfolders) for name in inside)
    is_counted = len(set(map(letters_of, inside))) == 1  # person1 and person2
    is_shared = n_shared == len(inside) or (
        2 * n_shared >= len(inside) and not is_counted
    )
    # Many patients with a few findings.
    is_crossed = not is_counted and 2 * len(inside) <= len(subfolders)
    is_nested = all(len(inner) > 1 for inner in subfolders.values()) and not any(
        word.isdigit() for name in inside for word in words_of(name)
    )
    return inside if is_shared or is_crossed or is_nested else []


def _find_nested_split(subfolders: Mapping[str, set[str]]) -> str:
    """Return a first-level folder named as a split, with all images in folders."""
    for name, inside in sorted(subfolders.items()):
        if is_split(name) and len(inside) > 1 and "" not in inside:
            return name
    return ""


def _find_split_beside_classes(names: Sequence[str]) -> str:
    """Return a folder named as a split, unless it may be a train, or test and control.

    Of two classes one may be called test, and "valid" has a meaning of its own.
    """
    odd = [
        name
        for name in names
        if is_split(name) and name.casefold() not in {"train", "valid", "dev", "eval"}
    ]
    return odd[0] if len(odd) == 1 and len(names) > 2 else ""


def describe_classes_inside(root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of a class folder within another: its images get the outer class.

    Numbers are often patients, in classes 0 and 1 too.
    """
    classes = {file.parts[0] for file in files}
    found = {
        "/".join(file.parts[: i + 1])
        for file in files
        for i in range(1, len(file.parts) - 1)
        if file.parts[i] in classes - {file.parts[0]} and letters_of(file.parts[i])
    }
    if not found:
        return ""
    patterns = [f"{escape(name)}/*" for name in sorted(found)]
    return (
        f"Folders named as classes are inside other classes: "
        f"{shorten_names(sorted(found))}. Their images get the class of the outer "
        f"folder. Move them, or leave them out: {call_of(root, exclude=patterns)}; "
        "exclude=[] says that they are meant."
    )


def describe_splits_inside(root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of class folders that hold a train and a test folder."""
    inside = {part for file in files for part in file.parts[1:-1]}
    splits = find_splits(inside)
    if not splits:
        return ""
    tests = [name for name in splits if "train" not in name.casefold()]
    patterns = [f"*/{escape(name)}/*" for name in tests]
    return (
        f"The splits {shorten_names(splits)} are inside the class folders and are "
        f"loaded together. Leave some out: {call_of(root, exclude=patterns)}; "
        "exclude=[] says that all are meant."
    )
