"""A file of finished fits, so that an interrupted run can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from skorch import NeuralNet

from skkd._evaluate.machine import version
from skkd._utils.disk_errors import disk_errors
from skkd._utils.records import sealed, unsealed
from skkd.memory._fingerprint import ContentHasher, FingerprintError, fingerprint
from skkd.memory._row_keys import row_keys
from skkd.recipes._base import Recipe
from skkd.report._gain._folds import Fold
from skkd.teachers._as_teacher import as_teacher

_FORMAT = 2
# Parameters that do not affect what is learnt.
_IGNORED = {"verbose", "memory", "device", "n_jobs", "strict", "on_interrupt"}


class Journal:
    """Records of fits, one line of JSON each, after a header that identifies the run.

    `about` holds fingerprints of the estimator, the data and the versions; a file of
    another run is refused with a ValueError that says what differs.
    """

    def __init__(self, path: Any, about: dict[str, Any]) -> None:
        self.path = Path(path)
        self.about = about

    @contextmanager
    def opened(self) -> Iterator[list[dict[str, Any]]]:
        """Lock the file, and return the records in it."""
        lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            with self._disk_errors():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire()
        except Timeout as error:
            raise ValueError(
                f"resume={str(self.path)!r}: another process is writing to this file. "
                "Pass another path, or wait until it is finished."
            ) from error
        try:
            with self._disk_errors():
                records = self._read()
            yield records
        finally:
            lock.release()

    def add(self, record: dict[str, Any]) -> None:
        """Append a record, which is on disk when this returns."""
        with self._disk_errors(), open(self.path, "a", encoding="utf-8") as file:
            file.write(sealed(record))
            file.flush()
            os.fsync(file.fileno())

    def _disk_errors(self) -> AbstractContextManager[None]:
        return disk_errors(
            f"resume={str(self.path)!r} cannot be read or written",
            "Give a file in a folder that you may write to, on a disk with free space. "
            "Fits that are in the file stay there.",
        )

    def _read(self) -> list[dict[str, Any]]:
        raw = self.path.read_bytes() if self.path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):  # killed while it wrote its last line
            if not whole and not raw.startswith(b'{"skkd.report.gain"'[: len(raw)]):
                raise self._foreign()
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))
        if not whole:
            self.add({"skkd.report.gain": _FORMAT, **self.about})
            return []
        header, *lines = whole.decode("utf-8", "replace").splitlines()
        self._check_header(self._parsed_header(header))
        return [self._parsed(i, line) for i, line in enumerate(lines, start=2)]

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            return unsealed(line)
        except ValueError as error:
            raise ValueError(
                f"resume={str(self.path)!r}: line {number} is not what gain wrote. "
                "Delete it, and its fit is repeated."
            ) from error

    def _parsed_header(self, line: str) -> dict[str, Any]:
        try:
            header = json.loads(line)
        except ValueError as error:
            raise self._foreign() from error
        if not isinstance(header, dict):
            raise self._foreign()
        if header.get("skkd.report.gain") != _FORMAT:
            return header  # of another format, which is said
        try:
            return unsealed(line)
        except ValueError as error:
            raise ValueError(
                f"resume={str(self.path)!r}: line 1 is not what gain wrote. Pass "
                "another path, or delete the file to start again."
            ) from error

    def _foreign(self) -> ValueError:
        return ValueError(
            f"resume={str(self.path)!r} was not written by gain: expected a file "
            "that gain wrote, or the path of a new one."
        )

    def _check_header(self, header: dict[str, Any]) -> None:
        found = header.pop("skkd.report.gain", None)
        if found is None:
            raise self._foreign()
        differs = [] if found == _FORMAT else ["the format of the file"]
        for part, wanted in self.about.items():
            held = header.get(part)
            held = held if isinstance(held, dict) else {}
            names = [k for k in {**held, **wanted} if held.get(k) != wanted.get(k)]
            differs += [f"{name} of the {part}" for name in names]
        if differs:
            raise ValueError(
                f"resume={str(self.path)!r} holds fits of something else: "
                f"{', '.join(differs)} differ. Pass another path, or delete the file "
                "to start again."
            )


def about(
    estimator: Any, X: Any, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, dict[str, str]]:
    """Return fingerprints that identify these fits; with groups if they matter."""
    keys, kind = row_keys(X)
    labels = repr((y.dtype.kind, y.tolist()))
    data = {"X": _digest(kind.encode() + keys.tobytes()), "y": _digest(labels.encode())}
    if groups is not None:
        data["groups"] = _digest(repr(groups.tolist()).encode())
    names = ("skkd", "torch", "scikit-learn")
    return {
        "estimator": _described(clone(estimator)),
        "data": data,
        "versions": {name: str(version(name)) for name in names},
    }


def split_key(fold: Fold) -> str:
    """Return a hash of the rows of a fold."""
    parts = [np.ascontiguousarray(part, dtype=np.int64).tobytes() for part in fold]
    return _digest(b"|".join(parts))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _described(estimator: Any, prefix: str = "") -> dict[str, str]:
    """Return a fingerprint of each parameter, also of steps and of a recipe's net."""
    # The type by name: the code of skkd and scikit-learn is known by the versions.
    out = {f"{prefix}type": f"{type(estimator).__module__}.{type(estimator).__name__}"}
    if isinstance(estimator, Pipeline):
        params: Mapping[str, Any] = dict(estimator.steps)
    else:
        params = estimator.get_params(deep=False)
    # The random_state of a student is replaced by the seed, that of a step is not.
    is_seeded = isinstance(estimator, (NeuralNet, Recipe))
    ignored = _IGNORED | ({"random_state"} if is_seeded else set())
    for name, value in params.items():
        if name in ignored:
            continue
        inside = isinstance(estimator, (Pipeline, Recipe))
        if inside and isinstance(value, BaseEstimator):
            out |= _described(value, f"{prefix}{name}__")
        else:
            fitted = name == "teacher" and params.get("teacher_cv") == "prefit"
            out[prefix + name] = _fingerprint(prefix + name, value, fitted=fitted)
    return out


def _fingerprint(name: str, value: Any, *, fitted: bool = False) -> str:
    if fitted and value is not None:
        value = as_teacher(value)
    elif isinstance(value, NeuralNet):  # unfitted: its training parameters matter
        value = (type(value), sorted(value.get_params(deep=False).items()))
    try:
        if isinstance(value, FunctionType):  # also lambdas and nested functions
            value = ContentHasher()._describe_function(value)
        return fingerprint(value)[:16]
    except FingerprintError as error:
        raise ValueError(
            f"resume= requires a fingerprint of {name} of the estimator, which has "
            f"none: {error.__cause__}. Leave out resume=."
        ) from error
