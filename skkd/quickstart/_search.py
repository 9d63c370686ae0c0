"""The search for temperature and alpha, fit by fit: each one is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from skkd.quickstart._images import split_for_search

if TYPE_CHECKING:
    from skkd.quickstart._run import Run

GRID = ParameterGrid(
    [
        {"alpha": [0.0], "temperature": [1.0]},  # without the teacher, maybe the best
        {"alpha": [0.5, 0.9], "temperature": [1.0, 4.0]},
    ]
)


class Search:
    """Cross-validation in which no teacher knows the rows that are scored.

    A teacher that is trained here is trained in each fold, without the fold's rows. The
    scores are lines of a file, so that a search that was killed goes on: this is what
    :class:`skkd.search.PackedSearchCV`, which trains convolutions one by one as well,
    would forget.
    """

    def __init__(self, run: Run, X: Any, X_teacher: Any, teacher: Any) -> None:
        self.run = run
        self.X, self.X_teacher = X, X_teacher
        self.teacher = teacher
        self.file = run.folder.work / "search.jsonl"

    def choose(self) -> dict[str, float]:
        """Return the parameters with the best mean accuracy."""
        images, run = self.run.images, self.run
        run.progress.step("search")
        folds = split_for_search(images.student, run.asked["seed"])
        n_fits = len(folds) * len(GRID)
        scores = self._known()
        for i, (train, held_out) in enumerate(folds):
            todo = [k for k in range(len(GRID)) if (i, k) not in scores]
            if not todo:
                continue
            teacher = self._teacher_of(i, train)
            for k in todo:
                before = f"fit {i * len(GRID) + k + 1} of {n_fits}, "
                student = run.distill(
                    self.X, self.X_teacher, teacher, GRID[k], train, before
                )
                known = held_out[images.labeled[held_out]]
                right = student.predict(self.X[known]) == images.student.y[known]
                scores[i, k] = float(np.mean(right))
                self._keep(i, k, scores[i, k])
        mean = [
            np.mean([scores[i, k] for i in range(len(folds))]) for k in range(len(GRID))
        ]
        return {
            name: float(value) for name, value in GRID[int(np.argmax(mean))].items()
        }

    def _teacher_of(self, fold: int, train: np.ndarray) -> Any:
        """Return a teacher that was not trained on the rows of the fold."""
        run, images = self.run, self.run.images
        if run.plan.fitted is not None or images.teacher is not images.student:
            return self.teacher
        X = self.X if self.X_teacher is None else self.X_teacher
        name = f".skkd/teacher-{fold}"
        return run.kept(
            name,
            run.plan.reader,
            lambda: run.train_teacher(
                X[train], images.teacher.y[train], f"teacher of fold {fold + 1}, "
            ),
        )[-1]

    def _known(self) -> dict[tuple[int, int], float]:
        """Read the scores; a line that was cut by a kill is trained again."""
        scores = {}
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                try:
                    fold, candidate, score = json.loads(line)
                except ValueError:
                    continue
                scores[fold, candidate] = score
        return scores

    def _keep(self, fold: int, candidate: int, score: float) -> None:
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps([fold, candidate, score])}\n")
