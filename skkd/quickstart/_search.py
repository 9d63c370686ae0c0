"""The search for temperature and alpha, fit by fit: each one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import ParameterGrid

from skkd._utils.disk_errors import disk_errors
from skkd._utils.records import sealed, unsealed
from skkd.quickstart._images import split_for_search

if TYPE_CHECKING:
    from skkd.quickstart._training import Training

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

    def __init__(self, training: Training) -> None:
        self.training = training
        self.file = training.folder.work / "search.jsonl"

    def choose(self) -> dict[str, float]:
        """Return the parameters with the best mean accuracy."""
        training = self.training
        rows, labeled = training.images.student, training.images.labeled
        folds = split_for_search(rows, training.plan.settings.seed)
        n_fits = len(folds) * len(GRID)
        training.progress.step("search")
        scores = self._known()
        for i, (train, held_out) in enumerate(folds):
            todo = [k for k in range(len(GRID)) if (i, k) not in scores]
            if not todo:
                continue
            teacher = training.teacher_of_fold(i, train)
            for k in todo:
                before = f"fit {i * len(GRID) + k + 1} of {n_fits}, "
                student = training.distill(teacher, GRID[k], train, before)
                known = held_out[labeled[held_out]]
                right = student.predict(training.X[known]) == rows.y[known]
                scores[i, k] = float(np.mean(right))
                self._keep(i, k, scores[i, k])
        mean = [
            np.mean([scores[i, k] for i in range(len(folds))]) for k in range(len(GRID))
        ]
        return {
            name: float(value) for name, value in GRID[int(np.argmax(mean))].items()
        }

    def _known(self) -> dict[tuple[int, int], float]:
        """Read the scores; a line that was cut by a kill is trained again."""
        scores = {}
        if self.file.exists():
            for line in self.file.read_text("utf-8", errors="replace").splitlines():
                try:
                    record = unsealed(line)
                except ValueError:
                    continue
                scores[record["fold"], record["candidate"]] = record["score"]
        return scores

    def _keep(self, fold: int, candidate: int, score: float) -> None:
        record = {"fold": fold, "candidate": candidate, "score": score}
        remedy = "Free some space there; the same call then goes on."
        with (
            disk_errors(f"{str(self.file)!r} cannot be written", remedy),
            open(self.file, "a", encoding="utf-8") as file,
        ):
            file.write(f"\n{sealed(record)}")
