"""A folder of class folders, as paths and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from skkd._utils.warn import warn
from skkd.images._class_folders import (
    Samples,
    check_no_class_empty,
    find_samples,
)
from skkd.images._errors import (
    ImageFolderWarning,
    UnreadableImageError,
    describe_failure,
    describe_unreadable,
)
from skkd.images._files import (
    Finding,
    describe_duplicates,
    describe_ignored,
    describe_leaks,
    describe_warnings,
    hash_file,
    inspect_file,
    is_archive,
    map_files,
    unpack_call,
)
from skkd.images._labels import find_labelled
from skkd.images._layout import (
    describe_classes_inside,
    describe_layout,
    describe_splits_inside,
)
from skkd.images._masks import describe_masks
from skkd.images._spelling import describe_other_spelling
from skkd.images._walk import FoundFile, list_files


def load_image_folder(
    root: str | os.PathLike[str],
    on_error: Literal["raise", "skip"] = "raise",
    *,
    compare_with: Bunch | str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    labels: Any = None,
    file_column: str | int | None = None,
    label_column: str | int | list[str | int] | None = None,
) -> Bunch:
    """Load paths and classes of images: one folder per class, or a table of labels.

    The names of the first-level folders are the classes; images may be at any depth
    below. Splits (train, test), folders such as images and masks, and copies are
    refused by name. Files are recognised as images by their content, not by their
    suffix. Every image is decoded once, so that a damaged file is found here and not in
    the middle of a training. Hidden and system files (``Thumbs.db``, ``desktop.ini``,
    ``__MACOSX``) are left out. Links are followed, to each folder once.

    Parameters
    ----------
    root : str or path-like
        The folder that contains the class folders; ``~`` is your home folder.
    on_error : {"raise", "skip"}, default="raise"
        What to do if images cannot be read: raise one error that lists them all, or
        leave them out, with a warning, and return them as `skipped`. So too for folders
        that cannot be read.
    compare_with : Bunch or str or path-like, default=None
        Another image folder, loaded or not, typically the training images if `root`
        has the test images: warns of files that are in both.
    classes : list of str, default=None
        The first-level folders that are classes; others are left out. Says that the
        layout is as intended, so that it is not checked.
    exclude : str or list of str, default=None
        Patterns of files to leave out, as in :mod:`fnmatch`, of their paths below the
        root: ``"*/masks/*"``. An empty list says that images named as masks, and splits
        or folders named as classes inside the classes, are intended.
    labels : str, path-like or data frame, default=None
        A table with a row for each image, instead of class folders: a CSV file, in
        `root` or from the current folder, or a pandas or polars frame. Names in it are
        paths that end those of files below `root`, or names with or without suffix.
        Images without a row are left out, with a warning; rows of files that `exclude`
        leaves out, without.
    file_column, label_column : str or int, default=None
        Names or positions of the columns of `labels`. None finds the column that names
        files; the other one, of two, is the label. A list of label columns holds a 1
        for the class of a row, and 0 for the others; their names are the classes.

    Returns
    -------
    photos : :class:`~sklearn.utils.Bunch`
        data : ndarray of str, shape (n,)
            Paths below `root`, sorted by name, the same order on every system; in the
            order of `labels`, if given.
        target : ndarray, shape (n,)
            Class names, str; or what `labels` says: of a CSV file ints, floats or bools
            if all labels are such.
        target_names : list
            Sorted class names.
        groups : ndarray of int, shape (n,)
            Equal for byte-identical files, to be passed to
            :class:`~sklearn.model_selection.StratifiedGroupKFold`.
        sha256 : ndarray of str, shape (n,)
            Content hashes; ``np.isin(test.sha256, train.sha256)`` finds leaks.
        skipped : list of (str, str)
            Path and reason of the images left out, and of folders that cannot be read.

    Raises
    ------
    FileNotFoundError
        If `root` or `labels` does not exist, or rows name files that do not.
    NotADirectoryError
        If `root` is a file.
    UnreadableImageError
        If images cannot be read: damaged, empty, not an image in spite of their
        suffix, beyond ``PIL.Image.MAX_IMAGE_PIXELS``, or beyond 6 bytes for each of
        these pixels, in the file or once decoded. Its `failures` lists all. Or if a
        folder cannot be read.
    ValueError
        If there is no class folder, a class folder has no images, the first-level
        folders are splits, copies or contents such as images and masks, two classes
        look the same, rows have no label or contradict each other, or a parameter has
        a wrong value.

    Warns
    -----
    ImageFolderWarning
        About files that are not images, named pipes and devices, images of which a
        decoder warns, images outside the class folders, skipped images, identical
        files, folders that links repeat, classes that differ only in case or blanks,
        images that look like masks of others, splits and classes inside the classes, or
        beside them, rows of several splits, labels that join others, classes that may
        be one level deeper, and a folder that holds nothing but the one with the
        classes.

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
    known, known_classes = _hash_other(compare_with)
    if labels is None:
        samples = find_samples(folder, classes, exclude, on_error)
    elif classes is None:
        columns = file_column, label_column
        samples = find_labelled(folder, labels, columns, exclude, on_error)
    else:
        raise ValueError("classes= names class folders; expected it without labels=.")
    inspected = map_files(inspect_file, samples.files)
    if labels is not None:  # a row says that its file is an image
        inspected = [found.as_image() for found in inspected]
    skipped = [
        (file.path, found.reason)
        for file, found in zip(samples.files, inspected, strict=True)
        if found.kind == "broken"
    ]
    is_image = [found.kind == "image" for found in inspected]
    unreadable = describe_unreadable(skipped, len(skipped) + sum(is_image))
    if skipped and on_error == "raise":
        remedy = "\nRepair or remove them, or leave them out with on_error='skip'."
        raise UnreadableImageError(unreadable + remedy, skipped)
    photos = [f for f, is_one in zip(samples.files, is_image, strict=True) if is_one]
    targets = [t for t, is_one in zip(samples.labels, is_image, strict=True) if is_one]
    hashes = [found.sha256 for found in inspected if found.kind == "image"]
    check_no_class_empty(
        samples.root, samples.classes, set(targets), has_folders=labels is None
    )
    notes = [
        *samples.notes,
        *samples.listing.notes(),
        unreadable and f"{unreadable}\nThey are left out and returned as `skipped`.",
        describe_warnings(samples.files, inspected),
        describe_duplicates(photos, hashes, targets),
        describe_leaks(photos, hashes, known),
        describe_other_spelling(samples.classes, known_classes),
    ]
    if labels is None:
        notes.append(_describe_ignored(samples, inspected))
        notes += _describe_layout(folder, samples.root, photos, classes, exclude)
    for message in filter(None, notes):
        warn(message, ImageFolderWarning)
    seen: dict[str, int] = {}
    return Bunch(
        data=np.array([file.path for file in photos]),
        target=np.array(targets),
        target_names=samples.classes,
        groups=np.array([seen.setdefault(sha256, len(seen)) for sha256 in hashes]),
        sha256=np.array(hashes),
        skipped=[*samples.listing.unreadable, *skipped],
    )


def _describe_ignored(samples: Samples, inspected: Sequence[Finding]) -> str:
    """Name what has no class or is no image; a table beside the classes is usual."""
    others = [
        file.name
        for file, found in zip(samples.files, inspected, strict=True)
        if found.kind == "other"
    ]
    stray = zip(samples.stray, map_files(inspect_file, samples.stray), strict=True)
    return describe_ignored(others, [f.name for f, x in stray if x.kind != "other"])


def _describe_layout(
    top: Path,
    root: Path,
    photos: Sequence[FoundFile],
    classes: Sequence[str] | None,
    exclude: str | Sequence[str] | None,
) -> list[str]:
    messages = [] if classes is not None else [describe_layout(top, root, photos)]
    if exclude is None or len(exclude):
        for describe in (
            describe_masks,
            describe_splits_inside,
            describe_classes_inside,
        ):
            messages.append(describe(root, photos))
    return messages


def _check_folder(folder: str | os.PathLike[str], name: str) -> Path:
    path = Path(folder).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{name}={str(path)!r} does not exist; check the path.")
    if not path.is_dir():
        hint = f" {unpack_call(path)}." if is_archive(path.name) else ""
        raise NotADirectoryError(
            f"{name}={str(path)!r} is a file; expected a folder that contains one "
            f"folder per class.{hint}"
        )
    try:
        with os.scandir(path):
            pass
    except OSError as error:
        reason = describe_failure(error)
        raise UnreadableImageError(
            f"{name}={str(path)!r} cannot be read: {reason}. Get the permission to "
            "read it, or pass another folder.",
            [(str(path), reason)],
        ) from error
    return path


def _hash_other(other: Any) -> tuple[dict[str, str], list[Any]]:
    """Return the paths of another folder by content, and its classes."""
    if other is None:
        return {}, []
    if isinstance(other, Mapping) and {"sha256", "data"} <= other.keys():
        paths = dict(zip(other["sha256"], other["data"], strict=True))
        return paths, list(other.get("target_names", []))
    if not isinstance(other, str | os.PathLike):
        raise ValueError(
            "compare_with must be a folder or a Bunch returned by load_image_folder, "
            f"got {type(other).__name__}."
        )
    listing = list_files(_check_folder(other, "compare_with"))
    listing.check_readable()  # else images that are in both would not be found
    files = listing.files
    hashes = map_files(hash_file, files)
    paths = {sha256: file.path for sha256, file in zip(hashes, files, strict=True)}
    return paths, sorted({file.parts[0] for file in files if len(file.parts) > 1})
