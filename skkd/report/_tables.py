"""A table of words and numbers, as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from skkd._utils.printable import printable

BLANK = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """A table of formatted cells.

    The first `n_left` columns hold words, which are aligned to the left. Only HTML
    shows the caption.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_left: int = 1
    caption: str = ""

    def text(self) -> str:
        """Return lines with aligned columns."""
        lines = [[*map(printable, line)] for line in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < self.n_left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Return a table of GitHub's Markdown."""
        bars = ["---" if i < self.n_left else "---:" for i in range(len(self.head))]
        lines = [self.head, bars, *self.rows]
        escaped = [
            [printable(cell).replace("|", "\\|") for cell in line] for line in lines
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

    def html(self) -> str:
        """Return a ``<table>`` that needs no style sheet."""
        head = "".join(
            self._cell("th", i, text, 'scope="col" ') if text else "<td></td>"
            for i, text in enumerate(self.head)
        )
        body = "".join(map(self._row, self.rows))
        return (
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _row(self, row: Sequence[str]) -> str:
        heading = self._cell("th", 0, row[0].strip(), 'scope="row" ')
        cells = [self._cell("td", i, cell) for i, cell in enumerate(row) if i]
        # The name of a row that belongs to the one above is indented.
        kind = ' class="under"' if row[0].startswith(" ") else ""
        return f"<tr{kind}>{heading}{''.join(cells)}</tr>"

    def _cell(self, tag: str, column: int, text: str, attributes: str = "") -> str:
        side = "left" if column < self.n_left else "right"
        style = f'style="text-align:{side}"'
        if side == "left":
            attributes += 'class="word" '
        return f"<{tag} {attributes}{style}>{escape(printable(text))}</{tag}>"


def import_pandas(method: str, instead: str) -> Any:
    """Return pandas; raise if it is not installed, and say what works without it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{method} requires pandas: `pip install pandas`. {instead}"
        ) from error
    return pandas


def count(number: int, what: str, many: str = "") -> str:
    """Return "1 row", "2 rows"; `many` is an irregular plural."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"
