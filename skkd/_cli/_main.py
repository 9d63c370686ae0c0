"""The command `skkd` and its subcommands, each imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click

from skkd._version import __version__

# Each is the command of that name in a module of its own.
_COMMANDS = {
    "fit": "_fit",
    "predict": "_predict",
    "export": "_export",
    "compare": "_compare",
    "demo": "_demo",
    "check-teacher": "_check_teacher",
    "check-folder": "_check_folder",
    "cache": "_cache",
}


class _Lazily(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of their use.

        Parameters
        ----------
        ctx : click.Context

        Returns
        -------
        list of str
        """
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        """Return the command of this name, or None.

        Parameters
        ----------
        ctx : click.Context
        cmd_name : str

        Returns
        -------
        click.Command or None
        """
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"skkd._cli.{_COMMANDS[cmd_name]}")
        return module.command


@click.group(
    cls=_Lazily,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, prog_name="skkd")
def main() -> None:
    """Small classifiers of images, taught by large ones.

    \b
    skkd fit photos --out student     train one, and say what it is worth
    skkd predict student/student.onnx photo.jpg
    """
