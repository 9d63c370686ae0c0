"""The samples of a study, from arrays, a function, a file or a folder."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np


class StudyData(NamedTuple):
    """Samples, labels, and groups of samples that belong together, or None."""

    X: Any
    y: Any
    groups: Any = None


def read_data(data: Any, reader: Any) -> StudyData:
    """Return the samples of a study.

    Parameters
    ----------
    data : tuple, callable, str or path
        ``(X, y)`` or ``(X, y, groups)``; a function that returns one; the path of an
        ``.npz`` file that holds X, y and perhaps groups; or of a folder of images.
    reader : ImageReader or None
        Reads the images of a folder.

    Returns
    -------
    StudyData
    """
    if isinstance(data, (str, os.PathLike)):
        path = os.path.abspath(os.path.expanduser(os.fspath(data)))
        if os.path.isdir(path):
            return _read_folder(path, reader)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"data={os.fspath(data)!r}: this machine has no file or folder {path!r}"
                ". Copy it here, or mount the folder that the machines share."
            )
        return _read_npz(path)
    if callable(data):
        data = data()
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            f"data is a {type(data).__name__}: expected (X, y), (X, y, groups), a "
            "function that returns these, or the path of an .npz file or of a folder "
            "of images."
        )
    return StudyData(*data)


def _read_npz(path: str) -> StudyData:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in ("X", "y", "groups") if k in file}
    except (ValueError, AttributeError, OSError) as error:
        raise ValueError(
            f"data={path!r} cannot be read as an .npz file: {error}. Expected one of "
            "arrays of numbers or text, as numpy.savez(path, X=X, y=y) writes it."
        ) from error
    lacking = [name for name in ("X", "y") if name not in arrays]
    if lacking:
        raise ValueError(
            f"data={path!r} has no array {lacking[0]!r}: expected X and y, as "
            "numpy.savez(path, X=X, y=y) writes them."
        )
    return StudyData(**arrays)


def _read_folder(path: str, reader: Any) -> StudyData:
    from skkd.images import load_image_folder

    if reader is None:
        raise ValueError(
            f"data={path!r} is a folder: expected reader=ImageReader(size=...) with "
            "it, which reads its images."
        )
    photos = load_image_folder(path)
    images = reader.fit_transform(photos.data)
    return StudyData(images, photos.target, photos.groups)
