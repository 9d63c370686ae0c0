"""The images of a run: which ones the teacher, the students and the test get."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.utils import Bunch

from skkd.images import load_image_folder

UNLABELED = "?"  # no folder has such a name on Windows, and few elsewhere
# A quarter of the images is the test; a search has three folds.
N_TEST_FOLDS, N_SEARCH_FOLDS = 4, 3
# Of the digits, one image in so many has a label that the student may use.
_LABELED_OF = 16


@dataclass(frozen=True)
class Rows:
    """Some images: paths, labels, and which are copies of each other."""

    paths: np.ndarray
    y: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of them."""
        return Rows(self.paths[rows], self.y[rows], self.groups[rows])


@dataclass(frozen=True)
class Images:
    """All images of a run. No image of `test` is in the others.

    Attributes
    ----------
    name : str
        What they show.
    teacher : Rows
        Those on which a teacher is trained.
    student : Rows
        Those on which the students are trained; some may be `UNLABELED`.
    test : Rows
    classes : list of str
    mode : {"RGB", "L"}
    size : int
        Side in pixels, unless another one is asked for.
    digest : str
        Of contents, labels and split.
    """

    name: str
    teacher: Rows
    student: Rows
    test: Rows
    classes: list[str]
    mode: Literal["RGB", "L"]
    size: int
    digest: str

    @property
    def labeled(self) -> np.ndarray:
        """Which of the student's images have a label, bool."""
        return self.student.y != UNLABELED

    def describe(self) -> str:
        """Say in a sentence how many there are of each kind."""
        text = f"{len(self.student):,} images to learn from"
        if not self.labeled.all():
            text += f", {self.labeled.sum():,} of them with a label"
        if self.teacher is not self.student:
            text += f", {len(self.teacher):,} others for the teacher"
        return f"{text}, {len(self.test):,} to test, {len(self.classes)} classes"


def read_folder(
    folder: str | os.PathLike[str],
    test: str | os.PathLike[str] | None,
    search: bool,
    on_error: Literal["raise", "skip"] = "raise",
) -> Images:
    """Load an image folder; hold out a quarter unless there is a folder for the test.

    Raises ValueError for what would make the result worthless.
    """
    photos = load_image_folder(folder, on_error)
    _check_classes(Path(folder), photos)
    rows = Rows(photos.data, photos.target.astype(str), photos.groups)
    if test is None:
        n_folds = N_TEST_FOLDS
        _check_counts(rows, n_folds, f"a test on a quarter of {os.fspath(folder)!r}")
        train, held_out = _split(rows, n_folds)
        rows, held_out_rows = rows.take(train), rows.take(held_out)
    else:
        others = load_image_folder(test, on_error)
        _check_test(photos, others, os.fspath(folder), os.fspath(test))
        held_out_rows = Rows(others.data, others.target.astype(str), others.groups)
    if search:
        _check_counts(rows, N_SEARCH_FOLDS, "a search of three folds")
    of_file = dict(zip(photos.data, photos.sha256, strict=True))
    if test is not None:
        of_file |= dict(zip(others.data, others.sha256, strict=True))
    return Images(
        name=Path(folder).resolve().name,
        teacher=rows,
        student=rows,
        test=held_out_rows,
        classes=[str(name) for name in photos.target_names],
        mode="RGB",
        size=64,
        digest=_digest(of_file, rows, rows, held_out_rows),
    )


def read_digits(root: Path) -> Images:
    """Write scikit-learn's digits below `root`, and let few of them have a label.

    The teacher gets one half of the images with all labels, the student the other half
    with few: it has what many have, a model trained elsewhere and images without
    labels.
    """
    digits = load_digits()
    y = np.array([f"digit_{label}" for label in digits.target])
    rest, test = train_test_split(
        np.arange(len(y)), test_size=0.25, stratify=y, random_state=0
    )
    of_teacher, of_student = train_test_split(
        rest, test_size=0.5, stratify=y[rest], random_state=0
    )
    labeled, _ = train_test_split(
        of_student,
        train_size=len(rest) // _LABELED_OF,
        stratify=y[of_student],
        random_state=0,
    )
    paths = np.array(
        [str(root / label / f"{number:04d}.png") for number, label in enumerate(y)]
    )
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)
    _write_images(root, paths, pixels)
    of_file = {
        path: hashlib.sha256(gray.tobytes()).hexdigest()
        for path, gray in zip(paths, pixels, strict=True)
    }
    numbers = np.arange(len(y))
    known = np.where(np.isin(numbers, labeled), y, UNLABELED)
    teacher = Rows(paths[of_teacher], y[of_teacher], numbers[of_teacher])
    student = Rows(paths[of_student], known[of_student], numbers[of_student])
    tested = Rows(paths[test], y[test], numbers[test])
    return Images(
        "handwritten digits",
        teacher,
        student,
        tested,
        classes=sorted(set(y.tolist())),
        mode="L",
        size=8,
        digest=_digest(of_file, teacher, student, tested),
    )


def _write_images(root: Path, paths: np.ndarray, images: np.ndarray) -> None:
    """Write images below `root`: all of them, or the folder is not there."""
    if root.exists():
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".unfinished-") as folder:
        unfinished = Path(folder) / root.name
        for path, image in zip(paths, images, strict=True):
            own = unfinished / Path(path).relative_to(root)
            own.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(own)
        unfinished.rename(root)


def split_for_search(rows: Rows, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds of a search: rows to train on, and rows to score on."""
    folds = StratifiedGroupKFold(N_SEARCH_FOLDS, shuffle=True, random_state=seed)
    return [*folds.split(rows.paths, rows.y, rows.groups)]


def _split(rows: Rows, n_folds: int) -> tuple[np.ndarray, np.ndarray]:
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    return next(folds.split(rows.paths, rows.y, rows.groups))


def _digest(of_file: dict[str, str], *sets: Rows) -> str:
    found = hashlib.sha256()
    for rows in sets:
        found.update(b"\0set")
        for path, label in zip(rows.paths, rows.y, strict=True):
            found.update(f"\0{of_file[path]} {label}".encode())
    return found.hexdigest()[:16]


def _check_classes(folder: Path, photos: Bunch) -> None:
    if len(photos.target_names) > 1:
        return
    (only,) = photos.target_names
    inner = sorted(
        {
            Path(path).relative_to(folder / str(only)).parts[0]
            for path in map(os.path.abspath, photos.data)
            if len(Path(path).relative_to((folder / str(only)).absolute()).parts) > 1
        }
        if (folder / str(only)).is_dir()
        else set()
    )
    hint = (
        f" If the classes are the folders in it ({', '.join(inner[:4])}), pass "
        f"{str(folder / str(only))!r}."
        if len(inner) > 1
        else ""
    )
    raise ValueError(
        f"{str(folder)!r} has one class, {str(only)!r}: expected two folders of images "
        f"or more, one for each class.{hint}"
    )


def _check_counts(rows: Rows, n_folds: int, what: str) -> None:
    """Raise if a class has fewer different images than there are folds."""
    distinct = {
        (label, group) for label, group in zip(rows.y, rows.groups, strict=True)
    }
    counts = Counter(str(label) for label, _ in distinct)
    rare = {label: n for label, n in sorted(counts.items()) if n < n_folds}
    if rare:
        named = ", ".join(f"{label!r} has {n}" for label, n in [*rare.items()][:5])
        raise ValueError(
            f"Too few different images of a class for {what}: {named}, expected "
            f"{n_folds} or more of each. Add images, or remove the folder of the class."
        )


def _check_test(train: Bunch, test: Bunch, folder: str, test_folder: str) -> None:
    copies = np.flatnonzero(np.isin(test.sha256, train.sha256))
    if copies.size:
        first = str(test.data[copies[0]])
        raise ValueError(
            f"{copies.size} of the {len(test.data)} images of {test_folder!r} are also "
            f"in {folder!r}, the first is {first!r}: a test on them "
            "proves nothing. Remove them from one of the folders; `skkd check-folder "
            f"{test_folder} --against {folder}` lists them."
        )
    unknown = sorted(set(map(str, test.target)) - set(map(str, train.target)))
    if unknown:
        raise ValueError(
            f"{test_folder!r} has classes that {folder!r} lacks ({unknown[:5]}): "
            "expected the same folders in both."
        )
