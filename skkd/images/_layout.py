"""Layouts of folders whose first level does not hold the classes.

By names alone: images are decoded only once the layout is clear.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from skkd.images._files import FoundFile, is_hidden, looks_like_image

_SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "holdout"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev", "eval"), "val"),
    **dict.fromkeys(("pred", "predict", "prediction"), "pred"),
    **dict.fromkeys(("labeled", "labelled"), "labeled"),
    **dict.fromkeys(("unlabeled", "unlabelled"), "unlabeled"),
}
# What a folder holds, rather than what its images show.
_CONTENTS = {
    *("image", "images", "img", "imgs", "jpg", "jpeg", "jpegs", "png", "photo"),
    *("photos", "picture", "pictures", "frames", "data", "dataset", "files", "set"),
    *("mask", "masks", "label", "labels", "annotation", "annotations", "gt"),
    *("segmentation", "segmentations", "groundtruth", "bbox", "boxes"),
}
_PARTS = {"part", "parts", "batch", "chunk", "shard", "fold", "images", "imgs"}
_DATE = re.compile(r"[\d\W_]{4,}")  # or another number that tells no class
_TABLES = {".csv", ".tsv", ".xlsx", ".xls", ".json", ".parquet"}


def words_of(name: str) -> list[str]:
    """Split a name into lower-case words and numbers: JPEGImages_1 has three."""
    name = re.sub("(?i)segmentation(class|object)", "segmentation", name)
    name = re.sub("(?i)ground[ _-]?truth", " groundtruth ", name)
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)
    return [word.casefold() for word in found]


def letters_of(name: str) -> tuple[str, ...]:
    """Return the words of a name without its numbers."""
    return tuple(word for word in words_of(name) if not word.isdigit())


def find_splits(names: Collection[str]) -> list[str]:
    """Return the names that are splits of one another, as seg_train and seg_test."""
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        words = letters_of(name)
        for i, word in enumerate(words):
            if word in _SPLITS:
                groups[(*words[:i], "*", *words[i + 1 :])][name] = _SPLITS[word]
    found = [group for group in groups.values() if len(set(group.values())) > 1]
    return sorted({name for group in found for name in group})


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
    entries = [entry for entry in folder.iterdir() if not is_hidden(entry.name)]
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
            others = [other for other in names if other != name]
            raise ValueError(
                f"The folder {name!r} in {str(root)!r} holds folders named like those "
                f"beside it, {_shorten(copied)}: a copy, or another level of folders. "
                f"Move it away, or leave it out: {_call(root, classes=others)}. If it "
                f"is a class, pass classes={_shorten(names)}."
            )
    inside = {name for inner in subfolders.values() for name in inner} - {""}
    is_leaf = not inside or _are_contents(inside)
    is_alone = len(_list(root)[0]) == 1 and not _list_tables(root)
    if is_leaf and _are_contents(names) and not is_alone:
        raise ValueError(_contents_message(root, names))


def _subfolders(files: Sequence[FoundFile]) -> dict[str, set[str]]:
    """Return the second-level folders of each first-level one; "" is the folder."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        found[file.parts[0]].add(file.parts[1] if len(file.parts) > 2 else "")
    return found


def _are_contents(names: Collection[str]) -> bool:
    """Tell whether all names say what lies in the folders, not what images show."""
    words = [set(letters_of(name)) for name in names]
    if all(of_name and of_name <= _CONTENTS | _SPLITS.keys() for of_name in words):
        return True
    is_numbered = len(names) > 1 and len(set(map(letters_of, names))) == 1
    return is_numbered and bool(words[0] & _PARTS)


def _list_tables(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if p.suffix.lower() in _TABLES)


def _splits_message(
    root: Path, files: Sequence[FoundFile], names: Sequence[str], splits: Sequence[str]
) -> str:
    deep = {file.parts[0] for file in files if len(file.parts) > 2}
    in_order = sorted(splits, key=lambda name: "train" not in name.casefold())
    ready = [name for name in in_order if name in deep]
    flat = [name for name in in_order if name not in deep]
    beside = [name for name in names if name not in splits]
    text = f"root={str(root)!r} holds splits, not classes: {_shorten(splits)}"
    text += f", beside {_shorten(beside)}. " if beside else ". "
    if ready:
        text += f"Load each by itself: {_call(root / ready[0])}. "
    if flat:
        tables = _list_tables(root)
        table = f"../{tables[-1]}" if tables else "labels.csv"
        text += (
            f"{_shorten(flat)} have no class folders; a table can name the classes: "
            f"{_call(root / flat[0], labels=table)}. "
        )
    return text + f"If these are the classes, pass classes={_shorten(names)}."


def _contents_message(root: Path, names: Sequence[str]) -> str:
    tables = _list_tables(root)
    text = (
        f"root={str(root)!r} has the folders {_shorten(names)}, which say what lies in "
        "them and are no classes. "
    )
    if tables:
        text += (
            f"Beside them is {_shorten(tables)}; if it names the class of each image: "
            f"{_call(root, labels=tables[0])}. "
        )
    else:
        text += "Pass the folder that holds one folder per class, or labels= a table. "
    return text + f"If these are the classes, pass classes={_shorten(names)}."


def describe_layout(root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of classes that may be one level deeper."""
    subfolders = _subfolders(files)
    names = sorted(subfolders)
    if len(names) == 1 and _are_contents(names):
        return _contents_message(root, names)
    tables = _list_tables(root)
    if len(names) == 1 and tables:
        return (
            f"There is one class, {names[0]!r}, beside {_shorten(tables)}. If that "
            f"names the class of each image: {_call(root, labels=tables[0])}; if not, "
            f"say so by classes={_shorten(names)}."
        )
    split = _find_nested_split(subfolders)
    if split:
        return (
            f"The class {split!r} has the name of a split, and holds the folders "
            f"{_shorten(sorted(subfolders[split]))}. If those are the classes, load it "
            f"by itself: {_call(root / split)}; if not, say so by "
            f"classes={_shorten(names)}."
        )
    if any("" in inner for inner in subfolders.values()):
        return ""
    inside = _classes_inside(subfolders)
    if len(names) < 2 or len(inside) < 2:
        return ""
    return (
        f"The classes are the first-level folders, {_shorten(names)}, but all images "
        f"lie deeper, in {_shorten(inside)}. If those are the classes, load each "
        f"first-level folder by itself: {_call(root / names[0])}; if not, say so by "
        f"classes={_shorten(names)}."
    )


def _classes_inside(subfolders: Mapping[str, set[str]]) -> list[str]:
    """Return second-level folders that may be classes: the same in each, or words."""
    counts = Counter(name for inner in subfolders.values() for name in inner)
    inside = sorted(counts)
    if find_splits(inside):
        return []
    # Images, masks and dates are none.
    inside = [n for n in inside if not (_are_contents([n]) or _DATE.fullmatch(n))]
    is_shared = all(2 * counts[name] > len(subfolders) for name in inside)
    is_nested = all(len(inner) > 1 for inner in subfolders.values()) and not any(
        word.isdigit() for name in inside for word in words_of(name)
    )
    return inside if is_shared or is_nested else []


def _find_nested_split(subfolders: Mapping[str, set[str]]) -> str:
    """Return a first-level folder named as a split, with all images in folders."""
    for name, inside in sorted(subfolders.items()):
        words = set(letters_of(name))
        is_split = bool(words & _SPLITS.keys()) and words <= _CONTENTS | _SPLITS.keys()
        if is_split and len(inside) > 1 and "" not in inside:
            return name
    return ""


def describe_splits_inside(root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of class folders that hold a train and a test folder."""
    inside = {part for file in files for part in file.parts[1:-1]}
    splits = find_splits(inside)
    if not splits:
        return ""
    tests = [name for name in splits if "train" not in name.casefold()]
    patterns = [f"*/{name}/*" for name in tests]
    return (
        f"The splits {_shorten(splits)} are inside the class folders and are loaded "
        f"together. Leave some out: {_call(root, exclude=patterns)}; exclude=[] says "
        "that all are meant."
    )


def check_alike(names: Sequence[str]) -> str:
    """Raise if two classes look the same; warn if they differ in case or blanks."""
    looks, folded = defaultdict(list), defaultdict(list)
    for name in names:
        looks[" ".join(unicodedata.normalize("NFC", name).split())].append(name)
        folded[_fold(name)].append(name)
    same = [group for group in looks.values() if len(group) > 1]
    if same:
        shown = "; ".join(" and ".join(map(ascii, group)) for group in same)
        raise ValueError(
            f"Classes that look the same, and differ in blanks or in their Unicode "
            f"form: {shown}. Merge their folders, or rename one."
        )
    alike = [
        group
        for group in folded.values()
        # Data sets of letters have "a" and "A".
        if len(group) > 1 and max(map(len, group)) > 1
    ]
    if not alike:
        return ""
    shown = "; ".join(" and ".join(map(repr, group)) for group in alike)
    return (
        f"Classes that differ only in case, blanks or dashes: {shown}. If they are one "
        "class, merge their folders."
    )


def describe_other_spelling(names: Sequence[Any], others: Sequence[Any]) -> str:
    """Warn of classes that another folder spells otherwise."""
    known = {_fold(name): name for name in others if isinstance(name, str)}
    pairs = [
        (name, known[_fold(name)])
        for name in names
        if isinstance(name, str) and name not in others and _fold(name) in known
    ]
    if not pairs:
        return ""
    shown = "; ".join(f"{a!a} is {b!a} there" for a, b in pairs)
    return f"Classes that compare_with spells otherwise: {shown}. Rename their folders."


def _fold(name: str) -> str:
    """Return what names have in common that differ in case, blanks or Unicode form."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _shorten(names: Sequence[str], limit: int = 6) -> str:
    if len(names) <= limit:
        return repr(list(names))
    return f"{list(names[:limit])!r} and {len(names) - limit} more"


def _call(root: Path, **options: object) -> str:
    listed = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"load_image_folder({str(root)!r}{listed})"
