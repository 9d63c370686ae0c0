"""The machine and the versions, without which no timing means anything."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

import torch

from skkd._version import __version__

PACKAGES = ("skkd", "torch", "torchvision", "skorch", "scikit-learn", "numpy")


def describe_machine(packages: Iterable[str] = ()) -> str:
    """Return the hardware, the threads of torch, and the versions, in three lines.

    Parameters
    ----------
    packages : iterable of str, default=()
        Names of further packages, as ``pip`` knows them.

    Returns
    -------
    str
        What the system does not report is left out.

    Examples
    --------
    >>> from skkd.report import describe_machine
    >>> hardware, system, versions = describe_machine().splitlines()
    >>> "skkd" in versions and "torch" in versions
    True
    """
    names = dict.fromkeys((*PACKAGES, *packages))
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    memory = _memory()
    hardware = [
        f"CPU: {_cpu()}, {_n_cores()} cores, torch on {torch.get_num_threads()} "
        f"thread{'s' * (torch.get_num_threads() > 1)}",
        *([] if memory is None else [f"RAM {memory:.0f} GiB"]),
        f"GPU: {_gpu()}",
    ]
    system = f"{platform.platform()}, Python {platform.python_version()}"
    return f"{'; '.join(hardware)}\n{system}\n{versions}"


def version(package: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    if package == "skkd":  # the running checkout may not be the installed one
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = {line.split(":")[1].strip() for line in lines if "model name" in line}
    name = ", ".join(sorted(names)) or platform.processor() or platform.machine()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    if not flags:
        return name
    bf16 = [flag for flag in flags if flag in ("avx512_bf16", "amx_bf16")]
    return f"{name} ({' '.join(bf16) or 'without bf16'})"


def _n_cores() -> int | None:
    # Those that this process may use, if the system tells.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None


def _gpu() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
