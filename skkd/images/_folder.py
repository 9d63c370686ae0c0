"""A folder of class folders, as paths and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from skkd._utils.warn import warn
from skkd.images._errors import (
    ImageFolderWarning,
    UnreadableImageError,
    describe_unreadable,
)
from skkd.images._files import (
    FoundFile,
    describe_duplicates,
    describe_ignored,
    describe_leaks,
    describe_wrong_level,
    hash_file,
    inspect_file,
    is_hidden,
    list_files,
    map_files,
)


def load_image_folder(
    root: str | os.PathLike[str],
    on_error: Literal["raise", "skip"] = "raise",
    *,
    compare_with: Bunch | str | os.PathLike[str] | None = None,
) -> Bunch:
    """Load paths and class names from a folder that holds one folder per class.

    The names of the first-level folders are the classes; images may be at any depth
    below. Files are recognised as images by their content, not by their suffix. Every
    image is decoded once, so that a damaged file is found here and not in the middle
    of a training. Hidden and system files (``Thumbs.db``, ``desktop.ini``,
    ``__MACOSX``) are left out, links are followed.

    Parameters
    ----------
    root : str or path-like
        The folder that contains the class folders; ``~`` is your home folder.
    on_error : {"raise", "skip"}, default="raise"
        What to do if images cannot be read: raise one error that lists them all, or
        leave them out, with a warning, and return them as `skipped`.
    compare_with : Bunch or str or path-like, default=None
        Another image folder, loaded or not, typically the training images if `root`
        has the test images: warns of files that are in both.

    Returns
    -------
    photos : :class:`~sklearn.utils.Bunch`
        data : ndarray of str, shape (n,)
            Paths below `root`, sorted by name, the same order on every system.
        target : ndarray of str, shape (n,)
            Class names.
        target_names : list of str
            Sorted class names.
        groups : ndarray of int, shape (n,)
            Equal for byte-identical files, to be passed to
            :class:`~sklearn.model_selection.StratifiedGroupKFold`.
        sha256 : ndarray of str, shape (n,)
            Content hashes; ``np.isin(test.sha256, train.sha256)`` finds leaks.
        skipped : list of (str, str)
            Path and reason of the images left out.

    Raises
    ------
    FileNotFoundError
        If `root` does not exist.
    NotADirectoryError
        If `root` is a file.
    UnreadableImageError
        If images cannot be read: damaged, empty, not an image in spite of their
        suffix, or beyond ``PIL.Image.MAX_IMAGE_PIXELS``. Its `failures` lists all.
    ValueError
        If there is no class folder, a class folder has no images, or a parameter
        has a wrong value.

    Warns
    -----
    ImageFolderWarning
        About files that are not images, images outside the class folders, skipped
        images, identical files, and a `root` one level too high.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skkd.images import load_image_folder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ["cat", "dog"]:
    ...         (Path(root) / name).mkdir()
    ...         color = {"cat": "gray", "dog": "brown"}[name]
    ...         Image.new("RGB", (8, 8), color).save(Path(root) / name / "1.png")
    ...     photos = load_image_folder(root)
    >>> photos.target
    array(['cat', 'dog'], dtype='<U3')
    >>> [Path(path).name for path in photos.data]
    ['1.png', '1.png']
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={on_error!r}; expected 'raise' or 'skip'.")
    folder = _check_folder(root, "root")
    known = _hash_other(compare_with)
    classes = _list_classes(folder)
    files = list_files(folder)
    inspected = list(zip(files, map_files(inspect_file, files), strict=True))
    in_class = [pair for pair in inspected if len(pair[0].parts) > 1]
    images = [(file, found) for file, found in in_class if found.kind == "image"]
    skipped = [
        (f.path, found.reason) for f, found in in_class if found.kind == "broken"
    ]
    unreadable = describe_unreadable(skipped, len(skipped) + len(images))
    if skipped and on_error == "raise":
        remedy = "\nRepair or remove them, or leave them out with on_error='skip'."
        raise UnreadableImageError(unreadable + remedy, skipped)
    photos = [file for file, _ in images]
    hashes = [found.sha256 for _, found in images]
    _check_no_class_empty(classes, photos)
    for message in (
        unreadable and f"{unreadable}\nThey are left out and returned as `skipped`.",
        describe_ignored(inspected),
        describe_duplicates(photos, hashes),
        describe_leaks(photos, hashes, known),
        describe_wrong_level(folder, photos),
    ):
        if message:
            warn(message, ImageFolderWarning)
    seen: dict[str, int] = {}
    return Bunch(
        data=np.array([file.path for file in photos]),
        target=np.array([file.parts[0] for file in photos]),
        target_names=classes,
        groups=np.array([seen.setdefault(sha256, len(seen)) for sha256 in hashes]),
        sha256=np.array(hashes),
        skipped=skipped,
    )


def _check_folder(folder: str | os.PathLike[str], name: str) -> Path:
    path = Path(folder).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{name}={str(path)!r} does not exist; check the path.")
    if not path.is_dir():
        raise NotADirectoryError(
            f"{name}={str(path)!r} is a file; expected a folder that contains one "
            "folder per class."
        )
    return path


def _list_classes(root: Path) -> list[str]:
    entries = [entry for entry in root.iterdir() if not is_hidden(entry.name)]
    classes = sorted(entry.name for entry in entries if entry.is_dir())
    if not classes:
        raise ValueError(
            f"root={str(root)!r} has no class folders (files directly in it: "
            f"{len(entries)}); expected one folder per class with its images inside, "
            "such as cat/1.jpg and dog/1.jpg."
        )
    return classes


def _check_no_class_empty(classes: Sequence[str], photos: Sequence[FoundFile]) -> None:
    filled = {file.parts[0] for file in photos}
    empty = [name for name in classes if name not in filled]
    if empty:
        raise ValueError(
            f"{len(empty)} of {len(classes)} class folders have no readable image: "
            f"{empty!r}. Add images, or move these folders out of the root."
        )


def _hash_other(other: Any) -> dict[str, str]:
    if other is None:
        return {}
    if isinstance(other, Mapping) and {"sha256", "data"} <= other.keys():
        return dict(zip(other["sha256"], other["data"], strict=True))
    if not isinstance(other, str | os.PathLike):
        raise ValueError(
            "compare_with must be a folder or a Bunch returned by load_image_folder, "
            f"got {type(other).__name__}."
        )
    files = list_files(_check_folder(other, "compare_with"))
    hashes = map_files(hash_file, files)
    return {sha256: file.path for sha256, file in zip(hashes, files, strict=True)}
