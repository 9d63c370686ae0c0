"""The networks of a run, trained one after the other; a finished one is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline

from skkd._safe_file import load_student, save_student
from skkd.images import ImageReader
from skkd.quickstart._frozen import fit_head, read_features
from skkd.quickstart._images import UNLABELED
from skkd.quickstart._pixels import read_pixels
from skkd.quickstart._plan import Plan
from skkd.quickstart._progress import Progress, TellEpochs
from skkd.quickstart._settings import RunFolder


class Training:
    """Trains teacher and students of a plan, and keeps them in a folder."""

    def __init__(self, plan: Plan, folder: RunFolder, progress: Progress) -> None:
        self.plan = plan
        self.folder = folder
        self.progress = progress
        self.images = plan.images

    # The teacher ----------------------------------------------------------------------

    @cached_property
    def teacher(self) -> Any:
        """The fitted teacher, without its reader; None of its rows is of the test."""
        if self.plan.teacher.fitted is not None:
            return self.plan.teacher.fitted
        return self.kept("teacher", self.plan.teacher.reader, self._fit_teacher)[-1]

    def teacher_of_fold(self, number: int, train: np.ndarray) -> Any:
        """Return a teacher that was not trained on the other rows of the student."""
        teacher = self.plan.teacher
        if teacher.fitted is not None or self.images.teacher is not self.images.student:
            return self.teacher
        before = f"teacher of fold {number + 1}, "
        return self.kept(
            f".skkd/teacher-{number}",
            teacher.reader,
            lambda: self._fit_teacher(train, before),
        )[-1]

    def _fit_teacher(self, rows: np.ndarray | None = None, before: str = "") -> Any:
        """Return the network of the plan, fitted to all of its rows, or some."""
        if rows is None:
            self.progress.step("teacher")
            rows = np.arange(len(self.images.teacher))
        network = self.plan.teacher.network
        assert network is not None
        y, seed = self.images.teacher.y[rows], self.plan.settings.seed
        if self.plan.teacher.is_frozen:
            self.progress.tell(f"{before}head")
            return fit_head(
                network, self._images_of_teacher[rows], self._features[rows], y, seed
            )
        show = [TellEpochs(self.progress, before)]
        net = network.estimator(self.plan.settings.epochs, len(y), seed, show)
        return net.fit(self._images_of_teacher[rows], y)

    @cached_property
    def _images_of_teacher(self) -> Any:
        """The images that the teacher is fitted to, as it takes them."""
        if self.images.teacher is self.images.student:
            return self.X if self.teacher_X is None else self.teacher_X
        return self._pixels(self.plan.teacher.reader, self.images.teacher.paths)

    @cached_property
    def _features(self) -> np.ndarray:
        """What a frozen network makes of these images: the same for all heads."""
        network = self.plan.teacher.network
        assert network is not None
        return read_features(
            network, self._images_of_teacher, self.images.classes, self.progress
        )

    # The students ---------------------------------------------------------------------

    @cached_property
    def X(self) -> Any:
        """The images of the students."""
        return self._pixels(self.plan.reader, self.images.student.paths)

    @cached_property
    def teacher_X(self) -> Any:
        """The same as the teacher takes them; None if it takes them as they are."""
        if not self.plan.has_own_images:
            return None
        return self._pixels(self.plan.teacher.reader, self.images.student.paths)

    def plain(self) -> Pipeline:
        """Return the student without a teacher."""
        return self.kept("plain", self.plan.reader, self._fit_plain)

    def distilled(self, params: dict[str, float]) -> Pipeline:
        """Return the student with its teacher."""

        def fit() -> Any:
            teacher = self.teacher
            self.progress.step("distilled student")
            return self.distill(teacher, params)

        return self.kept("student", self.plan.reader, fit)

    def _fit_plain(self) -> Any:
        """Return the student, fitted to the labels in as many steps as the other."""
        labeled = np.flatnonzero(self.images.labeled)
        y, settings = self.images.student.y, self.plan.settings
        epochs = round(settings.epochs * len(y) / len(labeled))
        X = self.X[labeled] if len(labeled) < len(y) else self.X
        self.progress.step("plain student")
        show = [TellEpochs(self.progress)]
        net = self.plan.student.estimator(epochs, len(labeled), settings.seed, show)
        return net.fit(X, y[labeled])

    def distill(
        self,
        teacher: Any,
        params: dict[str, float],
        rows: np.ndarray | None = None,
        before: str = "",
    ) -> Any:
        """Return the student, taught by the teacher on all of its rows, or some."""
        X, teacher_X, y = self.X, self.teacher_X, self.images.student.y
        if rows is not None:
            X, y = X[rows], y[rows]
            teacher_X = None if teacher_X is None else teacher_X[rows]
        settings = self.plan.settings
        net = self.plan.student.estimator(
            settings.epochs,
            len(y),
            settings.seed,
            [TellEpochs(self.progress, before)],
            teacher=teacher,
            unlabeled=None if self.images.labeled.all() else UNLABELED,
            **params,
        )
        return net.fit(X, y, teacher_X=teacher_X)

    # Both -----------------------------------------------------------------------------

    def kept(self, name: str, reader: ImageReader, fit: Callable[[], Any]) -> Pipeline:
        """Return a pipeline that was finished before, or fit, keep and return it."""
        path = self.folder.path / f"{name}.safetensors"
        if path.exists():
            self.progress.step(name, f"finished before: {path.name}")
        else:
            save_student(make_pipeline(reader, fit()), path)
        return load_student(path)

    def _pixels(self, reader: ImageReader, paths: np.ndarray) -> Any:
        return read_pixels(reader, paths, self.folder.work / "images", self.progress)
