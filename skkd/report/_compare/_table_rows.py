"""The lines of the table, their meaning, and the format of their numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skkd.report._tables import BLANK


@dataclass(frozen=True)
class Measure:
    """A line of the table."""

    key: str  # in ``Comparison.measures``
    meaning: str  # in a sentence or two
    title: str = ""  # in the table, if it is not the key
    form: str = ".3f"  # of a number
    below: str = ""  # what a second line shows: "quartiles" or "standard error"
    scale: int = 1  # factor of the numbers in the table

    @property
    def heading(self) -> str:
        """Its name in the table."""
        return self.title or self.key.replace("_", " ")

    def rows(self, models: Iterable[Mapping[str, Any]]) -> list[list[str]]:
        """Return the lines of the table, given all measures of each model.

        One line, a second one for `below`, or none if no model has this measure.
        """
        models = list(models)
        if all(values.get(self.key) is None for values in models):
            return []
        rows = [
            [self.heading, *(self._cell(values.get(self.key)) for values in models)]
        ]
        if self.below == "quartiles":
            ends = [
                [self._cell(values.get(f"{self.key}_{end}")) for values in models]
                for end in ("low", "high")
            ]
            spread = [" to ".join(pair) for pair in zip(*ends, strict=True)]
            rows.append([f"  {self.below}", *spread])
        elif self.below:
            errors = [self._cell(values.get(f"{self.key}_error")) for values in models]
            rows.append([f"  {self.below}", *errors])
        return rows

    def _cell(self, value: Any) -> str:
        return BLANK if value is None else _number(self.scale * value, self.form)


def _number(value: float, form: str) -> str:
    if form != "3 digits":
        return format(value, form)
    if not value:
        return "0"
    # Three significant digits, without an exponent: 0.0123, 1.23, 1,234.
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


MEASURES = (
    Measure(
        "accuracy",
        "The share of rows that are right, and its standard error over other rows of "
        "the same kind.",
        below="standard error",
    ),
    Measure(
        "balanced_accuracy",
        "The share of each class that is right, averaged over the classes.",
    ),
    Measure(
        "precision",
        "Of the rows predicted as a class, the share that belong to it; mean over "
        "classes.",
    ),
    Measure(
        "recall",
        "Of the rows of a class, the share predicted as it; mean over classes. The "
        "same as balanced accuracy.",
    ),
    Measure(
        "f1",
        "The harmonic mean of precision and recall of a class; mean over classes.",
        title="F1",
    ),
    Measure(
        "log_loss", "The mean of -log p of the true class: lower is better, 0 is best."
    ),
    Measure(
        "calibration_error",
        "How far confidence is from accuracy, on average (expected calibration error "
        "of the predicted class, 15 bins of equal width). Lower is better.",
    ),
    Measure("agreement", "The share of rows that get the same label from the teacher."),
    Measure(
        "parameters",
        "The number of weights in the networks, trained or not.",
        form=",d",
    ),
    Measure(
        "multiply_adds",
        "Those of convolutions and matrix products, for one row.",
        title="multiply-adds",
        form=",d",
    ),
    Measure(
        "bytes",
        "On disk: the weights of a network as torch saves them, the pickle of "
        "anything else.",
        form=",d",
    ),
    Measure(
        "latency",
        "Median time of a prediction, in milliseconds, and its quartiles.",
        title="ms for one row",
        form="3 digits",
        below="quartiles",
        scale=1000,
    ),
    Measure(
        "throughput",
        "Median for rows in batches, and its quartiles.",
        title="rows per second",
        form="3 digits",
        below="quartiles",
    ),
)
COUNTS = ("parameters", "multiply_adds", "bytes")
