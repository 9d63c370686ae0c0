"""Keys, rows and tables for tests of the store."""

import numpy as np
from numpy.testing import assert_array_equal

from skkd._store.disk import DiskTable
from skkd._store.process import ProcessStore, ProcessTable


def keys_of(numbers):
    """Return keys that are spread like hashes: (n, 2)."""
    numbers = np.asarray(numbers, dtype=np.uint64)
    return np.column_stack([numbers * np.uint64(0x9E3779B97F4A7C15), numbers])


def rows_of(numbers, width=3):
    """Return the rows that belong to these keys, and to no other."""
    return np.add.outer(np.asarray(numbers, np.float32), np.arange(width) / 8).astype(
        "f"
    )


def on_disk(folder, width=3):
    return DiskTable(folder / "table", np.float32, (width,))


def in_process(folder=None, max_bytes=2**20, width=3, store=None):
    store = ProcessStore() if store is None else store
    return ProcessTable(store, "table", np.float32, (width,), max_bytes)


def add(table, numbers, width=3):
    with table.writing():
        table.add(keys_of(numbers), rows_of(numbers, width))


def check(table, numbers, expected, width=3):
    """Assert that exactly `expected` of `numbers` are found, with their rows."""
    found, rows = table.lookup(keys_of(numbers))
    assert_array_equal(found, np.isin(numbers, list(expected)))
    assert_array_equal(rows, rows_of(np.asarray(numbers)[found], width))


def folders(table):
    return sorted(table.folder.glob("rows-*"))
