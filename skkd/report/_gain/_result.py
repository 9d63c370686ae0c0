"""The result of gain()."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skkd._fit.seen_rows import UNKNOWN, look_for_seen_rows
from skkd.report._cards import card_of_gain
from skkd.report._gain._interval import Interval, crossed_interval
from skkd.report._gain._scoring import Fit, check_metric, differences, score_of
from skkd.report._tables import Table, count, import_pandas
from skkd.teachers import Finding

_NAMES = {
    "plain": "plain student",
    "distilled": "distilled student",
    "teacher": "teacher",
}


@dataclass(frozen=True, repr=False)
class Gain:
    """Scores of a student with and without its teacher, and what to conclude.

    Returned by :func:`gain`. Prints as a table with the verdict, also in a notebook.

    Parameters
    ----------
    predictions : tuple of Fit
        Predictions of each network on its test rows; one teacher for each distilled
        student.
    units : ndarray of shape (n,)
        For each row of X, its index or that of its group.
    metric : {"accuracy", "balanced_accuracy"} or callable
    confidence : float
    grouped : bool
        Whether units are groups.
    unknown_teacher : bool
        Whether a fitted teacher may have seen the test rows.

    Attributes
    ----------
    plain, distilled : ndarray of shape (n_seeds, n_folds)
        Scores of the students.
    teacher : ndarray of shape (n_seeds, n_folds) or None
        Scores of the teacher on the same rows; None if there is no teacher.
    gain : float
        Mean of ``distilled - plain``.
    interval : Interval
        ``(low, high)``.
    caveat : str
        What the result depends on, its first line; "" for nothing.
    findings : list of Finding
        Signs that the teacher had seen the test rows.
    verdict : str
        The conclusion, in a line.
    covers : str
        What the interval covers, and what not, in a line.
    seconds : dict of str to ndarray of shape (n_seeds, n_folds)
        Duration of `fit` of "plain" and "distilled", including the teacher's forward
        passes, excluding the steps before the student.
    n_parameters : dict of str to int or None
        For "plain", "distilled" and "teacher".
    """

    predictions: tuple[Fit, ...]
    units: np.ndarray
    metric: Any = "accuracy"
    confidence: float = 0.95
    grouped: bool = False
    unknown_teacher: bool = False

    def with_metric(self, metric: Any) -> Gain:
        """Return the same fits, scored by another metric.

        Parameters
        ----------
        metric : {"accuracy", "balanced_accuracy"} or callable
            A function of (y_true, y_pred); higher is better.

        Returns
        -------
        Gain
        """
        check_metric(metric)
        return replace(self, metric=metric)

    # Numbers ------------------------------------------------------------------

    @cached_property
    def plain(self) -> np.ndarray:
        """Scores of the student without its teacher, (n_seeds, n_folds)."""
        return self._scores("plain")

    @cached_property
    def distilled(self) -> np.ndarray:
        """Scores of the student with its teacher, (n_seeds, n_folds)."""
        return self._scores("distilled")

    @cached_property
    def teacher(self) -> np.ndarray | None:
        """Scores of the teacher, (n_seeds, n_folds), None without one."""
        return self._scores("teacher") if self._of("teacher") else None

    @property
    def gain(self) -> float:
        """Mean of ``distilled - plain``."""
        return float((self.distilled - self.plain).mean())

    @cached_property
    def interval(self) -> Interval:
        """Interval of the gain."""
        pairs: dict[int, list[tuple[Fit, Fit]]] = {}
        for one, two in zip(self._of("plain"), self._of("distilled"), strict=True):
            pairs.setdefault(one.seed, []).append((one, two))
        of_seeds, influence = differences(self.metric, [*pairs.values()], self.units)
        # As if one more row, or group, could always differ: that two students agree on
        # a few rows does not prove that they are equal.
        least = 1 / influence.shape[1] if self._percent else 0.0
        return crossed_interval(of_seeds, influence, self.confidence, least)

    @property
    def seconds(self) -> dict[str, np.ndarray]:
        """Duration of `fit` in seconds, of "plain" and "distilled"."""
        return {
            name: self._table(name, lambda fit: fit.seconds)
            for name in ("plain", "distilled")
        }

    @property
    def n_parameters(self) -> dict[str, int | None]:
        """Numbers of parameters, None for a teacher that is not a network."""
        firsts = {name: self._of(name)[:1] for name in _NAMES}
        return {n: fits[0].n_parameters if fits else None for n, fits in firsts.items()}

    # Words --------------------------------------------------------------------

    @cached_property
    def findings(self) -> list[Finding]:
        """Signs that the teacher had seen the test rows."""
        teachers, students = self._of("teacher"), self._of("distilled")
        if not (self.unknown_teacher and teachers):
            return []
        # A row counts once: seeds and folds are not independent of each other.
        number = np.concatenate([fit.rows for fit in teachers])
        first = np.unique(number, return_index=True)[1]
        teacher, student = (
            np.concatenate([fit.y_true == fit.y_pred for fit in fits])[first]
            for fits in (teachers, students)
        )
        known = [fit.confidence for fit in teachers if fit.confidence is not None]
        sizes = [len(fit.rows) for fit in teachers if fit.confidence is not None]
        sure = float(np.average(known, weights=sizes)) if known else None
        return look_for_seen_rows(teacher, student, sure)

    @property
    def caveat(self) -> str:
        """What the result depends on, "" for nothing."""
        if self.findings:
            return str(self.findings[0])
        return UNKNOWN if self.unknown_teacher else ""

    @property
    def verdict(self) -> str:
        """The conclusion."""
        low, high = self.interval
        level = f"{100 * self.confidence:g} %"
        bounds = f"{level} interval {self._show(low)} to {self._show(high)}"
        if any(code == "saw-test-rows" for code, _ in self.findings):
            shown = f"{self._show(self.gain)}{self._unit} ({bounds})"
            return f"no verdict, the teacher may have seen the test rows: {shown}"
        if low > 0:
            return f"gain of {self._show(self.gain)}{self._unit} ({bounds})"
        if high < 0:
            loss = self._show(-self.gain).lstrip("+")
            return f"a loss of {loss}{self._unit} ({bounds})"
        return f"no evidence of a gain: {self._show(self.gain)}{self._unit} ({bounds})"

    @property
    def covers(self) -> str:
        """What the interval covers, and what not."""
        seeds, folds = self.plain.shape
        rows = np.unique(np.concatenate([fit.rows for fit in self._of("plain")]))
        n_units = len(np.unique(self.units[rows]))
        units = count(len(rows), "test row")
        if self.grouped:
            units += f" in {count(n_units, 'group')}"
        of = f"{count(seeds, 'seed')} x {count(folds, 'fold')}, {units}."
        rows_drawn = "other groups of test rows" if self.grouped else "other test rows"
        covered: list[str] = []
        left: list[str] = []
        (covered if seeds > 1 else left).append("other seeds")
        (covered if n_units > 1 else left).append(rows_drawn)
        inside = " and ".join(covered) or "nothing"
        outside = " or ".join([*left, "other training rows"])
        return f"{of} The interval covers {inside}, not {outside}."

    def __str__(self) -> str:
        first = [self.caveat, ""] if self.caveat else []
        return "\n".join([*first, self._shown().text(), "", self.verdict, self.covers])

    __repr__ = __str__

    def to_markdown(self) -> str:
        """Return the table and the verdict in Markdown.

        Returns
        -------
        str
        """
        first = f"{self.caveat}\n\n" if self.caveat else ""
        return f"{first}{self._shown().markdown()}\n\n{self.verdict}\n{self.covers}"

    def _repr_html_(self) -> str:
        verdict, covers = html.escape(self.verdict), html.escape(self.covers)
        table = self._shown().html()
        first = f"<p><b>{html.escape(self.caveat)}</b></p>" if self.caveat else ""
        return f"<div>{first}{table}<p><b>{verdict}</b><br>{covers}</p></div>"

    def to_frame(self) -> Any:
        """Return one row for each network, seed and fold.

        Returns
        -------
        pandas.DataFrame
            With the columns network, seed, fold, score, seconds, n_parameters.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        instead = "The attributes plain, distilled, teacher and seconds do not."
        pd = import_pandas("Gain.to_frame", instead)
        frame = pd.DataFrame(self.predictions, columns=Fit._fields)
        frame["score"] = [self._score(fit) for fit in self.predictions]
        return frame[["network", "seed", "fold", "score", "seconds", "n_parameters"]]

    def to_card(self, path: str | os.PathLike[str], **about: Any) -> None:
        """Write a model card: Markdown with metadata for the Hugging Face hub.

        Requires huggingface-hub, ``pip install "skkd[card]"``. That of a comparison
        shows this gain as well, ``comparison.to_card(path, gain=gain)``.

        Parameters
        ----------
        path : str or path-like
            The file to write, usually ``README.md`` beside the model.
        **about
            `student`, `title`, `data`, `limits`, `file` and `license`, as of
            :meth:`Comparison.to_card`.
        """
        card_of_gain(self, **about).write(path)

    # Internals ----------------------------------------------------------------

    def _of(self, network: str) -> list[Fit]:
        return [fit for fit in self.predictions if fit.network == network]

    def _score(self, fit: Fit) -> float:
        return score_of(self.metric, fit.y_true, fit.y_pred)

    def _scores(self, network: str) -> np.ndarray:
        return self._table(network, self._score)

    def _table(self, network: str, value: Any) -> np.ndarray:
        fits = self._of(network)
        n_seeds = len({fit.seed for fit in fits})
        return np.array([value(fit) for fit in fits], dtype=float).reshape(n_seeds, -1)

    @property
    def _percent(self) -> bool:
        return not callable(self.metric)

    @property
    def _unit(self) -> str:
        return " points" if self._percent else ""

    def _show(self, value: float) -> str:
        return f"{100 * value:+z.1f}" if self._percent else f"{value:+z.3f}"

    def _shown(self) -> Table:
        name = getattr(self.metric, "__name__", self.metric)
        known = isinstance(name, str) and name.isidentifier()  # unlike "<lambda>"
        name = name.replace("_", " ") if known else "score"
        rows = []
        for network, title in _NAMES.items():
            scores = getattr(self, network)
            if scores is None:
                continue
            size = self.n_parameters[network]
            seconds = self.seconds.get(network)
            time = "" if seconds is None else f"{np.median(seconds):.1f}"
            figures = "{:.3f}"
            if self._percent:
                scores, figures = 100 * scores, "{:.1f}"
            shown = _spread(scores, figures) + " %" * self._percent
            rows.append([title, shown, "" if size is None else f"{size:,}", time])
        head = ["", name, "parameters", "seconds to fit"]
        return Table(head, rows, caption="With and without teacher")


def _spread(values: np.ndarray, figures: str) -> str:
    """Return mean and standard deviation over the fits."""
    mean = figures.format(values.mean())
    if values.size == 1:
        return mean
    return f"{mean} ± {figures.format(values.std(ddof=1))}"
