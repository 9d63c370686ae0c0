"""`skkd check-folder`."""

from __future__ import annotations

import sys
import warnings

import click

from skkd._cli._command import echo_json, run_safely


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
    found = [str(one.message) for one in caught if one.category is ImageFolderWarning]
    counts = {str(k): n for k, n in sorted(Counter(photos.target.tolist()).items())}
    if as_json:
        echo_json({"images": counts, "findings": found, "skipped": photos.skipped})
    else:
        click.echo(f"{len(photos.data):,} images in {len(counts)} classes:")
        for name, n in counts.items():
            click.echo(f"  {n:>6,}  {name}")
        for text in found:
            click.echo(f"\n{text}")
        if not found:
            click.echo("Nothing found.")
    sys.exit(1 if found else 0)
