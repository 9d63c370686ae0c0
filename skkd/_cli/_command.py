"""What all commands have in common: errors in one line, warnings, exit codes."""

from __future__ import annotations

import functools
import io
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import click

from skkd._cli._words import in_words_of_commands
from skkd._utils.atomic import is_disk_full

# Lines of a list in a message that are shown; the library itself shows twenty.
_N_LINES = 3
# Of the shell: stopped by CTRL-C.
_INTERRUPTED = 130
_DEBUG_HELP = "Show the traceback of an error."


class Failure(click.ClickException):
    """An error that is shown in one line."""

    def show(self, file: Any = None) -> None:
        """Write it to the standard error.

        Parameters
        ----------
        file : text file, default=None
            Another file.
        """
        click.echo(f"error: {self.message}", file=file, err=file is None)


def run_safely(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command: ``--debug``, errors in one line, warnings without source."""

    @click.option("--debug", is_flag=True, help=_DEBUG_HELP)
    @functools.wraps(function)
    def command(*args: Any, debug: bool, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for category in (UserWarning, RuntimeWarning):
                warnings.simplefilter("default", category)
            warnings.showwarning = _show_warning
            try:
                try:
                    return function(*args, **kwargs)
                finally:
                    _flush()
            except (click.ClickException, click.exceptions.Exit):
                raise
            except BrokenPipeError:  # of `| head`: click ends without a word
                raise
            except KeyboardInterrupt as error:
                if debug:
                    traceback.print_exception(error)
                click.echo("stopped.", err=True)
                sys.exit(_INTERRUPTED)
            # Whatever it is, the user of a command sees a sentence.
            except Exception as error:
                if debug:
                    traceback.print_exception(error)
                raise Failure(one_line(error)) from None

    return command


def one_line(error: Any) -> str:
    """Return the message of an error in one line, in the words of the command line."""
    text = str(error)
    if getattr(error, "errno", None) is not None and is_disk_full(error):
        file = "" if error.filename is None else f" of {str(error.filename)!r}"
        text = f"The disk{file} is full: free some space, and run the same again."
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {str(error.filename)!r}"
    expected = isinstance(error, (ValueError, TypeError, OSError, ImportError))
    if not text or not expected:
        text = f"{type(error).__name__}: {text} (--debug shows where)"
    return in_one_line(text)


def in_one_line(text: str) -> str:
    """Return a message in one line, with the first few lines of a list in it."""
    lines = text.splitlines()
    listed = [line for line in lines if line.startswith("  ")]
    if len(listed) > _N_LINES:
        hidden = set(listed[_N_LINES:])
        kept = [line for line in lines if line not in hidden]
        place = kept.index(listed[_N_LINES - 1]) + 1
        lines = [*kept[:place], f"  and {len(listed) - _N_LINES} more", *kept[place:]]
    after = [*lines[1:], ""]
    ends = [
        "" if not line.startswith("  ") else ";" if then.startswith("  ") else "."
        for line, then in zip(lines, after, strict=True)
    ]
    text = " ".join(line.strip() + end for line, end in zip(lines, ends, strict=True))
    return in_words_here(text)


def in_words_here(text: str) -> str:
    """Return a message of the library in the words of the command that runs."""
    context = click.get_current_context(silent=True)
    parameters = context.command.params if context else []
    return in_words_of_commands(text, {name for p in parameters for name in p.opts})


def echo_json(content: Any) -> None:
    """Write an object as JSON to the standard output."""
    click.echo(json.dumps(content, indent=1, default=_plain))


def _flush() -> None:
    """Write what was said: here a full disk is noticed."""
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes once more at its end.
        sys.stdout = io.TextIOWrapper(io.BytesIO())
        raise


def _plain(value: Any) -> Any:
    """Return what JSON knows for a number of NumPy, or text for anything else."""
    return value.item() if hasattr(value, "item") else str(value)


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    click.echo(f"warning: {in_one_line(str(message))}", err=True)
