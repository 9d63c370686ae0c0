"""`skkd compare`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skkd._cli._command import echo_json, run_safely
from skkd._cli._models import name_files, open_model


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="Images that no model was trained on.")
@click.option("--html", help="Write a page with plots and examples.")
@click.option("--card", help="Write a model card of the student, in Markdown.")
@click.option("--teacher", default="teacher", help="Name of the teacher among them.")
@click.option("--baseline", default="plain", help="Name of the student without one.")
@click.option("--json", "as_json", is_flag=True, help="Write the measures as JSON.")
@run_safely
def command(
    models: tuple[str, ...],
    data: str,
    html: str | None,
    card: str | None,
    teacher: str,
    baseline: str,
    as_json: bool,
) -> None:
    """Measure MODELS (.safetensors, .onnx) on the same images.

    A model is called as its file is, or by NAME=FILE. The images of DATA are in a
    folder for each class; copies of an image count once. The page says what taught
    each student, as its file does.

    \b
    Example:
      skkd compare out/student.onnx out/plain.safetensors --data test
    """
    from skkd.images import load_image_folder
    from skkd.quickstart import default_progress
    from skkd.report import compare

    files = name_files(models)
    student = _student_of_card([*files], teacher, baseline) if card else ""
    for option, path in (("--html", html), ("--card", card)):
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise FileNotFoundError(f"{option} {path}: there is no such folder.")
    with default_progress() as progress:
        progress.step("reading models")
        opened = {name: open_model(path) for name, path in files.items()}
        progress.step("reading images")
        photos = load_image_folder(data)
        progress.step("measuring")
        result = compare(
            opened,
            photos.data,
            photos.target,
            groups=photos.groups,
            teacher=teacher,
            baseline=baseline,
        )
        progress.step("writing")
        about = _about(data, opened)
        if html is not None:
            result.to_html(html, about=[line.replace("`", "") for line in about])
        if card is not None:
            result.to_card(
                card,
                model=student,
                student=opened[student],
                data="\n".join(f"- {line}" for line in about),
                file=files[student],
            )
    sentences = [pair.sentence(result.confidence) for pair in result.pairs]
    if as_json:
        echo_json({"measures": result.measures, "sentences": sentences})
        return
    click.echo("\n".join([*sentences, *([""] if sentences else []), str(result)]))
    for path in filter(None, (html, card)):
        click.echo(f"\n{path}")


def _student_of_card(names: list[str], teacher: str, baseline: str) -> str:
    """Return the name of the only model that is neither of the two."""
    from skkd._evaluate.card import huggingface_hub

    huggingface_hub()  # raises before anything is measured
    students = [name for name in names if name not in (teacher, baseline)]
    if len(students) != 1:
        raise ValueError(
            f"--card is of one student, and there are {students} beside --teacher "
            f"{teacher} and --baseline {baseline}: expected one."
        )
    return students[0]


def _about(data: str, opened: Mapping[str, Any]) -> list[str]:
    """Return what is compared, and what each student says of its training."""
    from skkd._evaluate.about_student import about_student

    found = {name: about_student(model) for name, model in opened.items()}
    return [
        f"Images: {data}",
        *(
            f"{name}: {about.network}, {about.training}"
            for name, about in found.items()
            if about is not None
        ),
    ]
