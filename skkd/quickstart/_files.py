"""What a run writes beside its networks: an ONNX file, a page, a card."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skkd._utils.atomic import new_file
from skkd.report import Comparison

# What each file, or part of one, needs: its modules, and the extra that installs them.
_NEEDS = {
    "student.onnx": (("onnx", "onnxscript", "onnxruntime", "skl2onnx"), "onnx"),
    "card.md": (("huggingface_hub",), "card"),
    "the plots of comparison.html": (("matplotlib",), "plot"),
}


def missing_modules(what: str) -> list[str]:
    """Return the modules that a file needs and that are not installed."""
    return [name for name in _NEEDS[what][0] if find_spec(name) is None]


def describe_missing() -> list[str]:
    """Say in a sentence each what is left out for want of a library."""
    return [
        f"Left out: {what}, since {missing_modules(what)[0]} is not installed: pip "
        f'install "skkd[{extra}]", and run the same again.'
        for what, (_, extra) in _NEEDS.items()
        if missing_modules(what)
    ]


def write_all(
    result: Comparison, student: Any, folder: Path, facts: dict[str, str], paths: Any
) -> dict[str, str]:
    """Write every file that can be written; return their paths by what they are.

    `facts` are said on page and card; the ONNX file is proved on the images of `paths`.
    """
    files = {"student": folder / "student.safetensors"}
    if not missing_modules("student.onnx"):
        from skkd.export import export_onnx  # imports what is optional

        files["for anyone"] = folder / "student.onnx"
        export_onnx(student, files["for anyone"], X_calibration=paths)
    files["page"] = folder / "comparison.html"
    about = [f"{name}: {value}" for name, value in facts.items() if name != "title"]
    result.to_html(files["page"], title=facts["title"], about=about)
    if not missing_modules("card.md"):
        files["card"] = folder / "card.md"
        name = files.get("for anyone", files["student"]).name
        text = "\n".join(f"- {line}" for line in about)
        with new_file(files["card"]) as file:
            result.to_card(
                file, student=student, title=facts["title"], data=text, file=name
            )
    return {name: str(path) for name, path in files.items()}
