"""Files of students and teachers, as the commands open them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_model(name: str) -> Any:
    """Return the fitted classifier of a file: ``*.onnx`` or ``*.safetensors``.

    ONNX files of :func:`skkd.export.export_onnx` need no torch.
    """
    path = Path(name).expanduser()
    if path.suffix not in (".onnx", ".safetensors"):
        raise ValueError(
            f"{name!r}: expected student.onnx or student.safetensors, as `skkd fit` "
            "and `skkd export` write them."
        )
    if not path.is_file():
        raise FileNotFoundError(f"{name!r}: there is no such file.")
    if path.suffix == ".onnx":
        from skkd.runtime import OnnxClassifier

        return OnnxClassifier(path)
    try:
        from skkd._safe_file import load_student
    except ImportError as error:
        raise ImportError(
            f"{name!r} needs torch, which cannot be imported here ({error}): pip "
            "install skkd, or take the .onnx file of the student, which needs "
            "onnxruntime alone."
        ) from error
    return load_student(path)


def name_files(names: tuple[str, ...]) -> dict[str, str]:
    """Return paths of models by name; ``NAME=FILE`` names one, else the file does."""
    files: dict[str, str] = {}
    for text in names:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = Path(text).stem, text
        if name in files:
            raise ValueError(
                f"Two models are called {name!r}: name them, one={names[0]} "
                f"other={text}."
            )
        files[name] = path
    return files
