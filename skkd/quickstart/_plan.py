"""What a run is going to do: everything that can be wrong is found out here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from skkd._version import __version__
from skkd.images import ImageReader
from skkd.quickstart._images import Images, read_digits, read_folder
from skkd.quickstart._networks import (
    EPOCHS,
    NARROW,
    SMALL_CNN,
    Network,
    enough_epochs,
    student_of,
)
from skkd.quickstart._progress import Progress
from skkd.quickstart._settings import RunFolder, Settings
from skkd.quickstart._teachers import (
    PRETRAINED,
    TeacherPlan,
    check_teacher,
    default_teacher,
    teacher_of,
)
from skkd.quickstart._threads import choose_threads

_N_CHANNELS = {"RGB": 3, "L": 1}


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes
    ----------
    images : Images
    student : Network
    reader : ImageReader
        Makes the student's images.
    teacher : TeacherPlan
    settings : Settings
        As they are stored in the folder of the run.
    """

    images: Images
    student: Network
    reader: ImageReader
    teacher: TeacherPlan
    settings: Settings

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of one image of the student, (C, H, W)."""
        size = self.settings.size
        return _N_CHANNELS[self.images.mode], size, size

    @property
    def has_own_images(self) -> bool:
        """Whether the teacher takes the images of another reader than the student."""
        return self.teacher.reader.get_params() != self.reader.get_params()


def make_plan(asked: dict[str, Any], folder: RunFolder, progress: Progress) -> Plan:
    """Read the images, and check everything that was asked for."""
    progress.step("reading images")
    if asked["folder"] is None:
        images = read_digits(folder.path / "digits")
    else:
        images = read_folder(
            *(asked[name] for name in ("folder", "test", "search", "on_error"))
        )
    size = asked["size"] or images.size
    reader = ImageReader(size, images.mode)
    name = choose_teacher(asked, folder)
    progress.step("checking", f"the teacher, {name}")
    teacher = teacher_of(name, reader)
    if asked["folder"] is None and teacher.fitted is not None:
        raise ValueError(
            f"teacher={asked['teacher']!r} is a file, and there is no folder of "
            "images: expected both, since the digits have a teacher of their own."
        )
    student_name = _choose_student(asked, teacher)
    student = student_of(student_name)
    check_teacher(teacher, images.student.paths[:2].tolist(), images.classes)
    settings = Settings(
        **{key: _text(asked[key]) for key in ("folder", "test")},
        teacher=_text(name),
        student=student_name,
        size=size,
        epochs=asked["epochs"] or _choose_epochs(asked, images),
        search=asked["search"],
        seed=asked["seed"],
        images=images.digest,
        version=__version__,
    )
    plan = Plan(images, student, reader, teacher, settings)
    student.build(len(images.classes), plan.input_shape)  # raises if it is too small
    return plan


def _choose_student(asked: dict[str, Any], teacher: TeacherPlan) -> str:
    """Return the name of the student; a pretrained teacher has a wider one."""
    if asked["student"] != "auto":
        return asked["student"]
    return SMALL_CNN if teacher.is_frozen else NARROW


def _choose_epochs(asked: dict[str, Any], images: Images) -> int:
    # The digits show in half a minute what a teacher is worth.
    return EPOCHS if asked["folder"] is None else enough_epochs(len(images.student))


def choose_teacher(asked: dict[str, Any], folder: RunFolder) -> str:
    """Return the name of the teacher; "auto" means the one of an earlier run first."""
    name = os.fspath(asked["teacher"])
    if name != "auto":
        return name
    known = folder.known_settings().get("teacher")
    if known in ("train", *PRETRAINED):
        return known
    # The digits of 8 x 8 pixels are nothing that a network for photographs knows.
    return "train" if asked["folder"] is None else default_teacher()


def count_threads(plan: Plan, folder: RunFolder, progress: Progress) -> int:
    """Measure once for a run: sums depend on it in their last digits."""
    kept = folder.work / "threads.json"
    if not kept.exists():
        progress.step("checking", "how many threads are fastest")
        network = plan.teacher.network
        if network is None or plan.teacher.is_frozen:
            network = plan.student
        batch = torch.zeros(16, *plan.input_shape, dtype=torch.uint8)
        n_classes = len(plan.images.classes)
        module = network.build(n_classes, plan.input_shape)
        folder.write_json(kept, choose_threads(module, batch, n_classes))
    return int(folder.read_json(kept))


def _text(value: Any) -> str:
    """Return a path as it is stored: the same from any folder."""
    if value is None:
        return ""
    text = os.fspath(value)
    path = Path(text).expanduser()
    return str(path.resolve()) if path.exists() else text
