"""Rows that are read from a file as they are needed."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stored_rows import add, check, folders, keys_of, on_disk

from skkd import DistillationWarning
from skkd._store import row_file
from skkd._store.row_file import RowFile

DTYPES = ["f4", "u1", [("columns", "u2", (3,)), ("rest", "f2")]]


def rows_of(dtype, n=300, width=5):
    # Below the bits of a NaN, which equals nothing.
    raw = np.random.default_rng(0).integers(0, 100, n * width * 8, dtype=np.uint8)
    rows = raw.view(dtype) if isinstance(dtype, list) else raw.astype(dtype)
    return rows[:n] if isinstance(dtype, list) else rows[: n * width].reshape(n, width)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gap", "step"), [(2**14, 2**24), (0, 2**24), (30, 64)])
def test_rows_are_those_of_the_array(tmp_path, monkeypatch, dtype, gap, step):
    monkeypatch.setattr(row_file, "_GAP", gap)
    monkeypatch.setattr(row_file, "_STEP", step)
    rows = rows_of(dtype)
    np.save(tmp_path / "rows.npy", rows)
    file = RowFile(tmp_path / "rows.npy")
    assert (file.shape, file.dtype, file.nbytes) == (
        rows.shape,
        rows.dtype,
        rows.nbytes,
    )
    rng = np.random.default_rng(1)
    for places in (
        np.arange(300),
        rng.permutation(300),
        rng.integers(0, 300, 40),
        np.array([299]),
        np.array([5, 5, 0, 299, 5]),
        np.zeros(0, dtype=np.intp),
    ):
        assert_array_equal(file.read(places), rows[places])


def test_a_file_of_another_size_is_refused(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((10, 3)))
    for size in (path.stat().st_size - 1, path.stat().st_size + 1):
        os.truncate(path, size)
        with pytest.raises(ValueError, match=r"rows\.npy has \d+ bytes, for rows"):
            RowFile(path)
    np.save(path, np.asfortranarray(np.zeros((10, 3))))
    with pytest.raises(ValueError, match=r"rows\.npy has"):
        RowFile(path)


def test_a_file_that_is_cut_between_two_reads(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(5000.0)[:, None])
    file = RowFile(path)
    os.truncate(path, 4096)
    assert_array_equal(file.read(np.array([400])), [[400]])
    with pytest.raises(ValueError, match=r"rows\.npy ends within its rows"):
        file.read(np.array([400, 4000]))


def test_a_table_whose_file_is_cut_reads_on(tmp_path, monkeypatch):
    """As long as it was mapped into memory, the process was ended by a signal."""
    table, numbers = on_disk(tmp_path), np.arange(5000)
    add(table, numbers)
    (folder,) = folders(table)
    opened = table._open

    def cut_once_opened(folder):
        segment = opened(folder)
        os.truncate(folder / "rows.npy", 4096)
        return segment

    monkeypatch.setattr(table, "_open", cut_once_opened)
    with pytest.warns(DistillationWarning, match="is damaged"):
        check(table, numbers, [])
    assert not folder.exists()


def test_an_error_of_the_disk_leaves_a_segment(tmp_path, monkeypatch):
    table = on_disk(tmp_path)
    add(table, [1, 2])

    def fail(*args):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(row_file, "_read_into", fail)
        with pytest.warns(DistillationWarning, match=r"Input/output.*stays as it is"):
            check(table, [1, 2], [])
        with pytest.warns(DistillationWarning, match=r"Input/output.*stays as it is"):
            add(table, [3])  # is not merged with what cannot be read
    check(table, [1, 2, 3], [1, 2, 3])
    assert len(folders(table)) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["keys", "rows", "checks"])
def test_a_named_pipe_in_the_place_of_a_file_does_not_block(tmp_path, name):
    table = on_disk(tmp_path)
    add(table, [1])
    (folder,) = folders(table)
    (folder / f"{name}.npy").unlink()
    os.mkfifo(folder / f"{name}.npy")
    with pytest.warns(DistillationWarning, match="no regular file"):
        check(table, [1], [])
    assert not folders(table)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to nothing", "pipe"])
@pytest.mark.parametrize("place", ["rows-0-0", "tmp-0"])
def test_whatever_takes_the_place_of_a_segment_is_removed(tmp_path, place, kind):
    table = on_disk(tmp_path)
    add(table, [1])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("not yours")
    strange = table.folder / place
    {
        "file": lambda: strange.write_text("a file"),
        "folder": lambda: (strange / "in" / "side").mkdir(parents=True),
        "link": lambda: strange.symlink_to(elsewhere),
        "link to nothing": lambda: strange.symlink_to(tmp_path / "nowhere"),
        "pipe": lambda: os.mkfifo(strange),
    }[kind]()
    if place == "rows-0-0" and kind != "link to nothing":
        with pytest.warns(DistillationWarning, match="is damaged"):
            check(table, [1, 2], [1])
    add(table, [2])
    check(table, [1, 2], [1, 2])
    left = {p.name.partition("-")[0] for p in table.folder.iterdir()} - {"rows"}
    assert left == {"lock", "holder"}
    assert (elsewhere / "mine.txt").read_text() == "not yours"
    assert len(table.lookup(keys_of([1, 2]))[1]) == 2
