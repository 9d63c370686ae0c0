"""The result of a comparison, as text, Markdown, frame and page."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from skkd._evaluate.models import Predictions
from skkd._utils.atomic import new_file
from skkd.report._cards import card_of_comparison
from skkd.report._compare._examples import Example
from skkd.report._compare._page import page_of
from skkd.report._compare._pairs import Pair
from skkd.report._compare._table_rows import COUNTS, MEASURES
from skkd.report._tables import Table, import_pandas

_WIDTH = 88


@dataclass(repr=False)
class Comparison:
    """Models compared on the same rows, as :func:`compare` returns them.

    Prints as a table, and shows as one in a notebook.

    Attributes
    ----------
    measures : dict of str to dict
        For each model its measures, None for one that does not apply. Latency is in
        seconds, throughput in rows per second; their quartiles are under
        ``latency_low``, ``latency_high`` and so on, the standard error of the accuracy
        under ``accuracy_error``.
    pairs : list of Pair
        Each model with each that comes after it.
    predictions : dict of str to Predictions
        What each model predicted.
    y : ndarray of shape (n,)
        The true labels.
    classes : ndarray of shape (n_classes,)
        All labels of y and of the models, sorted.
    notes : list of str
        How it was measured.
    machine : str
        Hardware and versions, one a line.
    confidence : float
        Confidence level of the intervals.
    teacher, baseline : str or None
        Names of two of the models, None if they are missing.
    caveat : str
        What the comparison depends on, its first line; "" for nothing.
    examples : list of Example
        If X holds images, those on which the models differ most.
    disagreement : str
        How often they differ, in a sentence.
    """

    measures: dict[str, dict[str, Any]]
    pairs: list[Pair]
    predictions: dict[str, Predictions]
    y: np.ndarray
    classes: np.ndarray
    notes: list[str]
    machine: str = ""
    confidence: float = 0.95
    teacher: str | None = None
    baseline: str | None = None
    caveat: str = ""
    examples: list[Example] = field(default_factory=list)
    disagreement: str = ""

    def __str__(self) -> str:
        tables = [table.text() for table in self.tables()]
        notes = [
            textwrap.fill(note, _WIDTH, subsequent_indent="  ") for note in self.notes
        ]
        first = [textwrap.fill(self.caveat, _WIDTH)] if self.caveat else []
        return "\n\n".join([*first, *tables, "\n".join(notes)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        tables = "".join(table.html() for table in self.tables())
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        first = f"<p><b>{escape(self.caveat)}</b></p>" if self.caveat else ""
        return f"<div>{first}{tables}{notes}</div>"

    def tables(self) -> list[Table]:
        """Return the table of the models and, if there are several, of the pairs.

        Returns
        -------
        list of Table
        """
        models_of = [row for m in MEASURES for row in m.rows(self.measures.values())]
        models = Table(["", *self.measures], models_of, caption="The models")
        return [models, self._table_of_pairs()] if self.pairs else [models]

    def _table_of_pairs(self) -> Table:
        several = len(self.pairs) > 1
        head = [
            *("accuracy of", "minus", "difference"),
            f"{100 * self.confidence:g} % interval",
            *("right alone", "McNemar p"),
        ]
        rows = [
            [
                *(pair.first, pair.second),
                f"{pair.difference:+z.3f}",
                f"{pair.low:+z.3f} to {pair.high:+z.3f}",
                f"{pair.only_first} : {pair.only_second}",
                _p(pair.p_value),
                *([_p(pair.p_holm)] if several else []),
            ]
            for pair in self.pairs
        ]
        if several:
            head.append("Holm p")
        return Table(head, rows, n_left=2, caption="The differences")

    def sentence(self, first: str, second: str) -> str:
        """Say in a sentence which of two models is more accurate, if any.

        Parameters
        ----------
        first, second : str
            Names of the models.

        Returns
        -------
        str
            As the page of :meth:`to_html` says it.

        Raises
        ------
        ValueError
            If they are not two of the models.
        """
        for pair in self.pairs:
            if {pair.first, pair.second} == {first, second}:
                return pair.sentence(self.confidence)
        raise ValueError(
            f"Got {first!r} and {second!r}: expected two of {[*self.measures]}."
        )

    def to_markdown(self) -> str:
        """Return tables, notes and the machine as Markdown.

        Returns
        -------
        str
        """
        tables = [table.markdown() for table in self.tables()]
        notes = [*self.notes, *self.machine.splitlines()]
        first = [self.caveat] if self.caveat else []
        return "\n\n".join([*first, *tables, "\n".join(f"- {note}" for note in notes)])

    def to_frame(self, what: str = "models") -> Any:
        """Return a pandas DataFrame.

        Parameters
        ----------
        what : {"models", "pairs"}, default="models"
            One row for each model, or for each pair.

        Returns
        -------
        pandas.DataFrame
            Unrounded numbers; a measure that does not apply is missing.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        if what not in ("models", "pairs"):
            raise ValueError(f"what={what!r}: expected 'models' or 'pairs'.")
        instead = "str(), to_markdown() and to_html() work without it."
        pd = import_pandas("Comparison.to_frame", instead)
        if what == "pairs":
            return pd.DataFrame([vars(pair) for pair in self.pairs])
        frame = pd.DataFrame.from_dict(self.measures, orient="index")
        return frame.astype(dict.fromkeys(COUNTS, "Int64"))  # NaN is no int

    def to_html(
        self, path: str | os.PathLike[str], title: str = "", about: Sequence[str] = ()
    ) -> None:
        """Write one self-contained page: tables, plots and, of images, examples.

        Parameters
        ----------
        path : str or path-like
            The file to write. It contains everything it shows and loads nothing.
        title : str, default=""
            Heading; "" lists the models.
        about : sequence of str, default=()
            Lines below it: what was compared, with which settings, when.

        Notes
        -----
        Requires jinja2, which torch installs. Plots require matplotlib; without it the
        page says that they are left out.
        """
        page = page_of(self, title, about)  # which may fail: nothing is written then
        with new_file(path) as temporary:
            temporary.write_text(page, encoding="utf-8")

    def to_card(
        self,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        student: Any = None,
        gain: Any = None,
        title: str = "",
        data: str = "",
        limits: str = "",
        file: str | None = None,
        license: str | None = None,
    ) -> None:
        """Write a model card: Markdown with metadata for the Hugging Face hub.

        Requires huggingface-hub, ``pip install "skkd[card]"``.

        Parameters
        ----------
        path : str or path-like
            The file to write, usually ``README.md`` beside the model.
        model : str or None, default=None
            Name of the model that the card is of. None is the only one that is neither
            teacher nor baseline.
        student : DistilledClassifier, Pipeline or OnnxClassifier, default=None
            The fitted student, whose network, teacher and loss the card describes.
        gain : Gain or None, default=None
            What :func:`gain` returned for this student.
        title : str, default=""
            Name of the model; "" is that of `model`.
        data : str, default=""
            The data, where they come from, and how they were split, in Markdown.
        limits : str, default=""
            What it is not for, and where it fails, in a sentence or two.
        file : str or None, default=None
            Name of the student's file, ``*.onnx`` or ``*.safetensors``: the card says
            how to load it.
        license : str or None, default=None
            As the hub abbreviates it, "bsd-3-clause".

        Raises
        ------
        ImportError
            If huggingface-hub is not installed.
        ValueError
            If `model` is none of the models, or not given where there are several, or
            if `student` has another number of parameters.
        """
        card_of_comparison(
            self,
            model,
            student,
            gain,
            title,
            data=data,
            limits=limits,
            file=file,
            license=license,
        ).write(path)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
