"""A model card: Markdown with the metadata that the Hugging Face hub reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skkd._estimator.student_predictions import chosen_student
from skkd._utils.atomic import new_file
from skkd._utils.modules import describe, uncompiled
from skkd._version import __version__
from skkd.images import ImageReader

_LOADERS = {
    ".onnx": """\
# pip install numpy onnxruntime pillow && pip install --no-deps skkd
from skkd.runtime import OnnxClassifier

student = OnnxClassifier({file!r})
student.predict(X), student.predict_proba(X)""",
    ".safetensors": """\
# pip install skkd
from skkd import load_student

student = load_student({file!r})
student.predict(X), student.predict_proba(X)""",
}
_MAX_CLASSES = 20  # that are named


@dataclass
class Card:
    """What a card says.

    Attributes
    ----------
    title : str
    student : object or None
        The fitted student, or a pipeline that ends in it; it is described.
    classes : ndarray of shape (n_classes,)
    data, limits : str
        What the author says about the data and their splits, and about what the
        student is not for.
    evaluation : str
        Tables and notes, in Markdown.
    known_limits : sequence of str
        What the evaluation itself says about its limits.
    metrics : dict of str to float
        By the names of the hub, as measured on the test rows.
    machine : str
        On which the times were measured; "" if there are none.
    file : str or None
        Name of the student's file.
    license : str or None
    """

    title: str
    classes: np.ndarray
    evaluation: str
    student: Any = None
    data: str = ""
    limits: str = ""
    known_limits: Sequence[str] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    file: str | None = None
    license: str | None = None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the card, in one step."""
        if self.file is not None and Path(self.file).suffix not in _LOADERS:
            raise ValueError(
                f"file={self.file!r}: expected a file of export_onnx, *.onnx, or of "
                "save_student, *.safetensors, which the card says how to load."
            )
        text = str(self._as_model_card())
        with new_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _as_model_card(self) -> Any:
        hub, task = huggingface_hub(), _task_of(self.student)
        results = [
            hub.EvalResult(
                task_type=task or "other",
                dataset_type="test-rows",
                dataset_name="test rows, described below",
                metric_type=name,
                metric_value=round(value, 4),
            )
            for name, value in self.metrics.items()
        ]
        data = hub.ModelCardData(
            model_name=self.title,
            library_name="skkd",
            pipeline_tag=task,
            license=self.license,
            tags=["knowledge-distillation", "skkd"],
            eval_results=results or None,
        )
        return hub.ModelCard(f"---\n{data.to_yaml()}\n---\n\n{self._text()}\n")

    def _text(self) -> str:
        data = self.data or "_The author of this card has not described the data._"
        limits = [*([self.limits] if self.limits else []), *self.known_limits]
        parts = [
            (f"# {self.title}", self._what()),
            ("## What taught it", _training_of(self.student)),
            ("## Data and splits", data),
            ("## Evaluation", self.evaluation),
            ("## Machine", _list(self.machine.splitlines())),
            ("## Limits", _list(limits)),
            ("## How to load it", self._loading()),
        ]
        return "\n\n".join(f"{head}\n\n{text}" for head, text in parts if text)

    def _what(self) -> str:
        n = len(self.classes)
        names = ", ".join(f"`{label}`" for label in self.classes[:_MAX_CLASSES])
        more = f" and {n - _MAX_CLASSES} more" if n > _MAX_CLASSES else ""
        text = f"A classifier of {n} classes: {names}{more}."
        if self.student is None:
            return text
        return f"{text} {_architecture_of(self.student)}"

    def _loading(self) -> str:
        if self.file is None:
            return ""
        name = Path(self.file).name
        code = _LOADERS[Path(self.file).suffix].format(file=name)
        return f"```python\n{code}\n```"


def huggingface_hub() -> Any:
    """Import what writes cards, or raise ImportError with the remedy."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            'A model card needs huggingface-hub: pip install "skkd[card]".'
        ) from error
    return huggingface_hub


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _parts_of(student: Any) -> tuple[list[Any], Any]:
    """Return the steps before a student, and the student."""
    student = chosen_student(student)
    if isinstance(student, Pipeline):
        return [step for _, step in student.steps[:-1]], student.steps[-1][1]
    return [], student


def student_of(fitted: Any) -> Any:
    """Return the student at the end of what was fitted."""
    return _parts_of(fitted)[1]


def _task_of(student: Any) -> str | None:
    """Return what the hub calls the task, if that is known."""
    net = _parts_of(student)[1]
    n_axes = len(getattr(net, "input_shape_", None) or ())
    return {1: "tabular-classification", 3: "image-classification"}.get(n_axes)


def _architecture_of(student: Any) -> str:
    steps, net = _parts_of(student)
    shape = getattr(net, "input_shape_", None)
    text = f"The network is a `{describe(uncompiled(net.module_))}`"
    if shape is not None:
        text += f" for inputs of shape {tuple(shape)}, {net.input_dtype_}"
    reader = next((step for step in steps if isinstance(step, ImageReader)), None)
    if reader is not None:
        text += f"; files become its inputs by `{reader}`"
    others = [type(step).__name__ for step in steps if step is not reader]
    if others:
        text += f"; before it: {', '.join(others)}"
    return f"{text}."


def _training_of(student: Any) -> str:
    if student is None:
        return ""
    net = _parts_of(student)[1]
    epochs = len(net.history)
    trained = f"Trained for {epochs} epochs by skkd {__version__}"
    if net.teacher is None or net.alpha == 0:
        return f"{trained} on the labels alone, without a teacher."
    teacher = net.teacher if net.teacher_ is None else net.teacher_
    loss = net.distillation
    return (
        f"{trained} on the labels and on a teacher, `{describe(teacher)}`: "
        f"`distillation={loss!r}, temperature={net.temperature}, alpha={net.alpha}` "
        "(`alpha` weighs the teacher)."
    )
