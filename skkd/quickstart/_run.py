"""One run: everything is checked, trained, compared and written, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skkd.quickstart import _files
from skkd.quickstart._measure import measure
from skkd.quickstart._networks import student_of
from skkd.quickstart._outcome import Outcome
from skkd.quickstart._plan import count_threads, make_plan
from skkd.quickstart._progress import Progress
from skkd.quickstart._search import Search
from skkd.quickstart._settings import RunFolder
from skkd.quickstart._threads import using_threads
from skkd.quickstart._training import Training

# A network as a teacher is sure of itself, and worth more when it is softened.
_TEMPERATURE, _ALPHA = 4.0, 0.9


def run(asked: dict[str, Any], folder: RunFolder, progress: Progress) -> Outcome:
    """Do all that was asked for, or what of it is not done yet."""
    progress.step("checking", "the output folder")
    if asked["student"] != "auto":
        student_of(asked["student"])  # raises before anything is made
    folder.check(asked["folder"], asked["test"])
    try:
        with FileLock(folder.work / "lock", timeout=0):
            try:
                folder.clear()
                return _run_alone(asked, folder, progress)
            finally:
                folder.leave()
    except Timeout:
        raise ValueError(
            f"Another process is at work in out={str(folder.path)!r}: wait for it, or "
            "pass another folder."
        ) from None


def _run_alone(asked: dict[str, Any], folder: RunFolder, progress: Progress) -> Outcome:
    plan = make_plan(asked, folder, progress)
    folder.open(plan.settings)
    done = folder.work / "outcome.json"
    missing = _files.describe_missing()
    if done.exists():
        outcome = Outcome(**folder.read_json(done))
        there = all(Path(path).exists() for path in outcome.files.values())
        if there and outcome.notes == missing:
            return outcome
    with using_threads(count_threads(plan, folder, progress)):
        training = Training(plan, folder, progress)
        teacher, plain = training.teacher, training.plain()
        params = {"temperature": _TEMPERATURE, "alpha": _ALPHA}
        if plan.settings.search:
            params = Search(training).choose()
        students = {"distilled": training.distilled(params), "plain": plain}
        outcome = measure(plan, teacher, students, params, missing, folder, progress)
    folder.write_json(done, outcome.to_dict())
    return outcome
