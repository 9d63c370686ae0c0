"""After the training: the networks are compared, and everything is written."""

from __future__ import annotations

import datetime
from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline

from skkd.quickstart import _files
from skkd.quickstart._outcome import Outcome, plain_measures
from skkd.quickstart._plan import Plan
from skkd.quickstart._progress import Progress
from skkd.quickstart._settings import RunFolder
from skkd.report import compare

_N_PROOF = 64  # images on which the ONNX file is proved


def measure(
    plan: Plan,
    teacher: Any,
    students: dict[str, Pipeline],
    params: dict[str, float],
    notes: list[str],
    folder: RunFolder,
    progress: Progress,
) -> Outcome:
    """Compare teacher and students on the images of the test, and write all files."""
    progress.step("measuring", "accuracy, size and speed of the three")
    test = plan.images.test
    result = compare(
        {"teacher": make_pipeline(plan.teacher.reader, teacher), **students},
        test.paths,
        test.y,
        groups=test.groups,
        # A network that was trained here saw none of them; of a file who knows?
        teacher_saw=None if plan.teacher.fitted is not None else "other rows",
    )
    progress.step("writing")
    files = _files.write_all(
        result,
        students["distilled"],
        folder.path,
        _facts(plan, params),
        plan.images.student.paths[:_N_PROOF],
    )
    about = plan.images.describe()
    return Outcome(
        verdict=result.sentence("distilled", "plain"),
        about=f"{about[0].upper()}{about[1:]}. Teacher: {plan.teacher.described}.",
        chosen=params,
        measures=plain_measures(result),
        caveat=result.caveat,
        files=files,
        notes=notes,
    )


def _facts(plan: Plan, params: dict[str, float]) -> dict[str, str]:
    """Return what page and card say beside the figures."""
    settings = plan.settings
    training = ", ".join(f"{name} {value:g}" for name, value in params.items())
    return {
        "title": f"{settings.student} on {plan.images.name}: distilled and plain",
        "Images": plan.images.describe(),
        "Student": f"{settings.student}, {settings.size} pixels a side",
        "Teacher": plan.teacher.described,
        "Training": f"{training}, {settings.epochs} epochs, seed {settings.seed}",
        "Date": datetime.date.today().isoformat(),
    }
