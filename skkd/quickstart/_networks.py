"""The networks of a run: student and teacher, as names on the command line ask."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR

from skkd._estimator.classifier import DistilledClassifier
from skkd._formats.onnx_metadata import KEY, read_metadata
from skkd._safe_file import load_student
from skkd.images import ImageReader
from skkd.students import MLP, CifarResNet, SmallCNN, torchvision_model
from skkd.teachers import as_teacher

# Steps count where images are few, rows per second where they are many.
_FEW, _SMALL_BATCH, _BATCH = 1000, 16, 64
_TORCHVISION = "torchvision:"
_TORCHVISION_SIDE = 224
STUDENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SmallCNN": (SmallCNN, {"module__width": 4, "lr": 1e-2}),
    "CifarResNet": (CifarResNet, {"module__depth": 8, "lr": 1e-2}),
    "MLP": (MLP, {"lr": 1e-3}),
}
_TEACHER = (SmallCNN, {"module__width": 16, "lr": 3e-3})


@dataclass(frozen=True)
class Network:
    """A network that can be built: its class, and what it is trained with."""

    module: Any
    params: dict[str, Any] = field(default_factory=dict)

    def estimator(
        self, epochs: int, n_rows: int, seed: int, show: Sequence[Any] = (), **more: Any
    ) -> DistilledClassifier:
        """Return it, not fitted, with a learning rate that falls to 0."""
        schedule = LRScheduler(CosineAnnealingLR, T_max=epochs)
        return DistilledClassifier(
            self.module,
            max_epochs=epochs,
            batch_size=_SMALL_BATCH if n_rows < _FEW else _BATCH,
            callbacks=[schedule, *show],
            random_state=seed,
            **(self.params | more),
        )

    def build(self, n_classes: int, input_shape: Sequence[int]) -> Any:
        """Return the module by itself."""
        params = {
            name.removeprefix("module__"): value
            for name, value in self.params.items()
            if name.startswith("module__")
        }
        return self.module(n_classes=n_classes, input_shape=input_shape, **params)


@dataclass(frozen=True)
class TeacherPlan:
    """A teacher: a network that is to be trained, or one that is fitted.

    ``reader`` makes its inputs of paths.
    """

    reader: ImageReader
    network: Network | None = None
    fitted: Any = None
    named: str = ""


def student_of(name: str) -> Network:
    """Return the student of this name."""
    if name.startswith(_TORCHVISION):
        return Network(
            torchvision_model,
            {"module__name": name.removeprefix(_TORCHVISION), "lr": 1e-3},
        )
    if name not in STUDENTS:
        raise ValueError(
            f"student={name!r}: expected one of {', '.join(STUDENTS)}, or "
            "torchvision:NAME, such as torchvision:mobilenet_v3_small."
        )
    return Network(*STUDENTS[name])


def teacher_of(name: str | os.PathLike[str], reader: ImageReader) -> TeacherPlan:
    """Return the teacher of this name; `reader` is that of the student.

    "train" is a wide network, "torchvision:NAME" a pretrained one whose head is
    trained, with "torchvision:NAME:FILE" from a file of weights, anything else a file.
    """
    name = os.fspath(name)
    if name == "train":
        return TeacherPlan(reader, Network(*_TEACHER), named="a wide SmallCNN")
    if name.startswith(_TORCHVISION):
        network_name, _, weights = name.removeprefix(_TORCHVISION).partition(":")
        params = {
            "module__name": network_name,
            "module__weights": weights or "DEFAULT",
            "module__freeze": True,
            "lr": 1e-3,
        }
        network = Network(torchvision_model, params)
        network.build(2, (3, _TORCHVISION_SIDE, _TORCHVISION_SIDE))  # downloads
        return TeacherPlan(ImageReader(_TORCHVISION_SIDE), network, named=name)
    path = Path(name).expanduser()
    kinds: dict[str, Callable[..., TeacherPlan]] = {
        ".safetensors": _from_safe_file,
        ".onnx": _from_onnx,
    }
    if path.suffix not in kinds:
        raise ValueError(
            f"teacher={name!r}: expected 'train', torchvision:NAME, or a file "
            "*.safetensors, which skkd.save_student writes, or *.onnx. Files of pickle "
            "(.pt, .pkl, .joblib) run code of their own: load one in Python, and pass "
            "it to skkd.DistilledClassifier(teacher=...)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"teacher={name!r}: there is no such file.")
    return kinds[path.suffix](path, reader)


def check_teacher(plan: TeacherPlan, paths: Sequence[str], classes: list[str]) -> None:
    """Raise unless a fitted teacher answers about images, in these classes."""
    if plan.fitted is None:
        return
    adapter = as_teacher(plan.fitted)
    adapter.check(classes)
    adapter.logits(plan.reader.transform(list(paths)), classes)


def _from_safe_file(path: Path, reader: ImageReader) -> TeacherPlan:
    loaded = load_student(path)
    if isinstance(loaded, Pipeline):
        first = loaded[0]
        if not isinstance(first, ImageReader) or len(loaded) != 2:
            steps = [type(step).__name__ for _, step in loaded.steps]
            raise ValueError(
                f"teacher={str(path)!r} is a pipeline of {steps}: expected one of "
                "images, ImageReader and a network."
            )
        return TeacherPlan(first, fitted=loaded[1], named=path.name)
    return TeacherPlan(reader, fitted=loaded, named=path.name)


def _from_onnx(path: Path, reader: ImageReader) -> TeacherPlan:
    teacher = as_teacher(str(path))
    metadata = teacher.model.session.get_modelmeta().custom_metadata_map
    if KEY in metadata:
        said = read_metadata(metadata, str(path))
        teacher = as_teacher(str(path), classes=said.classes)
        if said.image is not None:
            image: Any = said.image
            reader = ImageReader(image.size, image.mode, levels=image.levels)
    return TeacherPlan(reader, fitted=teacher, named=path.name)
