"""`skkd check-folder`."""

from __future__ import annotations

import sys
import warnings

import click

from skkd._cli._command import echo_json, in_words_here, run_safely
from skkd._utils.printable import wrapped


@click.command("check-folder")
@click.argument("folder")
@click.option("--against", help="Another folder, which must not have the same images.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@run_safely
def command(folder: str, against: str | None, as_json: bool) -> None:
    """Look for files that cannot be read, copies and odd layouts in a FOLDER.

    FOLDER has a folder of images for each class. The exit code is 1 if anything is
    found.

    \b
    Example:
      skkd check-folder photos/test --against photos/train
    """
    from collections import Counter

    from skkd.images import ImageFolderWarning, load_image_folder

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ImageFolderWarning)
        photos = load_image_folder(folder, on_error="skip", compare_with=against)
    found = [
        in_words_here(str(one.message))
        for one in caught
        if one.category is ImageFolderWarning
    ]
    counts = {str(k): n for k, n in sorted(Counter(photos.target.tolist()).items())}
    if len(counts) == 1 and not found:
        found = ["There is one class, and two or more are needed to learn from."]
    if as_json:
        echo_json({"images": counts, "findings": found, "skipped": photos.skipped})
    else:
        plural = "" if len(counts) == 1 else "es"
        click.echo(f"{len(photos.data):,} images in {len(counts)} class{plural}:")
        for name, n in counts.items():
            click.echo(f"  {n:>6,}  {name}")
        for text in found:
            click.echo("\n" + "\n".join(map(_wrapped, text.splitlines())))
        if not found:
            click.echo("Nothing found.")
    sys.exit(1 if found else 0)


def _wrapped(line: str) -> str:
    """Break a sentence at the width of a terminal, but not what is in a list."""
    return line if line.startswith(" ") else wrapped(line)
