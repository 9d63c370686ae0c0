"""The teachers of a run, by the names of the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from skkd._formats.onnx_metadata import KEY, read_metadata
from skkd._safe_file import load_student
from skkd.images import ImageReader
from skkd.quickstart._networks import TORCHVISION, Network, small_cnn
from skkd.students import EfficientNetLite, torchvision_model
from skkd.students.efficientnet_lite import LITE, is_installed
from skkd.teachers import as_teacher

# Taken by itself where its weights are installed; the first one that is.
PRETRAINED = ("efficientnet_lite0", "efficientnet_lite2")


@dataclass(frozen=True)
class TeacherPlan:
    """A teacher: a network that is to be trained, or one that is fitted.

    Attributes
    ----------
    reader : ImageReader
        Makes its inputs of paths.
    network : Network or None
        What is trained.
    is_frozen : bool
        Whether of that network the head alone is fitted.
    fitted : object or None
        What is fitted already.
    described : str
        For page and card.
    """

    reader: ImageReader
    network: Network | None = None
    is_frozen: bool = False
    fitted: Any = None
    described: str = ""


def default_teacher() -> str:
    """Return the name of a pretrained network that is installed, or "train"."""
    return next((name for name in PRETRAINED if is_installed(name)), "train")


def teacher_of(name: str, reader: ImageReader) -> TeacherPlan:
    """Return the teacher of this name; `reader` is that of the student.

    "train" is a wide network, "efficientnet_lite0" and "torchvision:NAME" are
    pretrained ones that get a head, with "torchvision:NAME:FILE" from a file of
    weights; anything else is a file.
    """
    if name == "train":
        described = "a wide SmallCNN, trained here"
        return TeacherPlan(reader, small_cnn(), described=described)
    if name in LITE:
        params = {"module__name": name, "module__weights": "installed"}
        return _pretrained(Network(EfficientNetLite, params), LITE[name].size, name)
    if name.startswith(TORCHVISION):
        return _of_torchvision(name)
    path = Path(name).expanduser()
    kinds: dict[str, Callable[..., TeacherPlan]] = {
        ".safetensors": _from_safe_file,
        ".onnx": _from_onnx,
    }
    if path.suffix not in kinds:
        raise ValueError(
            f"teacher={name!r}: expected 'train', {', '.join(map(repr, LITE))}, "
            "torchvision:NAME, or a file *.safetensors, which skkd.save_student "
            "writes, or *.onnx. Files of pickle (.pt, .pkl, .joblib) run code of their "
            "own: load one in Python, and pass it to "
            "skkd.DistilledClassifier(teacher=...)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"teacher={name!r}: there is no such file.")
    return kinds[path.suffix](path, reader)


def _of_torchvision(name: str) -> TeacherPlan:
    # Here, since torchvision takes a second to import.
    from torchvision import models

    from skkd.students._torchvision import check_name

    network_name, _, file = name.removeprefix(TORCHVISION).partition(":")
    check_name(network_name)
    params = {"module__name": network_name, "module__weights": file or "DEFAULT"}
    network = Network(torchvision_model, params)
    side = models.get_model_weights(network_name).DEFAULT.transforms().crop_size[0]
    try:
        return _pretrained(network, side, name)
    except ConnectionError as error:
        text = str(error).removesuffix("weights=.")  # of the network by itself
        raise ConnectionError(f"{text}teacher='{name}:FILE'.") from error


def _pretrained(network: Network, side: int, name: str) -> TeacherPlan:
    network = Network(network.module, network.params | {"module__freeze": True})
    network.build(2, (3, side, side))  # downloads its weights, or raises
    return TeacherPlan(
        ImageReader(side),
        network,
        is_frozen=True,
        described=f"{name}, pretrained and unchanged, with a head that was fitted here "
        "(logistic regression)",
    )


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
        return TeacherPlan(first, fitted=loaded[1], described=path.name)
    return TeacherPlan(reader, fitted=loaded, described=path.name)


def _from_onnx(path: Path, reader: ImageReader) -> TeacherPlan:
    teacher = as_teacher(str(path))
    metadata = teacher.model.session.get_modelmeta().custom_metadata_map
    if KEY in metadata:
        said = read_metadata(metadata, str(path))
        teacher = as_teacher(str(path), classes=said.classes)
        if said.image is not None:
            image: Any = said.image
            reader = ImageReader(image.size, image.mode, levels=image.levels)
    return TeacherPlan(reader, fitted=teacher, described=path.name)
