"""What has to be the same on all machines of a study, and is compared."""

from __future__ import annotations

import platform
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from skkd._version import __version__
from skkd.memory import FingerprintError
from skkd.memory._fingerprint import fingerprint
from skkd.memory._logits import as_memory
from skkd.memory._row_keys import row_keys

# The packages that a score may depend on.
_PACKAGES = ("torch", "scikit-learn", "skorch", "numpy")
# Without influence on scores, or different on each machine.
_FREE = frozenset({"memory", "device", "verbose", "strict", "use_caching", "compile"})
_PLAIN = (int, float, str, bool, type(None))
_OTHERWISE = "or give the study another name"


class OtherMachineError(ValueError):
    """A machine, or its definition of a study, differs from those before it."""


def versions() -> dict[str, str]:
    """Return the versions of what a score may depend on."""
    out = {"python": platform.python_version().rpartition(".")[0], "skkd": __version__}
    for package in _PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "unknown"
        # Not what it was built for: torch's +cpu and +cu126 may work together.
        out[package] = found.partition("+")[0]
    return out


def definition(
    estimator: Any, searched: set[str], **settings: Any
) -> dict[str, str | None]:
    """Return what makes scores of trials comparable.

    Parameters
    ----------
    estimator : DistilledClassifier
    searched : set of str
        Names of parameters that trials set.
    **settings
        Of the study, such as ``cv``.

    Returns
    -------
    dict of str to str or None
        None is searched, or cannot be told by its content.
    """
    params = estimator.get_params(deep=False)
    compared = {k: v for k, v in params.items() if k not in searched | _FREE}
    described = {k: _describe(v) for k, v in {**settings, **compared}.items()}
    return {**described, **dict.fromkeys(searched)}


def _describe(value: Any) -> str | None:
    if isinstance(value, (*_PLAIN, BaseCrossValidator)):
        return repr(value)
    if isinstance(value, type):  # its module may be __main__ on one of the machines
        return value.__qualname__
    try:
        return f"{type(value).__name__} {fingerprint(value)[:12]}"
    except FingerprintError:
        return None


def fingerprint_of_data(X: Any, y: Any, groups: Any) -> str | None:
    """Return a hash of the samples in their order, or None if it cannot be told."""
    try:
        keys, kind = row_keys(X)
        groups = None if groups is None else np.asarray(groups)
        return fingerprint((keys, kind, np.asarray(y), groups))
    except FingerprintError:
        return None


def folder_of_memory(estimator: Any) -> Path | None:
    """Return the folder that the machines share for the logits of the teacher."""
    memory = as_memory(getattr(estimator, "memory", None))
    folder = None if memory is None else memory._folder()
    return None if folder is None else folder.parents[1]


def mark_memory(estimator: Any) -> str | None:
    """Put a mark into the folder of the memory, by which others know the folder."""
    folder = folder_of_memory(estimator)
    if folder is None:
        return None
    mark = uuid.uuid4().hex
    try:
        _path_of_mark(folder, mark).parent.mkdir(parents=True, exist_ok=True)
        _path_of_mark(folder, mark).touch()
    except OSError as error:
        raise OSError(
            f"memory={str(folder)!r}: nothing can be written there ({error}). Give a "
            "folder that all machines of the study can write to."
        ) from error
    return mark


def check_memory_mark(estimator: Any, mark: str | None) -> None:
    """Raise OtherMachineError if the memory's folder is not that of the others."""
    folder = folder_of_memory(estimator)
    if mark is None or folder is None:
        return
    path = _path_of_mark(folder, mark)
    if not path.exists():
        raise OtherMachineError(
            f"memory={str(folder)!r} is not the folder that the other workers of this "
            f"study see: there is no file {str(path)!r} in it. Mount the folder that "
            "the machines share; or, if it was emptied meanwhile, make this empty file."
        )


def _path_of_mark(folder: Path, mark: str) -> Path:
    return folder / "skkd-studies" / mark


def check_versions(kept: dict[str, str], here: dict[str, str]) -> None:
    """Raise OtherMachineError if versions differ from those the study began with."""
    differ = differences(kept, here)
    if differ:
        raise OtherMachineError(
            f"This machine has {_list(differ, here)}; the study was begun with "
            f"{_list(differ, kept)}. Scores may differ for that alone: install the "
            f"same versions, {_OTHERWISE}, or accept it by allow_other_versions=True "
            "(--allow-other-versions), which each trial then records."
        )


def check_definition(kept: dict[str, Any], here: dict[str, Any]) -> None:
    """Raise OtherMachineError if the study was begun with other settings."""
    differ = differences(kept, here)
    if differ:
        raise OtherMachineError(
            f"The study was begun with {_list(differ, kept)}; here it has "
            f"{_list(differ, here)}. Such scores cannot be compared: use the same "
            f"definition on all machines, {_OTHERWISE}. A teacher, or another object, "
            "that is fitted on each machine anew may come out otherwise: fit it once, "
            "and read it from a file."
        )


def check_data(kept: str | None, here: str | None) -> None:
    """Raise OtherMachineError if the samples are not those of the other machines."""
    if kept is not None and here is not None and kept != here:
        raise OtherMachineError(
            "X, y or groups differ from those that the study was begun with, in their "
            "values or in their order. Give all machines the same files in the same "
            f"order, {_OTHERWISE}."
        )


def differences(kept: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return the names of what differs; None is what cannot be compared."""
    names = [*kept, *(name for name in here if name not in kept)]
    return [
        name
        for name in names
        if kept.get(name, "") is not None
        and here.get(name, "") is not None
        and kept.get(name) != here.get(name)
    ]


def _list(names: list[str], values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {values.get(name, 'not set')}" for name in names)
