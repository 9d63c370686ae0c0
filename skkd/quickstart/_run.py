"""One run: everything is checked, trained, compared and written, in this order."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from sklearn.pipeline import Pipeline, make_pipeline

from skkd._safe_file import load_student, save_student
from skkd._version import __version__
from skkd.images import ImageReader
from skkd.quickstart import _files
from skkd.quickstart._images import UNLABELED, read_digits, read_folder
from skkd.quickstart._networks import (
    TeacherPlan,
    check_teacher,
    student_of,
    teacher_of,
)
from skkd.quickstart._outcome import Outcome, plain_measures
from skkd.quickstart._progress import Progress, TellEpochs
from skkd.quickstart._search import Search
from skkd.quickstart._settings import RunFolder, Settings
from skkd.quickstart._threads import choose_threads, using_threads
from skkd.report import compare

# A network as a teacher is sure of itself, and worth more when it is softened.
_TEMPERATURE, _ALPHA = 4.0, 0.9
# Images that are decoded at once, between two words of progress.
_PIECE = 256
_IN_MEMORY = 2**30  # bytes of decoded images; more stay in their files
_N_PROOF = 64


class Run:
    """The state of one run."""

    def __init__(
        self, settings: dict[str, Any], folder: RunFolder, progress: Progress
    ) -> None:
        self.asked = settings
        self.folder = folder
        self.progress = progress

    def __call__(self) -> Outcome:
        """Do it all, or what is not done yet."""
        self.progress.step("checking", "the output folder")
        self.student = student_of(self.asked["student"])
        self.folder.check()
        try:
            with FileLock(self.folder.work / "lock", timeout=0):
                try:
                    return self._alone()
                finally:
                    self.folder.leave()
        except Timeout:
            raise ValueError(
                f"Another process is at work in out={str(self.folder.path)!r}: wait "
                "for it, or pass another folder."
            ) from None

    def _alone(self) -> Outcome:
        self._check()
        done = self.folder.work / "outcome.json"
        missing = _files.describe_missing()
        if done.exists():
            outcome = Outcome(**self.folder.read_json(done))
            there = all(Path(path).exists() for path in outcome.files.values())
            if there and outcome.notes == missing:
                return outcome
        with using_threads(self.n_threads):
            models, chosen = self._train()
            outcome = self._measure(models, chosen, missing)
        self.folder.write_json(done, outcome.to_dict())
        return outcome

    # Before training ------------------------------------------------------------------

    def _check(self) -> None:
        asked = self.asked
        self.progress.step("reading images")
        if asked["folder"] is None:
            self.images = read_digits(self.folder.path / "digits")
        else:
            self.images = read_folder(
                *(asked[k] for k in ("folder", "test", "search", "on_error"))
            )
        size = asked["size"] or self.images.size
        self.reader = ImageReader(size, self.images.mode)
        self.progress.step("checking", "the teacher")
        self.plan: TeacherPlan = teacher_of(asked["teacher"], self.reader)
        if asked["folder"] is None and self.plan.fitted is not None:
            raise ValueError(
                f"teacher={asked['teacher']!r} is a file, and there is no folder of "
                "images: expected both, since the digits have a teacher of their own."
            )
        check_teacher(
            self.plan, self.images.student.paths[:2].tolist(), self.images.classes
        )
        shape = ({"RGB": 3, "L": 1}[self.images.mode], size, size)
        n_classes = len(self.images.classes)
        self.student.build(n_classes, shape)  # raises for a shape it cannot take
        self.folder.open(
            Settings(
                **{k: _text(asked[k]) for k in ("folder", "test", "teacher")},
                student=asked["student"],
                size=size,
                epochs=asked["epochs"],
                search=asked["search"],
                seed=asked["seed"],
                images=self.images.digest,
                version=__version__,
            )
        )
        self.n_threads = self._choose_threads(n_classes, shape)

    def _choose_threads(self, n_classes: int, shape: Sequence[int]) -> int:
        """Measure once for a run: sums depend on it in their last digits."""
        kept = self.folder.work / "threads.json"
        if not kept.exists():
            self.progress.step("checking", "how many threads are fastest")
            network = self.plan.network or self.student
            batch = torch.zeros(16, *shape, dtype=torch.uint8)
            module = network.build(n_classes, shape)
            self.folder.write_json(kept, choose_threads(module, batch, n_classes))
        return int(self.folder.read_json(kept))

    # Training -------------------------------------------------------------------------

    def _train(self) -> tuple[dict[str, Pipeline], dict[str, float]]:
        asked, images = self.asked, self.images
        X = self.pixels(self.reader, images.student.paths)
        teacher = self._teacher()
        plain = self.kept("plain", self.reader, lambda: self._plain(X))
        X_teacher = self._inputs_of_teacher(X)
        chosen = {"temperature": _TEMPERATURE, "alpha": _ALPHA}
        if asked["search"]:
            chosen = Search(self, X, X_teacher, teacher).choose()
        distilled = self.kept(
            "student",
            self.reader,
            lambda: self.distill(X, X_teacher, teacher, chosen),
        )
        pipeline = make_pipeline(self.plan.reader, teacher)
        return {"teacher": pipeline, "distilled": distilled, "plain": plain}, chosen

    def _teacher(self) -> Any:
        """Return the fitted teacher, without its reader."""
        if self.plan.fitted is not None:
            return self.plan.fitted
        rows = self.images.teacher
        reader = self.plan.reader

        def train() -> Any:
            return self.train_teacher(self.pixels(reader, rows.paths), rows.y)

        return self.kept("teacher", reader, train)[-1]

    def train_teacher(self, X: Any, y: np.ndarray, before: str = "") -> Any:
        """Return the network of the plan, fitted."""
        assert self.plan.network is not None
        if not before:
            self.progress.step("teacher")
        show = [TellEpochs(self.progress, before)]
        net = self.plan.network.estimator(
            self.asked["epochs"], len(y), self.asked["seed"], show
        )
        return net.fit(X, y)

    def _plain(self, X: Any) -> Any:
        """Return the student without a teacher, after as many steps as the other."""
        self.progress.step("plain student")
        labeled = np.flatnonzero(self.images.labeled)
        y = self.images.student.y
        epochs = round(self.asked["epochs"] * len(y) / len(labeled))
        net = self.student.estimator(
            epochs, len(labeled), self.asked["seed"], [TellEpochs(self.progress)]
        )
        return net.fit(X[labeled] if len(labeled) < len(y) else X, y[labeled])

    def distill(
        self,
        X: Any,
        X_teacher: Any,
        teacher: Any,
        params: dict[str, float],
        rows: np.ndarray | None = None,
        before: str = "",
    ) -> Any:
        """Return the student, taught by the teacher on some of the rows, or all."""
        if rows is None:
            self.progress.step("distilled student")
        y = self.images.student.y
        if rows is not None:
            X, y = X[rows], y[rows]
            X_teacher = None if X_teacher is None else X_teacher[rows]
        net = self.student.estimator(
            self.asked["epochs"],
            len(y),
            self.asked["seed"],
            [TellEpochs(self.progress, before)],
            teacher=teacher,
            unlabeled=None if self.images.labeled.all() else UNLABELED,
            **params,
        )
        return net.fit(X, y, teacher_X=X_teacher)

    def kept(self, name: str, reader: ImageReader, train: Any) -> Pipeline:
        """Return a pipeline that was finished before, or train, keep and return it."""
        path = self.folder.path / f"{name}.safetensors"
        if path.exists():
            self.progress.step(name, f"finished before: {path.name}")
        else:
            save_student(make_pipeline(reader, train()), path)
        return load_student(path)

    def pixels(self, reader: ImageReader, paths: np.ndarray) -> Any:
        """Return the images of some paths; decoded ones are kept, for the next run."""
        side = reader.size if isinstance(reader.size, int) else max(reader.size)
        lazy = 3 * side**2 * len(paths) > _IN_MEMORY
        cached = ImageReader(
            reader.size,
            reader.mode,
            n_jobs=-1,
            memory=self.folder.work / "images",
            levels=reader.levels,
        )
        parts = []
        for start in range(0, len(paths), _PIECE):
            self.progress.tell(f"image {start + 1:,} of {len(paths):,}")
            part = cached.transform(paths[start : start + _PIECE])
            if not lazy:
                parts.append(part)
        if lazy:
            return cached.set_params(lazy=True).transform(paths)
        return np.concatenate(parts)

    def _inputs_of_teacher(self, X: Any) -> Any:
        """Return the student's images as the teacher takes them; None for the same."""
        own, plan = self.reader.get_params(), self.plan.reader.get_params()
        if own == plan:
            return None
        return self.pixels(self.plan.reader, self.images.student.paths)

    # Afterwards -----------------------------------------------------------------------

    def _measure(
        self,
        models: dict[str, Pipeline],
        chosen: dict[str, float],
        notes: list[str],
    ) -> Outcome:
        self.progress.step("measuring", "accuracy, size and speed of the three")
        test = self.images.test
        result = compare(
            models,
            test.paths,
            test.y,
            groups=test.groups,
            # A network that was trained here saw none of them; of a file who knows?
            teacher_saw=None if self.plan.fitted is not None else "other rows",
        )
        self.progress.step("writing")
        verdict = result.sentence("distilled", "plain")
        about = self.images.describe()
        facts = self._facts(about, chosen)
        paths = self.images.student.paths[:_N_PROOF]
        student = models["distilled"]
        files = _files.write_all(result, student, self.folder.path, facts, paths)
        return Outcome(
            verdict,
            f"{about[0].upper()}{about[1:]}.",
            chosen,
            plain_measures(result),
            caveat=result.caveat,
            files=files,
            notes=notes,
        )

    def _facts(self, about: str, chosen: dict[str, float]) -> dict[str, str]:
        asked = self.asked
        training = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
        return {
            "title": f"{asked['student']} on {self.images.name}: distilled and plain",
            "Images": about,
            "Student": f"{asked['student']}, {self.reader.size} pixels a side",
            "Teacher": self.plan.named,
            "Training": f"{training}, {asked['epochs']} epochs, seed {asked['seed']}",
            "Date": datetime.date.today().isoformat(),
        }


def _text(value: Any) -> str:
    """Return a path as it is stored: the same from any folder."""
    if value is None:
        return ""
    text = os.fspath(value)
    path = Path(text).expanduser()
    return str(path.resolve()) if path.exists() else text
