"""`skkd compare`."""

from __future__ import annotations

from pathlib import Path

import click

from skkd._cli._command import echo_json, run_safely
from skkd._cli._models import named_models


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="Images that no model was trained on.")
@click.option("--html", help="Write a page with plots and examples.")
@click.option("--teacher", default="teacher", help="Name of the teacher among them.")
@click.option("--baseline", default="plain", help="Name of the student without one.")
@click.option("--json", "as_json", is_flag=True, help="Write the measures as JSON.")
@run_safely
def command(
    models: tuple[str, ...],
    data: str,
    html: str | None,
    teacher: str,
    baseline: str,
    as_json: bool,
) -> None:
    """Measure MODELS (.safetensors, .onnx) on the same images.

    A model is called as its file is, or by NAME=FILE. The images of DATA are in a
    folder for each class; copies of an image count once.

    \b
    Example:
      skkd compare out/student.onnx out/plain.safetensors --data test
    """
    from skkd.images import load_image_folder
    from skkd.quickstart import default_progress
    from skkd.report import compare

    if html is not None and not Path(html).absolute().parent.is_dir():
        raise FileNotFoundError(f"--html {html}: there is no such folder.")
    with default_progress() as progress:
        progress.step("reading models")
        opened = named_models(models)
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
        if html is not None:
            progress.step("writing")
            result.to_html(html)
    sentences = [pair.sentence(result.confidence) for pair in result.pairs]
    if as_json:
        echo_json({"measures": result.measures, "sentences": sentences})
        return
    click.echo("\n".join([*sentences, *([""] if sentences else []), str(result)]))
    if html is not None:
        click.echo(f"\n{html}")
