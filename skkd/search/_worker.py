"""The command ``python -m skkd.search worker study.py``: one worker of a study."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import optuna

from skkd.search._agreement import OtherMachineError
from skkd.search._storages import password_of
from skkd.search._study import DistillationStudy

# Exit codes. 2 is argparse's, for a command that is not understood.
_FAILED, _STORAGE_AWAY, _OTHER_MACHINE = 1, 3, 4
_INTERRUPTED, _TERMINATED = 130, 143
_EPILOG = """
exit codes: 0 the study has its trials, or the time is over; 1 an error; 2 the command
is not understood; 3 the storage does not answer, what was finished is kept; 4 this
machine has other versions, another definition, other data or another memory folder than
the study; 130 and 143 stopped by CTRL-C or SIGTERM, the trial is left to another worker
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command, and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, default=None
        None takes those of the process.
    """
    options = _parser().parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # errors are said in a line
    terminated: list[bool] = []

    def terminate(*_: Any) -> NoReturn:
        terminated.append(True)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        _work(options)
    except KeyboardInterrupt:
        print("stopped: the trial is left to another worker.", file=sys.stderr)
        sys.exit(_TERMINATED if terminated else _INTERRUPTED)
    except Exception as error:  # whatever it is, the user sees a sentence
        if options.debug:
            traceback.print_exception(error)
        print(f"error: {_in_one_line(error)}", file=sys.stderr)
        sys.exit(_exit_code(error))
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skkd.search", description="Search on many machines."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    worker = commands.add_parser(
        "worker",
        help="run trials of a study",
        description="Run trials of a study until it has enough, with all other workers "
        "of the study, on this machine and others.",
        epilog=_EPILOG,
    )
    worker.add_argument(
        "study", help="a Python file that defines study = DistillationStudy(...)"
    )
    worker.add_argument(
        "--n-trials",
        type=int,
        default=100,
        help="finished trials of the study in all (default 100)",
    )
    worker.add_argument(
        "--timeout", type=float, help="seconds after which no trial is begun"
    )
    worker.add_argument(
        "--allow-other-versions",
        action="store_true",
        help="of Python, torch and others, than the study was begun with",
    )
    worker.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    return parser


def _work(options: argparse.Namespace) -> None:
    warnings.showwarning = _show_warning
    study = load_definition(options.study)
    study.optimize(
        options.n_trials,
        timeout=options.timeout,
        refit=False,
        allow_other_versions=options.allow_other_versions,
        verbose=1,
    )


def load_definition(path: str) -> DistillationStudy:
    """Run a Python file, and return the study that it defines.

    Parameters
    ----------
    path : str

    Returns
    -------
    DistillationStudy
    """
    if not os.path.isfile(path) or not path.endswith(".py"):
        raise FileNotFoundError(
            f"{path!r}: expected a Python file that defines "
            "study = DistillationStudy(...)."
        )
    name = os.path.basename(path).removesuffix(".py")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))  # as Python does
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its classes are found by their names
    spec.loader.exec_module(module)
    study = getattr(module, "study", None)
    if not isinstance(study, DistillationStudy):
        raise ValueError(
            f"{path!r} defines no study: expected study = DistillationStudy(...), got "
            f"{'nothing of this name' if study is None else type(study).__name__}."
        )
    password = password_of(study.storage)
    with open(path, encoding="utf-8") as file:
        if password and password in file.read():
            raise ValueError(
                f"The password of the storage is written in {path!r}: leave it out of "
                "the URL, and set the environment variable PGPASSWORD, or write it to "
                "~/.pgpass."
            )
    return study


def _exit_code(error: Exception) -> int:
    if isinstance(error, OtherMachineError):
        return _OTHER_MACHINE
    return _STORAGE_AWAY if isinstance(error, ConnectionError) else _FAILED


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    expected = isinstance(error, (ValueError, TypeError, OSError, ImportError))
    return text if expected else f"{type(error).__name__}: {text} (--debug shows where)"


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
