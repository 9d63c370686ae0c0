"""What a fitted student says about itself: in Python, or in the file it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline

from skkd._estimator.student_predictions import chosen_student
from skkd._formats.onnx_metadata import OnnxMetadata
from skkd._utils.modules import count_parameters, describe, uncompiled
from skkd.images import ImageReader
from skkd.runtime import OnnxClassifier


@dataclass(frozen=True)
class AboutStudent:
    """What a fitted student is, and what taught it.

    Attributes
    ----------
    network : str
        Class and number of parameters.
    n_parameters : int
    training : str
        Epochs, teacher, loss; how a sentence goes on that begins with the student.
    input_shape : tuple of int or None
        Of one sample.
    input_dtype : object
    reader : str
        How files become inputs; "" if they do not.
    steps : tuple of str
        What else stands before the network.
    """

    network: str
    n_parameters: int
    training: str
    input_shape: tuple[int, ...] | None = None
    input_dtype: Any = None
    reader: str = ""
    steps: tuple[str, ...] = ()


def about_student(fitted: Any) -> AboutStudent | None:
    """Return what a student says about itself; None of what is no student of skkd.

    `fitted` is a DistilledClassifier, a pipeline, search or recipe that ends in one, or
    an OnnxClassifier.
    """
    if isinstance(fitted, OnnxClassifier):
        return _of_file(fitted.metadata_)
    steps, net = parts_of_student(fitted)
    if getattr(net, "module_", None) is None or not hasattr(net, "distillation"):
        return None
    module = uncompiled(net.module_)
    shape = getattr(net, "input_shape_", None)
    readers = [step for step in steps if isinstance(step, ImageReader)]
    return AboutStudent(
        network=describe(module),
        n_parameters=count_parameters(module),
        training=_training_of(net),
        input_shape=None if shape is None else tuple(shape),
        input_dtype=getattr(net, "input_dtype_", None),
        reader=repr(readers[0]) if readers else "",
        steps=tuple(type(step).__name__ for step in steps if step not in readers[:1]),
    )


def parts_of_student(fitted: Any) -> tuple[list[Any], Any]:
    """Return the steps before a student, and the student."""
    student = chosen_student(fitted)
    if isinstance(student, Pipeline):
        steps = [step for _, step in student.steps[:-1]]
        return steps, chosen_student(student.steps[-1][1])
    return [], student


def _training_of(net: Any) -> str:
    teacher = net.teacher if net.teacher_ is None else net.teacher_
    return _sentence(
        None if net.teacher is None else describe(teacher),
        net.distillation,
        net.temperature,
        net.alpha,
        n_epochs=len(net.history),
    )


def _of_file(metadata: OnnxMetadata) -> AboutStudent:
    known, image = metadata.training, metadata.image
    n_parameters = int(metadata.student.get("n_parameters", 0))
    of_student = metadata.inputs[0]
    return AboutStudent(
        network=f"{metadata.student.get('module')}({n_parameters:,} parameters)",
        n_parameters=n_parameters,
        training=_sentence(
            known.get("teacher"),
            known.get("distillation"),
            known.get("temperature"),
            known.get("alpha"),
        ),
        input_shape=tuple(of_student.shape),
        input_dtype=of_student.dtype,
        reader="" if image is None else f"ImageReader(size={image.size})",
        steps=metadata.steps[:-1] if image is None else metadata.steps[1:-1],
    )


def _sentence(
    teacher: str | None, loss: Any, temperature: Any, alpha: Any, n_epochs: int = 0
) -> str:
    trained = f"trained for {n_epochs} epochs" if n_epochs else "trained"
    if teacher is None or alpha == 0:
        return f"{trained} on the labels alone, without a teacher"
    return (
        f"{trained} on the labels and on a teacher, `{teacher}`: "
        f"`distillation={loss!r}, temperature={temperature}, alpha={alpha}` (`alpha` "
        "weighs the teacher)"
    )
