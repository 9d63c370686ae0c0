"""A model card: Markdown with the metadata that the Hugging Face hub reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skkd._evaluate.about_student import AboutStudent, about_student
from skkd._utils.atomic import new_file
from skkd._utils.printable import printable

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
        The fitted student, a pipeline that ends in it, or an OnnxClassifier; it is
        described.
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
        text = printable(str(self._as_model_card()), keep="\n")
        with new_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _as_model_card(self) -> Any:
        hub, task = huggingface_hub(), _task_of(about_student(self.student))
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
            model_name=printable(self.title),
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
            (f"# {printable(self.title)}", self._what()),
            ("## What taught it", _training_of(about_student(self.student))),
            ("## Data and splits", data),
            ("## Evaluation", self.evaluation),
            ("## Machine", _list(self.machine.splitlines())),
            ("## Limits", _list(limits)),
            ("## How to load it", self._loading()),
        ]
        return "\n\n".join(f"{head}\n\n{text}" for head, text in parts if text)

    def _what(self) -> str:
        n = len(self.classes)
        shown = (printable(str(label)) for label in self.classes[:_MAX_CLASSES])
        names = ", ".join(f"`{label}`" for label in shown)
        more = f" and {n - _MAX_CLASSES} more" if n > _MAX_CLASSES else ""
        text = f"A classifier of {n} classes: {names}{more}."
        about = about_student(self.student)
        return text if about is None else f"{text} {_architecture_of(about)}"

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


def _training_of(about: AboutStudent | None) -> str:
    if about is None:
        return ""
    return f"{about.training[0].upper()}{about.training[1:]}."


def _task_of(about: AboutStudent | None) -> str | None:
    """Return what the hub calls the task, if that is known."""
    n_axes = 0 if about is None else len(about.input_shape or ())
    return {1: "tabular-classification", 3: "image-classification"}.get(n_axes)


def _architecture_of(about: AboutStudent) -> str:
    text = f"The network is a `{about.network}`"
    if about.input_shape is not None:
        text += f" for inputs of shape {about.input_shape}, {about.input_dtype}"
    if about.reader:
        text += f"; files become its inputs by `{about.reader}`"
    if about.steps:
        text += f"; before it: {', '.join(about.steps)}"
    return f"{text}."
