"""The command line: ``skkd --help``."""

from skkd._cli._main import main

__all__ = ["main"]
