"""The release of a package, which identifies its code without reading it."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from importlib.metadata import Distribution, distributions
from typing import Any

# What skkd itself needs: by its own version, without a search for metadata.
_REQUIRED = {
    *("skkd", "torch", "torchvision", "sklearn", "skorch", "joblib"),
    *("numpy", "scipy", "pandas", "PIL"),
}
_STDLIB = os.path.dirname(os.__file__)


def name_of(part: Any) -> str:
    """Return the name of a class or function, and its release, if it has one."""
    package = part.__module__ or ""
    return f"{package}.{part.__qualname__} {release_of(package)}"


def release_of_function(function: Any) -> str | None:
    """Return the release that identifies the code of a function.

    Not by its ``__module__``, which `functools.wraps` takes from what is wrapped.
    """
    scope = getattr(function, "__globals__", {})
    return release_of(scope.get("__name__") or function.__module__)


@functools.cache
def release_of(module: str | None) -> str | None:
    """Return the version that identifies the code of a module, if one does.

    Installed packages have one. Those that are installed in editable mode, and files
    that merely lie somewhere on the path, have none: their code may change any time.
    """
    package = (module or "").partition(".")[0]
    if package == "__main__":
        # Of a worker process the script is joblib's, and the classes are the user's.
        return None
    loaded = sys.modules.get(package)
    if getattr(loaded, "__file__", None) is None and hasattr(loaded, "__path__"):
        loaded = sys.modules.get(module or "")  # several share a namespace package
    return _release_of(package, getattr(loaded, "__file__", None))


def _release_of(package: str, file: str | None) -> str | None:
    if package in _REQUIRED:
        return getattr(sys.modules.get(package), "__version__", "unknown")
    if package in sys.stdlib_module_names:
        # A user's module may have the name of one of Python's, such as `test`.
        file = file or _STDLIB
        installed = file.startswith(_STDLIB) and "site-packages" not in file
        return "python" if installed else None
    found = None if file is None else _distribution_of(package, file)
    if found is None:
        return None
    if found.read_text("direct_url.json") is None:
        return found.version
    # From a folder or a repository, where the version stays while the code changes.
    record = found.read_text("RECORD") or ""
    return f"{found.version} {hashlib.sha256(record.encode()).hexdigest()[:16]}"


def _distribution_of(package: str, file: str) -> Distribution | None:
    """Return the distribution that installed this file, if its record says so."""
    folder, path = os.path.split(file)
    while folder != os.path.dirname(folder):  # beside the package, or further up
        for name in (package, None):  # the likely one first, then all
            for found in distributions(path=[folder], name=name):
                # A file of wheels, which lists what they installed.
                record = (found.read_text("RECORD") or "").splitlines()
                if any(line.startswith(f"{path},") for line in record):
                    return found
        folder, part = os.path.split(folder)
        path = f"{part}/{path}"
    return None
