"""The history of a fit in columns: of batches there are many."""

from __future__ import annotations

from typing import Any

from skorch.history import History

from skkd.checkpoints._values import Encoder

_BATCHES = "batches"


def history_to_json(history: History, encode: Encoder) -> Any:
    """Return what JSON holds of a history, its numbers in a few arrays."""
    columns: dict[tuple[str, ...], list[list[Any]]] = {}  # by the names in a batch
    numbers: dict[tuple[str, ...], int] = {}
    kinds, counts = [], []
    for row in history:
        counts.append(len(row[_BATCHES]))
        for batch in row[_BATCHES]:
            names = tuple(batch)
            kinds.append(numbers.setdefault(names, len(numbers)))
            values = columns.setdefault(names, [[] for _ in names])
            for column, value in zip(values, batch.values(), strict=True):
                column.append(value)
    rows = [{k: v for k, v in row.items() if k != _BATCHES} for row in history]
    batches = [[list(names), values] for names, values in columns.items()]
    return encode([rows, counts, kinds, batches], "history")


def rows_of(content: list[Any]) -> list[dict[str, Any]]:
    """Return the rows of the history that `history_to_json` took apart, decoded."""
    rows, counts, kinds, batches = content
    rest = [iter(zip(*values, strict=True)) for _, values in batches]
    names = [names for names, _ in batches]
    order, found = iter(kinds), []
    for row, count in zip(rows, counts, strict=True):
        own = []
        for _ in range(count):
            kind = next(order)
            values = next(rest[kind]) if names[kind] else ()
            own.append(dict(zip(names[kind], values, strict=True)))
        found.append({_BATCHES: own, **row})
    return found
