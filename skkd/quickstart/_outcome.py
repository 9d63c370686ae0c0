"""The result of a run: a verdict, a table, and the files that were written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from skkd._utils.printable import wrapped
from skkd.report import Comparison
from skkd.report._tables import BLANK, Table

_ROWS = {
    "accuracy": (100, ".1f"),
    "parameters": (1, ",d"),
    "bytes": (1, ",d"),
    "latency": (1000, ".2f"),
}
_TITLES = {"accuracy": "accuracy, %", "latency": "ms for one image"}


@dataclass(frozen=True)
class Outcome:
    """What :func:`~skkd.quickstart.distill_folder` found, and where it is.

    Prints as verdict, table and files.

    Attributes
    ----------
    verdict : str
        Whether the teacher was worth it, in a sentence.
    about : str
        How many images there were, and what was trained.
    chosen : dict of str to float
        Temperature and alpha of the distilled student.
    measures : dict of str to dict
        For each model its measures, as of :func:`skkd.report.compare`.
    caveat : str
        What the numbers depend on; "" for nothing.
    files : dict of str to str
        Paths of what was written, by name.
    notes : list of str
        What was left out, and why.
    """

    verdict: str
    about: str
    chosen: dict[str, float]
    measures: dict[str, dict[str, Any]]
    caveat: str = ""
    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = ", ".join(f"{name} {value:g}" for name, value in self.chosen.items())
        texts = [self.verdict, self.caveat, f"{self.about} Distilled with {said}."]
        blocks = [wrapped(text) for text in texts if text]
        files = "\n".join(
            f"{name:11}  {path}" for name, path in self.files.items() if path
        )
        notes = [wrapped(note) for note in self.notes]
        return "\n\n".join([*blocks, self._table().text(), files, *notes])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists, text and numbers, for JSON.

        Returns
        -------
        dict of str to object
        """
        return asdict(self)

    def _table(self) -> Table:
        rows = [
            [
                _TITLES.get(key, key),
                *(_cell(values.get(key), *form) for values in self.measures.values()),
            ]
            for key, form in _ROWS.items()
        ]
        return Table(["", *self.measures], rows)


def _cell(value: Any, scale: int, form: str) -> str:
    return BLANK if value is None else format(scale * value, form)


def plain_measures(result: Comparison) -> dict[str, dict[str, Any]]:
    """Return the measures as numbers that JSON knows."""
    return {
        name: {
            key: value.item() if hasattr(value, "item") else value
            for key, value in values.items()
        }
        for name, values in result.measures.items()
    }
