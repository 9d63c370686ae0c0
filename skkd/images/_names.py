"""Names of folders and files: words, splits, and what a folder holds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

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
    *("segmentation", "segmentations", "groundtruth", "bbox", "boxes", "trimaps"),
    *("original", "originals", "raw", "augmented", "processed", "preprocessed"),
    *("resized", "cropped"),
}
_PARTS = {"part", "parts", "batch", "chunk", "shard", "fold", "images", "imgs"}


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


def split_of(name: str) -> str:
    """Return which split a name says it is, such as train for seg_train; "" if none."""
    return next((_SPLITS[w] for w in letters_of(name) if w in _SPLITS), "")


def is_split(name: str) -> bool:
    """Tell whether a name says no more than that it is a split, as test_images."""
    words = set(letters_of(name))
    return bool(words & _SPLITS.keys()) and words <= _CONTENTS | _SPLITS.keys()


def are_contents(names: Collection[str]) -> bool:
    """Tell whether all names say what lies in the folders, not what images show."""
    letters = {letters_of(name) for name in names}
    if len(names) > 1 and letters == {("label",)}:
        return False  # label_0 and label_1 are classes
    words = [set(of_name) for of_name in letters]
    if all(of_name and of_name <= _CONTENTS | _SPLITS.keys() for of_name in words):
        return True
    is_numbered = len(names) > 1 and len(letters) == 1
    return is_numbered and bool(words[0] & _PARTS)


def shorten_names(names: Sequence[str], limit: int = 6) -> str:
    if len(names) <= limit:
        return repr(list(names))
    return f"{list(names[:limit])!r} and {len(names) - limit} more"


def call_of(root: Path, **options: object) -> str:
    listed = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"load_image_folder({str(root)!r}{listed})"
