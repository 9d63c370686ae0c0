"""Rows by key in the memory of a process, and what all tables have in common."""

import threading
import time
from collections import OrderedDict

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stored_rows import add, check, folders, in_process, keys_of, on_disk, rows_of

from skkd._store.process import ProcessStore, ProcessTable, Segment, merged
from skkd._utils.checksum import row_checksums

# --- Segments -----------------------------------------------------------------------


def test_segment_finds_what_it_holds():
    numbers = np.random.default_rng(0).permutation(1000)
    segment = Segment.of(keys_of(numbers), rows_of(numbers))
    here, places = segment.find(keys_of(np.arange(-0, 2000)[::-1]))
    assert_array_equal(here, np.arange(2000)[::-1] < 1000)
    assert_array_equal(segment.rows[places], rows_of(np.arange(1000)[::-1]))
    assert segment.nbytes == 1000 * (16 + 12 + 8)


def test_segment_of_equal_keys_keeps_the_first():
    segment = Segment.of(keys_of([5, 5, 3]), rows_of([1, 2, 3]))
    assert_array_equal(segment.rows[segment.find(keys_of([5]))[1]], rows_of([1]))
    assert len(segment.keys) == 2


def test_keys_that_differ_in_their_second_word_alone():
    keys = np.array([[7, 1], [7, 2]], dtype=np.uint64)
    segment = Segment.of(keys, rows_of([1, 2]))
    here, places = segment.find(keys)
    # One of two such keys is not looked for; nothing wrong is found for it.
    assert here.any()
    assert_array_equal(segment.rows[places], rows_of([1, 2])[here])
    assert not segment.find(np.array([[7, 3]], dtype=np.uint64))[0].any()


def test_empty_segment():
    segment = Segment.of(keys_of([]), rows_of([]))
    assert not segment.find(keys_of([1, 2]))[0].any()
    assert segment.find(keys_of([]))[1].shape == (0,)


def test_merged_segments_keep_their_checksums():
    one, other = (Segment.of(keys_of(n), rows_of(n)) for n in ([1, 4, 9], [2, 4]))
    one.rows[0] += 1  # damage is not covered up
    both = merged(one, other)
    assert len(both.keys) == 4
    wrong = row_checksums(both.keys, both.rows) != both.checks
    assert_array_equal(both.keys[wrong], one.keys[:1])


@pytest.mark.parametrize(
    "dtype", ["f4", "f2", "u1", [("columns", "u2", (3,)), ("rest", "f2")]]
)
def test_every_bit_shows_in_the_checksum(dtype):
    rows = np.zeros((1, 5) if isinstance(dtype, str) else 1, dtype=dtype)
    keys = keys_of([3])
    seen = {int(row_checksums(keys, rows)[0])}
    raw = rows.view(np.uint8).reshape(-1)
    for place in range(len(raw)):
        for bit in range(8):
            raw[place] ^= 1 << bit
            seen.add(int(row_checksums(keys, rows)[0]))
            raw[place] ^= 1 << bit
    for word in range(2):
        for bit in range(64):
            keys[0, word] ^= np.uint64(1 << bit)
            seen.add(int(row_checksums(keys, rows)[0]))
            keys[0, word] ^= np.uint64(1 << bit)
    assert len(seen) == 1 + 8 * len(raw) + 128
    assert row_checksums(np.zeros((1, 2), np.uint64), rows) != 0


def test_two_signs_do_not_cancel():
    rows = rows_of([3], width=16)
    right, keys = row_checksums(keys_of([3]), rows), keys_of([3])
    for one in range(16):
        for other in range(one):
            wrong = rows.copy()
            wrong[0, [one, other]] *= -1
            assert row_checksums(keys, wrong) != right
            wrong = rows.copy()
            wrong[0, [one, other]] = rows[0, [other, one]]
            assert row_checksums(keys, wrong) != right


def test_signs_of_all_numbers_do_not_cancel():
    # Both in one word of 64 bits, in an even number of words.
    for width in (2, 4, 8, 1000):
        rows = rows_of([3], width) + 1
        right = row_checksums(keys_of([3]), rows)
        assert row_checksums(keys_of([3]), -rows) != right


def test_checksums_in_chunks(monkeypatch):
    keys, rows = keys_of(range(100)), rows_of(range(100))
    whole = row_checksums(keys, rows)
    monkeypatch.setattr("skkd._utils.checksum._ROW_CHUNK", 50)
    assert_array_equal(row_checksums(keys, rows), whole)
    assert (whole != 0).all()


# --- Both kinds of tables -----------------------------------------------------------

TABLES = pytest.mark.parametrize("make", [on_disk, in_process])


@TABLES
def test_table_returns_rows_in_the_order_of_the_keys(make, tmp_path):
    table = make(tmp_path)
    check(table, [1, 2], [])
    add(table, [3, 1, 2])
    add(table, [7, 2, 5])
    check(table, [5, 9, 3, 3, 1, 7, 8, 2], [1, 2, 3, 5, 7])
    check(table, [], [])
    add(table, [])
    assert table.nbytes >= 5 * (16 + 12 + 8)


@TABLES
def test_many_small_additions_become_few_segments(make, tmp_path):
    table = make(tmp_path)
    for start in range(0, 200, 2):
        add(table, [start, start + 1])
    check(table, np.arange(201), range(200))
    parts = folders(table) if make is on_disk else table.store.of_table("table")
    assert len(parts) <= 8


@TABLES
def test_rows_of_several_shapes_and_dtypes(make, tmp_path):
    table = make(tmp_path)
    table.dtype, table.shape = np.dtype(np.uint8), (1, 2, 2)
    images = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    with table.writing():
        table.add(keys_of([1, 2, 3]), images)
    found, rows = table.lookup(keys_of([3, 1]))
    assert found.all()
    assert_array_equal(rows, images[[2, 0]])


# --- In this process ----------------------------------------------------------------


@pytest.mark.parametrize("max_bytes", [0, 1, 35, 36, 100, 1000, 3600, 10**4])
def test_bound_is_kept_at_every_moment(max_bytes):
    store, most = ProcessStore(), []

    class Spy(OrderedDict):
        def __setitem__(self, *item):
            super().__setitem__(*item)
            most.append(sum(segment.nbytes for _, segment in self.values()))

    store.segments = Spy()
    table = in_process(max_bytes=max_bytes, store=store)
    for start in range(0, 300, 10):
        add(table, np.arange(start, start + 10))
        most.append(store.nbytes)
    add(table, np.arange(1000, 1500))
    assert max([*most, store.nbytes]) <= max_bytes
    numbers = np.r_[0:300, 1000:1500]
    found, rows = table.lookup(keys_of(numbers))
    assert_array_equal(rows, rows_of(numbers[found]))
    # Of the bound at least three quarters are made use of.
    if max_bytes >= 1000:
        assert found.sum() * 36 >= 0.75 * max_bytes


def test_least_recently_used_goes_first():
    store = ProcessStore()
    one, two, three = (
        ProcessTable(store, name, np.float32, (3,), 100 * 36) for name in "abc"
    )
    add(one, np.arange(45))
    add(two, np.arange(45))
    one.lookup(keys_of([3]))  # used last, though written first
    used = one.lookup(keys_of(np.arange(45)))[0].sum()
    add(three, np.arange(45))
    assert used == 45
    assert one.lookup(keys_of(np.arange(45)))[0].sum() == 45
    assert two.lookup(keys_of(np.arange(45)))[0].sum() <= 12
    assert three.lookup(keys_of(np.arange(45)))[0].sum() == 45


def test_dropped_rows_are_not_kept_alive_by_those_that_stay():
    table = in_process(max_bytes=3600)
    add(table, np.arange(1000))
    for _, segment in table.store.of_table("table"):
        assert all(part.base is None for part in segment)


def test_a_smaller_bound_applies_to_all_tables():
    store = ProcessStore()
    add(in_process(store=store), np.arange(100))
    small = ProcessTable(store, "small", np.float32, (3,), 360)
    add(small, np.arange(3))
    assert store.nbytes <= 360


def test_what_is_looked_up_is_a_copy():
    table = in_process()
    add(table, [1])
    table.lookup(keys_of([1]))[1][:] = 7
    check(table, [1], [1])


def test_threads_do_not_compute_the_same_twice():
    table, asked = in_process(), []

    def work():
        with table.writing():
            found, _ = table.lookup(keys_of(range(10)))
            time.sleep(0.01)
            missing = np.flatnonzero(~found)
            asked.append(len(missing))
            table.add(keys_of(missing), rows_of(missing))

    threads = [threading.Thread(target=work) for _ in range(5)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(asked) == [0, 0, 0, 0, 10]
