"""A table of file names and labels, and the files that its names mean."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skkd.images._file_index import FileIndex, find_file_columns
from skkd.images._tables import COLUMNS, rank_of_labels

Column = str | int | None
LabelColumn = Column | list[str | int]


@dataclass(frozen=True)
class LabelTable:
    """Rows of a table; without a header the columns are numbered from 0."""

    header: list[Any]
    rows: list[tuple[Any, ...]]
    first_line: int
    is_text: bool

    @classmethod
    def read(cls, root: Path, table: Any, index: FileIndex) -> LabelTable:
        """Read a CSV file, or take a data frame."""
        if isinstance(table, str | os.PathLike):
            return cls._read_csv(_find_table(root, table), index)
        if not hasattr(table, "columns"):
            raise ValueError(
                f"labels={type(table).__name__}; expected the path of a CSV file, or a "
                f"data frame, such as {COLUMNS}."
            )
        header = list(table.columns)
        if len(set(header)) < len(header):
            raise ValueError(f"Columns of labels= have the same name: {header!r}.")
        columns = [table[name].to_list() for name in header]
        return cls(header, list(zip(*columns, strict=True)), 0, is_text=False)

    @classmethod
    def _read_csv(cls, path: Path, index: FileIndex) -> LabelTable:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"labels={str(path)!r} is not UTF-8 text ({error}); save it as CSV in "
                "UTF-8, or pass a data frame."
            ) from error
        first = text.partition("\n")[0]
        delimiter = max(",;\t|", key=first.count)
        rows = [
            tuple(row) for row in csv.reader(io.StringIO(text), delimiter=delimiter)
        ]
        if not rows or len(rows[0]) < 2:
            raise ValueError(
                f"labels={str(path)!r} begins with {first!r}; expected two or more "
                "columns, file name and label, separated by a comma, semicolon or tab. "
                f"For other files pass a data frame, such as pandas.read_csv("
                f"{str(path)!r}, sep=' ', header=None)."
            )
        odd = [i for i, row in enumerate(rows, 1) if row and len(row) != len(rows[0])]
        if odd:
            raise ValueError(
                f"labels={str(path)!r} has {len(rows[0])} columns, and row {odd[0]} "
                f"has {len(rows[odd[0] - 1])}: {rows[odd[0] - 1]!r}. Quote cells that "
                "hold the separator, or leave such rows out: pass "
                f"labels=pandas.read_csv({str(path)!r}, on_bad_lines='skip')."
            )
        header = [name.strip() for name in rows[0]]
        others = [row for row in rows[1:] if row]
        # Headers such as 0, 1 and 2 may name files too, but not in the column of files.
        likely = find_file_columns(header, others, index) or range(len(header))
        if any(index.find(header[i]) for i in likely):
            return cls(list(range(len(header))), [rows[0], *others], 1, True)
        return cls(header, others, 2, True)

    def place_of(self, i: int) -> str:
        """Name a row as a reader of the table finds it."""
        return f"row {i + self.first_line}"

    def choose_columns(
        self, file_column: Column, label_column: LabelColumn, index: FileIndex
    ) -> tuple[int, list[int]]:
        """Return which columns hold the names of files, and the labels."""
        if file_column is None:
            i_file = self._find_file_column(index)
        else:
            i_file = self._place_of_column("file_column", file_column)
        if label_column is not None:
            several = label_column if isinstance(label_column, list) else [label_column]
            i_label = [self._place_of_column("label_column", c) for c in several]
            if i_file in i_label:
                raise ValueError(
                    f"label_column={label_column!r} has the names of the files; "
                    f"expected another column of {self.header!r}."
                )
            return i_file, i_label
        others = [i for i in range(len(self.header)) if i != i_file]
        if len(others) == 1:
            return i_file, others
        names = [self.header[i] for i in others]
        is_one_hot = all(_hot(row[i]) is not None for row in self.rows for i in others)
        best = min(reversed(names), key=lambda name: rank_of_labels(str(name)))
        raise ValueError(
            f"The table has the columns {self.header!r}; say which is the label, for "
            f"example label_column={names if is_one_hot else best!r}."
        )

    def label_of(self, row: tuple[Any, ...], columns: Sequence[int]) -> Any:
        """Return the label in a row; of several columns the name of the one with 1."""
        if len(columns) == 1:
            return row[columns[0]]
        values = [_hot(row[i]) for i in columns]
        if None in values or sum(map(bool, values)) != 1:
            cells = {self.header[i]: row[i] for i in columns}
            raise ValueError(
                f"Of the columns label_column= exactly one is to be 1, others 0; "
                f"got {cells!r} in the row {row!r}."
            )
        return self.header[columns[values.index(True)]]

    def _place_of_column(self, name: str, column: Column) -> int:
        if self.header.count(column) > 1:
            places = [i for i, other in enumerate(self.header) if other == column]
            raise ValueError(
                f"{name}={column!r} is the name of several columns; pass the position "
                f"of one, {name}={places[0]}, of {places!r}."
            )
        if column in self.header:
            return self.header.index(column)
        if isinstance(column, int) and 0 <= column < len(self.header):
            return column
        raise ValueError(f"{name}={column!r}; expected one of {self.header!r}.")

    def _find_file_column(self, index: FileIndex) -> int:
        likely = find_file_columns(self.header, self.rows, index)
        if not likely:
            raise self._no_file_column(index)
        found = [[index.find(row[i]) for row in self.rows] for i in likely]
        if any(files != found[0] for files in found):
            names = [self.header[i] for i in likely]
            raise ValueError(
                f"The columns {names!r} name different files; say which names those "
                f"of the labels, for example file_column={names[0]!r}."
            )
        return likely[0]

    def _no_file_column(self, index: FileIndex) -> ValueError:
        row = self.rows[0] if self.rows else ()
        first = dict(zip(self.header, row, strict=False))
        names = [files[0].name for files in index.by_name.values()][:3]
        hint = "" if self.is_text else ", or, if the index has the names, reset_index()"
        return ValueError(
            f"No column of the table names files below root: its first row is "
            f"{first!r}, and there are {names!r}. Pass the folder of the images as "
            "root, write paths relative to it, such as those of a data frame "
            f"frame[column].map(os.path.basename), or say file_column={hint}."
        )


def _find_table(root: Path, table: str | os.PathLike[str]) -> Path:
    path = Path(table).expanduser()
    for candidate in (root / path, path):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"labels={str(table)!r} is neither a file in root={str(root)!r} nor one from "
        "the current folder; check the path."
    )


def convert_texts(labels: Sequence[str]) -> list[Any]:
    """Return the labels of a CSV file as ints, floats or bools if all are such.

    Texts such as 007 stay what they are, and so do NA and None.
    """
    texts = [label.strip() for label in labels]
    for parse in (_int, _float, _bool):
        values = [parse(text) for text in texts]
        if None not in values:
            return values
    return texts


def _hot(cell: Any) -> bool | None:
    """Return what a cell of a one-hot column says, None for another column."""
    text = str(cell).strip()
    return {"1": True, "1.0": True, "0": False, "0.0": False}.get(text, _bool(text))


def _int(text: str) -> int | None:
    is_plain = text.removeprefix("-").isdecimal() and text.isascii()
    return int(text) if is_plain and str(int(text)) == text else None


def _float(text: str) -> float | None:
    whole, point, digits = text.removeprefix("-").partition(".")
    is_plain = bool(point) and whole.isdecimal() and digits.isdecimal()
    return float(text) if is_plain and str(float(text)) == text else None


def _bool(text: str) -> bool | None:
    return {"True": True, "False": False}.get(text)
