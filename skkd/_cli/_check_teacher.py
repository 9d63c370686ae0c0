"""`skkd check-teacher`."""

from __future__ import annotations

import sys
import warnings

import click

from skkd._cli._command import echo_json, in_one_line, run_safely


@click.command("check-teacher")
@click.argument("teacher")
@click.argument("folder")
@click.option(
    "--size", type=int, default=64, show_default=True, help="If it says none."
)
@click.option("--temperature", type=float, default=1.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@run_safely
def command(
    teacher: str, folder: str, size: int, temperature: float, as_json: bool
) -> None:
    """Look for mistakes in a TEACHER (.safetensors, .onnx) on a FOLDER of images.

    Such as classes in another order, or inputs on another scale. The exit code is 1 if
    there is any.

    \b
    Example:
      skkd check-teacher resnet.onnx photos
    """
    from skkd.exceptions import TeacherWarning
    from skkd.images import ImageReader, load_image_folder
    from skkd.quickstart._teachers import teacher_of
    from skkd.teachers import check_health

    plan = teacher_of(teacher, ImageReader(size))
    if plan.fitted is None:
        raise ValueError(f"{teacher!r}: expected a file, *.safetensors or *.onnx.")
    photos = load_image_folder(folder)
    X = plan.reader.transform(photos.data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TeacherWarning)  # they are the findings
        found = check_health(
            plan.fitted, X, photos.target.astype(str), temperature=temperature
        )
    if as_json:
        echo_json([{"code": one.code, "message": one.message} for one in found])
    for one in found if not as_json else []:
        click.echo(f"{one.code}: {in_one_line(one.message)}")
    if not found and not as_json:
        click.echo(f"Nothing found, on {len(X):,} images.")
    sys.exit(1 if found else 0)
