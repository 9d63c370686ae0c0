"""`skkd predict`: the only command that works without torch and scikit-learn."""

from __future__ import annotations

import csv
import glob
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from skkd._cli._command import run_safely
from skkd._cli._models import open_model

# Images between two lines of output.
_BATCH = 64


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option("--proba", is_flag=True, help="Write the probability of each class.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines, not CSV.")
@run_safely
def command(model: str, images: tuple[str, ...], proba: bool, as_json: bool) -> None:
    """Classify IMAGES: files, folders and patterns such as 'photos/*.jpg'.

    MODEL is a file that `skkd fit` or `skkd export` wrote: student.onnx, which needs
    no torch, or student.safetensors. A line for each image goes to the standard
    output. Files that cannot be read are named on the standard error, all others are
    answered, and the exit code is 1.

    \b
    Example:
      skkd predict student/student.onnx holiday/ cat.jpg --proba > labels.csv
    """
    student = open_model(model)
    paths = find_images(images)
    classes = [str(name) for name in student.classes_.tolist()]
    write = _json_line if as_json else _csv_line
    if not as_json:
        _write_row(["file", "label", *(classes if proba else [])])
    failures: list[tuple[str, str]] = []
    for path, p in _answers(student, paths, failures):
        write(path, classes, p, proba)
    for path, reason in failures:
        click.echo(f"error: {path}: {reason}", err=True)
    if failures:
        click.echo(f"{len(failures)} of {len(paths)} images cannot be read.", err=True)
        sys.exit(1)


def find_images(names: tuple[str, ...]) -> list[str]:
    """Return the paths of files, of the images in folders, and of patterns."""
    from skkd.images._decoding import get_image_suffixes

    suffixes = get_image_suffixes()
    found = []
    for name in names:
        # A file may have brackets in its name.
        exists = os.path.exists(name)
        matching = [name] if exists else sorted(glob.glob(name, recursive=True))
        if not matching and glob.has_magic(name):
            raise FileNotFoundError(f"{name!r} matches no file.")
        for path in matching or [name]:
            if not os.path.isdir(path):
                found.append(path)
                continue
            inside = [p for p in _walk(path) if Path(p).suffix.lower() in suffixes]
            if not inside:
                raise FileNotFoundError(f"The folder {path!r} has no images.")
            found += inside
    return found


def _walk(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.join(where, name)


def _answers(
    student: Any, paths: list[str], failures: list[tuple[str, str]]
) -> Iterator[tuple[str, Any]]:
    """Yield each readable image with its probabilities; collect the others."""
    from skkd.images import UnreadableImageError

    for start in range(0, len(paths), _BATCH):
        some = paths[start : start + _BATCH]
        try:
            proba = student.predict_proba(some)
        except UnreadableImageError as error:
            failures += error.failures
            broken = {path for path, _ in error.failures}
            some = [path for path in some if path not in broken]
            proba = student.predict_proba(some) if some else []
        yield from zip(some, proba, strict=True)


def _csv_line(path: str, classes: list[str], p: Any, proba: bool) -> None:
    shown = [f"{value:.6g}" for value in p.tolist()] if proba else []
    _write_row([path, classes[int(p.argmax())], *shown])


def _json_line(path: str, classes: list[str], p: Any, proba: bool) -> None:
    content: dict[str, Any] = {"file": path, "label": classes[int(p.argmax())]}
    if proba:
        content["proba"] = dict(zip(classes, p.tolist(), strict=True))
    click.echo(json.dumps(content))


def _write_row(cells: list[str]) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerow(cells)
