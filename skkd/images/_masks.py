"""Images that are masks of other images, as segmentation data sets keep them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path, PurePosixPath

from skkd.images._errors import shorten
from skkd.images._names import letters_of, words_of
from skkd.images._walk import FoundFile

_MASKS = {
    *("mask", "masks", "gt", "groundtruth", "seg", "segmentation", "segmentations"),
    *("annotation", "annotations", "label", "labels"),
    *("depth", "depthcrop", "maskcrop"),
}
_IMAGES = {"image", "images", "img", "imgs", "photo", "photos", "original", "originals"}


def describe_masks(root: Path, files: Sequence[FoundFile]) -> str:
    """Warn of images that look like masks of others in their class."""
    masks = find_masks(files)
    if not masks:
        return ""
    patterns = _patterns_of(masks)
    excluded = [f for f in files if any(fnmatchcase(f.name, p) for p in patterns)]
    call = f"load_image_folder({str(root)!r}, exclude={patterns!r})"
    if excluded != masks:
        call = "load_image_folder(..., exclude=[...]) takes patterns of their paths"
    return (
        f"{len(masks)} of {len(files)} images look like masks of others, and would be "
        f"learned as images of their class:{shorten([f.name for f in masks], 5)}\n"
        f"Leave them out: {call}; exclude=[] says that they are meant."
    )


def find_masks(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Return the files that are named as masks, and have an image that they belong to.

    The image has the same name but for words such as "mask"; or the two lie side by
    side in folders named as "images" and "masks".
    """
    named = [file for file in files if _mask_word(file)]
    if not named:
        return []
    images = [file for file in files if not _mask_word(file)]
    keys = {_key(file) for file in images}
    beside = {
        file.parts[:i]
        for file in images
        for i in range(1, len(file.parts) - 1)
        if _IMAGES & set(letters_of(file.parts[i]))
    }
    return [
        file
        for file in named
        if _key(file) in keys
        or any(file.parts[:i] in beside for i in _mask_folders(file))
    ]


def _mask_folders(file: FoundFile) -> list[int]:
    """Return which parts between class and file are folders of masks."""
    return [
        i
        for i in range(1, len(file.parts) - 1)
        if _MASKS & set(letters_of(file.parts[i]))
    ]


def _mask_word(file: FoundFile) -> str:
    """Return the word by which a file is named as a mask: of its folder or its own."""
    for i in _mask_folders(file):
        return file.parts[i]
    words = words_of(PurePosixPath(file.parts[-1]).stem)
    if len(words) > 1:
        ends = [words[0], words[-1], words[-2] if words[-1].isdigit() else ""]
        return next((word for word in ends if word in _MASKS), "")
    return ""


def _key(file: FoundFile) -> tuple[str, ...]:
    """Return what a mask and its image have in common."""
    words = words_of(PurePosixPath(file.parts[-1]).stem)
    for i, word in enumerate(words):
        # x_mask and x_mask_1 are masks of x; mask_1 is one of image 1.
        if word in _MASKS and i and all(w.isdigit() for w in words[i + 1 :]):
            words = words[:i]
            break
    kept = [word for word in words if word not in _MASKS | _IMAGES]
    # What tells kinds of one image: 104_sat and 104_mask, x1 and x1_color_mask.
    while len(kept) > 1 and not kept[-1].isdigit():
        kept.pop()
    return (file.parts[0], *kept)


def _patterns_of(masks: Sequence[FoundFile]) -> list[str]:
    patterns = set()
    for file in masks:
        folders = _mask_folders(file)
        if folders:
            patterns.add(f"*/{escape(file.parts[folders[0]])}/*")
            continue
        word = _mask_word(file)
        name = file.parts[-1]
        place = name.casefold().rfind(word)
        # With the separator before it: not each name that has these letters.
        start = place - (place > 0 and not name[place - 1].isalnum())
        patterns.add(f"*/*{escape(name[start : place + len(word)])}*")
    return sorted(patterns)
