"""The content of programs of torch.jit: what they are saved as, without names."""

from __future__ import annotations

import io
import re
import zipfile
from itertools import groupby
from pickletools import genops
from typing import Any

import torch

from skkd._utils.modules import eval_mode

# A type of a program. Types of one name are numbered as a process makes them.
_TYPE = re.compile(
    r"__torch__((?:\.\w+)*?)(?:\.___torch_mangle_(\d+))?\.(\w+)(?![\w.])"
)
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


def content_of_script(program: Any) -> Any:
    """Return code, constants and weights, the same for the same program."""
    parts = [program] if isinstance(program, torch.nn.Module) else []
    with eval_mode(*parts):  # the mode is saved, and no content
        raw = program.save_to_buffer()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        # Below a folder, whose name does not matter.
        paths = {name.partition("/")[2]: name for name in archive.namelist()}
        files = {
            name: archive.read(path)
            for name, path in sorted(paths.items())
            if not name.startswith((".", "traced_inputs"))  # what it was traced with
        }
    names, pickles = _Names(), []
    for name, raw in files.items():
        if name.endswith(".pkl"):  # the tree of parts, which numbers their types
            steps = [(op, names.in_text(value)) for op, value in _steps_of(raw)]
            pickles.append((name, steps))
    texts = {name: raw.decode() for name, raw in files.items() if name.endswith(".py")}
    code = [
        (names.of_file(name, text), _sorted_constants(names.in_text(text)))
        for name, text in texts.items()
    ]
    weights = [(name, raw) for name, raw in files.items() if _is_weight(name)]
    return "script", pickles, sorted(code), weights


def _is_weight(name: str) -> bool:
    return "/" in name and not name.startswith("code/")


def _steps_of(pickled: bytes) -> list[tuple[str, Any]]:
    """Return the steps of a pickle, whatever it refers to written out or by place.

    Which objects may be referred to differs after a round trip.
    """
    steps: list[tuple[str, Any]] = []
    places: dict[Any, int] = {}
    for opcode, value, _ in genops(pickled):
        if opcode.name.endswith("PUT"):
            places[value] = len(steps) - 1
        elif opcode.name.endswith("GET"):
            there = steps[places[value]]
            is_text = isinstance(there[1], str)
            steps.append(there if is_text else ("GET", places[value]))
        else:
            steps.append((opcode.name, value))
    return steps


class _Names:
    """Types by number, in the order in which a program mentions them."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], list[str]] = {}

    def of(self, space: str, number: str | None, name: str) -> str:
        """Return the name of a type, with the number that it has in this program."""
        known = self.numbers.setdefault((space, name), [])
        if (number or "") not in known:
            known.append(number or "")
        return f"{space}.{name} {known.index(number or '')}"

    def in_text(self, value: Any) -> Any:
        """Replace the names of types in a text."""
        if not isinstance(value, str):
            return value
        # Pickle has a blank between the module of a type and its name.
        text = re.sub(r"(__torch__[\w.]*) (\w+)", r"\1.\2", value)
        return _TYPE.sub(lambda found: self.of(*found.groups()), text)

    def of_file(self, name: str, code: str) -> list[str]:
        """Return the names of the types that a file of code defines."""
        space = name.removeprefix("code/").removesuffix(".py").replace("/", ".")
        return [self.in_text(f"{space}.{cls}") for cls in _CLASS.findall(code)] or [
            name
        ]


def _sorted_constants(code: str) -> list[str]:
    """Return the lines of code, neighbouring constants in the order of their names."""
    lines: list[str] = []
    for constant, group in groupby(code.splitlines(), lambda line: ": Final[" in line):
        run = [*group]
        lines += sorted(run) if constant else run
    return lines
