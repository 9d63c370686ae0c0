"""`skkd demo`: a static page on which a student can be tried."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from importlib import resources
from pathlib import Path

import click

from skkd._cli._command import echo_json, run_safely
from skkd._cli._predict import find_images

_VERSION = "1.30.0"  # of onnxruntime-web
_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{_VERSION}/dist/"
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
_WASM = "ort-wasm-simd-threaded.wasm"
_N_EXAMPLES = 8


@click.command("demo")
@click.argument("model")
@click.option("--out", required=True, help="Folder for the page; it is made.")
@click.option(
    "--npm",
    help="Folder of the npm package onnxruntime-web, whose files are copied. "
    "Without it, the page loads them from cdn.jsdelivr.net.",
)
@click.option("--examples", multiple=True, help="Images to show, or a folder of them.")
@click.option("--json", "as_json", is_flag=True, help="Write what was made as JSON.")
@run_safely
def command(
    model: str, out: str, npm: str | None, examples: tuple[str, ...], as_json: bool
) -> None:
    """Write a page that runs MODEL (.onnx, of images) in the browser.

    Visitors choose, drop or photograph an image; it does not leave their device.

    \b
    Example:
      npm install onnxruntime-web
      skkd demo student.onnx --out page --npm node_modules/onnxruntime-web
      python -m http.server --directory page
    """
    from skkd.runtime import OnnxClassifier

    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{out!r} exists: expected a new or an empty folder.")
    if Path(model).suffix != ".onnx":
        raise ValueError(
            f"{model!r}: expected student.onnx, as `skkd fit` and `skkd export` write "
            "it."
        )
    metadata = OnnxClassifier(model).metadata_
    if metadata.image is None:
        raise ValueError(
            f"{model!r} takes no image files: expected a student that was exported "
            "with its ImageReader, such as student.onnx of `skkd fit`."
        )
    runtime = _runtime_files(npm)
    images = find_images(examples)[:_N_EXAMPLES] if examples else []
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".skkd-demo-") as folder:
        page = Path(folder) / "page"
        template = resources.files("skkd._cli") / "demo_page"
        with resources.as_file(template) as source:
            shutil.copytree(source, page)
        shutil.copy(model, page / "student.onnx")
        for path in runtime:
            shutil.copy(path, page / path.name)
        content = {
            "classes": [str(name) for name in metadata.classes.tolist()],
            "examples": [_copied(path, i, page) for i, path in enumerate(images)],
            "input": metadata.inputs[0].name,
            "mode": metadata.image.mode,
            "runtime": "./" if npm else _CDN,
            "size": metadata.image.size,
        }
        text = json.dumps(content, indent=1)
        (page / "student.json").write_text(text, encoding="utf-8")
        if target.exists():
            target.rmdir()
        os.replace(page, target)
    if as_json:
        echo_json({"page": str(target), "runtime": content["runtime"]})
    else:
        click.echo(f"{out}: python -m http.server --directory {shlex.quote(out)}")


def _runtime_files(npm: str | None) -> list[Path]:
    """Return the files of onnxruntime-web that are copied."""
    if npm is None:
        return []
    paths = [Path(npm) / "dist" / name for name in (*_RUNTIME, _WASM)]
    lacking = [str(path) for path in paths if not path.is_file()]
    if lacking:
        raise FileNotFoundError(
            f"There is no {lacking[0]!r}: expected the folder of onnxruntime-web, "
            f"npm install onnxruntime-web@{_VERSION}, or leave out --npm."
        )
    return paths


def _copied(path: str, number: int, page: Path) -> str:
    """Copy an example image, and return its address on the page."""
    name = f"example-{number}{Path(path).suffix.lower()}"
    shutil.copy(path, page / name)
    return name
