"""`skkd cache`."""

from __future__ import annotations

import click

from skkd._cli._command import Failure, echo_json, run_safely

_UNITS = (("GB", 2**30), ("MB", 2**20), ("kB", 2**10))
_TIMES = (("days", 86400.0), ("h", 3600.0), ("min", 60.0))


@click.command("cache")
@click.argument("folder")
@click.option("--empty", is_flag=True, help="Remove them, after asking.")
@click.option(
    "--only",
    type=click.Choice(["fits", "logits"]),
    help="Fits, or teachers' logits; default: both.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write the list as JSON.")
@run_safely
def command(
    folder: str, empty: bool, only: str | None, yes: bool, as_json: bool
) -> None:
    """List, or remove, the fits and teachers' logits that a FOLDER holds.

    It is that of checkpoint= or memory=. Other files in it stay, and so does a fit
    that a process trains now.

    \b
    Examples:
      skkd cache checkpoints
      skkd cache checkpoints --empty --only logits
    """
    from skkd.checkpoints import empty_folder, list_folder
    from skkd.checkpoints._listing import KINDS

    kinds = KINDS if only is None else (only,)
    found = [one for one in list_folder(folder) if one.part in kinds]
    if not empty:
        _show(found, as_json)
        return
    if found and not yes:
        total = _size(sum(one.nbytes for one in found))
        try:
            sure = click.confirm(
                f"Remove {len(found)} entries, {total}, in {folder}?", err=True
            )
        except click.Abort:  # nobody is there to answer
            raise Failure("nothing is removed: pass --yes.") from None
        if not sure:
            click.echo("Nothing is removed.")
            return
    removed = empty_folder(folder, kinds=kinds)
    if as_json:
        _show(removed, as_json)
        return
    total = _size(sum(one.nbytes for one in removed))
    click.echo(f"{len(removed)} entries removed, {total}.")
    if len(removed) < len(found):
        click.echo(f"{len(found) - len(removed)} are in use, and stay.")


def _show(found: list, as_json: bool) -> None:
    if as_json:
        echo_json([one._asdict() for one in found])
        return
    for one in found:
        state = ", in use" if one.in_use else ""
        click.echo(
            f"{_size(one.nbytes):>9}  {_time(one.age):>9}  {one.kind}{state}: "
            f"{one.about}"
        )
    click.echo(f"{len(found)} entries, {_size(sum(one.nbytes for one in found))}.")


def _size(n_bytes: int) -> str:
    for unit, size in _UNITS:
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"


def _time(seconds: float) -> str:
    for unit, size in _TIMES:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
