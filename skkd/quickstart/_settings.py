"""What a run was asked to do, and the folder in which it keeps what is finished."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from skkd._utils.atomic import is_disk_full, new_file

RESULTS = (
    *("student.safetensors", "student.onnx", "card.md", "comparison.html"),
    *("result.json", "teacher.safetensors", "plain.safetensors"),
)
_WORK = ".skkd"


@dataclass(frozen=True)
class Settings:
    """What determines the result of a run.

    ``images`` is a digest of the files, their classes and their split.
    """

    folder: str
    test: str
    teacher: str
    student: str
    size: int
    epochs: int
    search: bool
    seed: int
    images: str
    version: str


class RunFolder:
    """A folder of results. What is finished is in it, whole, whenever it is killed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self.work = self.path / _WORK
        self._is_new = not self.path.exists()

    def check(self, *images: str | os.PathLike[str] | None) -> None:
        """Make the folder, and raise unless a run may write to it.

        It may not lie in a folder of `images`, whose folders are their classes.
        """
        self._check_outside(*images)
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(
                f"out={str(self.path)!r} is a file: expected a folder, or the name of "
                "a new one."
            )
        foreign = [name for name in RESULTS if (self.path / name).exists()]
        if foreign and not self._settings_file.exists():
            raise FileExistsError(
                f"out={str(self.path)!r} has a {foreign[0]} that no run of this kind "
                "wrote: nothing was changed. Pass another folder."
            )
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise OSError(
                f"out={str(self.path)!r} cannot be made ({error.strerror}): pass a "
                "folder below one that you may write to."
            ) from None
        with new_file(self.work / "writable") as file:
            file.write_bytes(b"")
        (self.work / "writable").unlink()

    def _check_outside(self, *images: str | os.PathLike[str] | None) -> None:
        own = self.path.resolve()
        for folder in images:
            if folder is None:
                continue
            path = Path(folder).expanduser()
            if path.is_dir() and own.is_relative_to(path.resolve()):
                raise ValueError(
                    f"out={str(self.path)!r} lies in the folder of images "
                    f"{str(path)!r}, whose folders are its classes: pass a folder "
                    "beside it."
                )

    def clear(self) -> None:
        """Remove what a process that was killed had begun to write."""
        for folder, names in ((self.path, RESULTS), (self.work, ("*.json",))):
            for name in names:
                for unfinished in folder.glob(f".{name}.*.tmp"):
                    unfinished.unlink()
        for folder in self.path.glob(".unfinished-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def known_settings(self) -> dict[str, Any]:
        """Return the settings of the run that is here; none if there is none."""
        exists = self._settings_file.exists()
        return self.read_json(self._settings_file) if exists else {}

    def open(self, settings: Settings) -> None:
        """Begin a run, or go on with that of the same settings."""
        asked, known = asdict(settings), self.known_settings()
        if not known:
            self.write_json(self._settings_file, asked)
            return
        other = [name for name, value in asked.items() if known.get(name) != value]
        if not other:
            return
        differ = ", ".join(
            f"{name}={known.get(name)!r} there, {asked[name]!r} now"
            if name != "images"
            else "the images, or their split, are others"
            for name in other
        )
        raise ValueError(
            f"out={str(self.path)!r} holds a run with other settings: {differ}. "
            "Nothing was changed. Pass the same settings to go on with it, or another "
            "folder to begin anew."
        )

    def leave(self) -> None:
        """Remove what a run has made that did not begin."""
        if not self._settings_file.exists():
            shutil.rmtree(self.path if self._is_new else self.work, ignore_errors=True)

    @property
    def _settings_file(self) -> Path:
        return self.work / "settings.json"

    @staticmethod
    def write_json(path: Path, content: Any) -> None:
        """Write a JSON file, whole or not at all."""
        with new_file(path) as file:
            file.write_text(json.dumps(content, indent=1), encoding="utf-8")

    @staticmethod
    def read_json(path: Path) -> Any:
        """Read a JSON file of a run."""
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{str(path)!r} is damaged ({error}): delete the folder "
                f"{str(path.parent.parent)!r}, or pass another one."
            ) from None
