"""What a run writes beside its networks: a page, a card, an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skkd._utils.atomic import new_file
from skkd.report import Comparison

_OF_ONNX = ("onnx", "onnxscript", "onnxruntime", "skl2onnx")


def missing_extras() -> list[str]:
    """Say which files will be left out, or be poorer, for want of a library."""
    notes = []
    if lacking := [name for name in _OF_ONNX if find_spec(name) is None]:
        notes.append(
            f"student.onnx is left out, since {lacking[0]} is not installed: pip "
            'install "skkd[onnx]", and run the same command again.'
        )
    if find_spec("matplotlib") is None:
        notes.append(
            "comparison.html has no plots, since matplotlib is not installed: pip "
            'install "skkd[plot]".'
        )
    return notes


def can_write_onnx() -> bool:
    """Tell whether all libraries are there that an export needs."""
    return all(find_spec(name) for name in _OF_ONNX)


def write_onnx(student: Any, path: Path, paths: Sequence[str]) -> None:
    """Export the student, proved on some of its images."""
    from skkd.export import export_onnx  # needs an extra

    export_onnx(student, path, X_calibration=list(paths))


def write_page(result: Comparison, path: Path, title: str, about: Sequence[str]) -> None:
    """Write the comparison as a page."""
    with new_file(path) as file:
        result.to_html(file, title=title, about=about)


def write_card(
    result: Comparison, path: Path, verdict: str, facts: Sequence[tuple[str, str]]
) -> None:
    """Write a model card: Markdown with the metadata that model hubs read."""
    lines = [
        *("---", "library_name: skkd", "pipeline_tag: image-classification"),
        *("tags:", "- knowledge-distillation", "- image-classification", "---", ""),
        *("# A distilled image classifier", "", verdict, ""),
        *(f"- {name}: {value}" for name, value in facts),
        *("", "## Measured", "", result.to_markdown(), ""),
        *("## How to use it", "", "```python", "from skkd import load_student", ""),
        'student = load_student("student.safetensors")',
        'student.predict(["photo.jpg"])',
        *("```", ""),
        *("Without torch:", "", "```bash", "skkd predict student.onnx photo.jpg"),
        *("```", ""),
        "It answers with one of its classes whatever an image shows, and was tested on "
        "images of the same source alone.",
        "",
    ]
    with new_file(path) as file:
        file.write_text("\n".join(lines), encoding="utf-8")
