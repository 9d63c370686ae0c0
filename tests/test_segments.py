"""Rows by key: in this process, on disk, and what is kept of a row of logits."""

import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import OrderedDict

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from skkd import DistillationWarning
from skkd._store import disk as _disk
from skkd._store.disk import DiskTable
from skkd._store.process import ProcessStore, ProcessTable, Segment, checksums, merged
from skkd.memory._codecs import (
    EncodedLogits,
    FullCodec,
    TopCodec,
    codec_for,
)

forks = pytest.mark.skipif(sys.platform != "linux", reason="forks processes")


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
    wrong = checksums(both.keys, both.rows) != both.checks
    assert_array_equal(both.keys[wrong], one.keys[:1])


@pytest.mark.parametrize(
    "dtype", ["f4", "f2", "u1", [("columns", "u2", (3,)), ("rest", "f2")]]
)
def test_every_bit_shows_in_the_checksum(dtype):
    rows = np.zeros((1, 5) if isinstance(dtype, str) else 1, dtype=dtype)
    keys = keys_of([3])
    seen = {int(checksums(keys, rows)[0])}
    raw = rows.view(np.uint8).reshape(-1)
    for place in range(len(raw)):
        for bit in range(8):
            raw[place] ^= 1 << bit
            seen.add(int(checksums(keys, rows)[0]))
            raw[place] ^= 1 << bit
    for word in range(2):
        for bit in range(64):
            keys[0, word] ^= np.uint64(1 << bit)
            seen.add(int(checksums(keys, rows)[0]))
            keys[0, word] ^= np.uint64(1 << bit)
    assert len(seen) == 1 + 8 * len(raw) + 128
    assert checksums(np.zeros((1, 2), np.uint64), rows) != 0


def test_two_signs_do_not_cancel():
    rows = rows_of([3], width=16)
    right, keys = checksums(keys_of([3]), rows), keys_of([3])
    for one in range(16):
        for other in range(one):
            wrong = rows.copy()
            wrong[0, [one, other]] *= -1
            assert checksums(keys, wrong) != right
            wrong = rows.copy()
            wrong[0, [one, other]] = rows[0, [other, one]]
            assert checksums(keys, wrong) != right


def test_checksums_in_chunks(monkeypatch):
    keys, rows = keys_of(range(100)), rows_of(range(100))
    whole = checksums(keys, rows)
    monkeypatch.setattr("skkd._store.process._CHUNK", 50)
    assert_array_equal(checksums(keys, rows), whole)
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


# --- On disk ------------------------------------------------------------------------


def test_tables_of_one_folder_share_their_rows(tmp_path):
    add(on_disk(tmp_path), [1, 2])
    check(on_disk(tmp_path), [1, 2, 3], [1, 2])


def test_reading_leaves_nothing(tmp_path):
    check(on_disk(tmp_path), [1], [])
    assert on_disk(tmp_path).nbytes == 0
    assert not list(tmp_path.iterdir())


def test_large_segments_are_not_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr(_disk, "_SMALL", 5000)
    table = on_disk(tmp_path)
    for start in range(0, 1000, 100):
        add(table, np.arange(start, start + 100))
    assert len(folders(table)) == 10
    check(table, np.arange(1001), range(1000))
    for i in range(2000, 2030):
        add(table, [i])
    assert max(map(_disk._n_bytes, folders(table))) <= 5000
    assert len(folders(table)) <= 13
    check(table, np.arange(2030), [*range(1000), *range(2000, 2030)])


FILES = pytest.mark.parametrize("name", ["keys", "rows", "checks"])


def flip(file, place, bit=0):
    content = bytearray(file.read_bytes())
    content[place] ^= 1 << bit
    file.write_bytes(content)


DAMAGES = {
    "truncated": lambda f: f.write_bytes(f.read_bytes()[:-5]),
    "halved": lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2]),
    "emptied": lambda f: f.write_bytes(b""),
    "deleted": lambda f: f.unlink(),
    "garbage": lambda f: f.write_bytes(np.random.default_rng(0).bytes(999)),
    "zeros": lambda f: f.write_bytes(bytes(f.stat().st_size)),
    "header": lambda f: f.write_bytes(f.read_bytes()[:20]),
    "first-bit": lambda f: flip(f, 128),
    "last-bit": lambda f: flip(f, -1, 7),
    "scalar": lambda f: np.save(f, np.float32(1)),
    "pickle": lambda f: np.save(f, np.array([{}]), allow_pickle=True),
    "other-dtype": lambda f: np.save(f, np.load(f).astype(np.float64)),
    "other-length": lambda f: np.save(f, np.load(f)[:-1]),
    "zero-content": lambda f: np.save(f, np.zeros_like(np.load(f))),
    "folder": lambda f: (f.unlink(), f.mkdir()),
}


@FILES
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_reported_and_repaired(damage, name, tmp_path):
    table, numbers = on_disk(tmp_path), np.arange(20)
    add(table, numbers)
    (folder,) = folders(table)
    DAMAGES[damage](folder / f"{name}.npy")
    with pytest.warns(DistillationWarning, match="is damaged") as caught:
        check(table, numbers, [])
    assert len(caught) == 1
    assert str(folder) in str(caught[0].message)
    check(table, numbers, [])  # reported once
    add(table, numbers)
    check(table, numbers, numbers)
    assert len(folders(table)) == 1


@FILES
def test_every_flipped_bit_is_harmless(name, tmp_path):
    numbers = np.arange(3)
    add(on_disk(tmp_path), numbers)
    (folder,) = folders(on_disk(tmp_path))
    file = folder / f"{name}.npy"
    size = file.stat().st_size
    places = {*range(10), *range(50, 128, 13), *range(128, size, 5), size - 1}
    for place in sorted(places):
        shutil.copytree(folder, tmp_path / "copy" / "table" / folder.name)
        table = on_disk(tmp_path / "copy")
        flip(next(table.folder.glob(f"rows-*/{name}.npy")), place, place % 8)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found, rows = table.lookup(keys_of(numbers))
        assert_array_equal(rows, rows_of(numbers[found]))
        # The spaces of a header have no meaning.
        assert [w.category for w in caught] == [DistillationWarning] or place < 128
        assert not found.any() or place < 128
        shutil.rmtree(tmp_path / "copy")


def test_damage_of_a_row_that_is_not_asked_for_waits(tmp_path):
    table = on_disk(tmp_path)
    add(table, np.arange(20))
    (folder,) = folders(table)
    flip(folder / "rows.npy", 128)
    damaged = np.argmin(keys_of(np.arange(20))[:, 0])
    others = np.delete(np.arange(20), damaged)
    check(table, others, others)
    add(table, [50])  # merged, it is not covered up
    check(table, [50, *others], [50, *others])
    with pytest.warns(DistillationWarning, match="checksum of a row is wrong"):
        found, _ = table.lookup(keys_of([damaged]))
    assert not found.any()


def test_one_damaged_segment_leaves_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(_disk, "_SMALL", 0)
    table = on_disk(tmp_path)
    add(table, [1, 2])
    first = folders(table)[0]
    add(table, [3, 4])
    (first / "rows.npy").write_bytes(b"")
    with pytest.warns(DistillationWarning, match="is damaged"):
        check(table, [1, 2, 3, 4], [3, 4])


def test_a_segment_that_another_process_merged_meanwhile(tmp_path, monkeypatch):
    table = on_disk(tmp_path)
    add(table, [1, 2])
    gone = folders(table)
    add(table, [3])
    (now,) = folders(table)
    assert now not in gone
    monkeypatch.setattr(table, "_folders", lambda: [*gone, now])
    check(table, [1, 2, 3], [1, 2, 3])  # and nobody warns
    assert table.nbytes > 0


def test_a_file_that_goes_away_while_it_is_measured(tmp_path):
    table = on_disk(tmp_path)
    add(table, [1])
    (folder,) = folders(table)
    gone = folder.with_name("rows-0-0")
    gone.mkdir()
    (gone / "keys.npy").symlink_to(tmp_path / "nowhere")
    assert table.nbytes == _disk._n_bytes(folder) > 0


@pytest.mark.parametrize("moment", ["keys", "rows", "checks"])
def test_a_segment_that_goes_away_while_it_is_opened(tmp_path, monkeypatch, moment):
    table = on_disk(tmp_path)
    add(table, [1, 2])
    load = np.load

    def late(file, **kwargs):
        if file.stem == moment:
            shutil.rmtree(file.parent)
        return load(file, **kwargs)

    monkeypatch.setattr(_disk.np, "load", late)
    check(table, [1, 2], [])


def test_what_killed_processes_left_is_swept(tmp_path):
    table = on_disk(tmp_path)
    add(table, [1])
    left = table.folder / "tmp-left"
    left.mkdir()
    np.save(left / "keys.npy", keys_of([5]))
    check(table, [1, 5], [1])
    add(table, [2])
    assert not left.exists()
    assert not list(table.folder.glob("tmp-*"))
    check(table, [1, 2, 5], [1, 2])


@pytest.mark.parametrize("at", ["folder", "parent"])
def test_a_place_that_cannot_be_written(tmp_path, at):
    place = tmp_path / "table" if at == "folder" else tmp_path
    if at == "parent":
        place = tmp_path / "file"
    place.write_text("a file")
    table = DiskTable(place if at == "folder" else place / "table", np.float32, (3,))
    with pytest.raises(OSError, match=r"nothing can be written there.*memory=None"):
        add(table, [1])


def test_a_read_only_store_can_be_read(tmp_path, monkeypatch):
    table = on_disk(tmp_path)
    add(table, [1, 2])
    for path in [*table.folder.rglob("*"), table.folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    check(table, [1, 2, 3], [1, 2])
    for path in [table.folder, *table.folder.rglob("*")]:
        path.chmod(0o755)


def test_an_error_while_writing_frees_the_lock(tmp_path):
    table = on_disk(tmp_path)
    with pytest.raises(ZeroDivisionError), table.writing():
        raise ZeroDivisionError
    add(table, [1])
    check(table, [1], [1])


def forked(work):
    """Run `work` in a child process and return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()  # pytest shows it
    finally:
        sys.stderr.flush()
        os._exit(code)


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("moment", ["keys", "rows", "checks", "rename", "remove"])
def test_killed_while_writing(moment, tmp_path, monkeypatch):
    table = on_disk(tmp_path)
    add(table, [1, 2, 3])
    here = tmp_path / "here"

    def pause():
        here.touch()
        time.sleep(60)

    def work():
        save = np.save

        def slow(file, values):
            save(file, values)
            if file.stem == moment:
                file.write_bytes(file.read_bytes()[:-3])
                pause()

        _disk.np.save = slow
        if moment == "rename":
            os.rename = lambda *args, **kwargs: pause()
            _disk.Path.rename = lambda *args: pause()
        if moment == "remove":
            _disk._remove = lambda folder: pause()
        add(table, [3, 4, 5])

    child = forked(work)
    for _ in range(1000):
        if here.exists():
            break
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert here.exists()
    written = [1, 2, 3, 4, 5] if moment == "remove" else [1, 2, 3]
    check(table, np.arange(7), written)
    add(table, [6])  # its lock went with it
    check(table, np.arange(7), [*written, 6])
    assert not list(table.folder.glob("tmp-*"))


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_several_processes_write_and_read_at_once(tmp_path):
    table, log = on_disk(tmp_path), tmp_path / "asked"

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(15):
            numbers = rng.choice(200, 40, replace=False)
            found, rows = table.lookup(keys_of(numbers))
            assert_array_equal(rows, rows_of(numbers[found]))
            with table.writing():
                found, rows = table.lookup(keys_of(numbers))
                assert_array_equal(rows, rows_of(numbers[found]))
                missing = numbers[~found]
                with open(log, "a") as file:
                    file.write("".join(f"{i}\n" for i in missing))
                table.add(keys_of(missing), rows_of(missing))
            assert table.nbytes >= 0  # whatever is merged meanwhile

    children = [forked(lambda seed=seed: work(seed)) for seed in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    asked = [int(line) for line in log.read_text().split()]
    assert len(asked) == len(set(asked))  # nobody asked what another had asked
    check(table, np.arange(200), set(asked))
    assert len(folders(table)) <= 3
    assert not list(table.folder.glob("tmp-*"))


# --- What is kept of a row ----------------------------------------------------------


def realistic(n=200, n_classes=1000, seed=0):
    """Return logits of a confident network: (n, n_classes), a peak in noise."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(n, n_classes))
    z[np.arange(n), rng.integers(n_classes, size=n)] += 10
    return z.astype(np.float32)


def both_ways(codec, z):
    return codec.decode(codec.encode(z))


def kl(p_logits, q_logits):
    p, q = (log_softmax(z.astype(np.float64), axis=1) for z in (p_logits, q_logits))
    return (np.exp(p) * (p - q)).sum(axis=1)


def test_float32_is_exact():
    z = realistic(20)
    assert_array_equal(both_ways(FullCodec("float32", 1000), z), z)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
def test_float16_keeps_eleven_bits(scale):
    z = (scale * np.random.default_rng(0).normal(size=(500, 50))).astype(np.float32)
    z = z.clip(-65504, 65504)
    got = both_ways(FullCodec("float16", 50), z)
    assert got.dtype == np.float32
    # Below 2^-14 its numbers lie 2^-24 apart.
    assert (np.abs(got - z) <= np.maximum(np.abs(z) * 2**-11, 2**-25)).all()


@pytest.mark.parametrize(
    ("T", "p_error", "divergence"), [(1, 2e-3, 1e-5), (4, 3e-4, 1e-6)]
)
def test_float16_against_full_logits(T, p_error, divergence):
    z = realistic()
    got = both_ways(FullCodec("float16", 1000), z)
    assert np.abs(softmax(got / T, 1) - softmax(z / T, 1)).max() < p_error
    assert kl(z / T, got / T).max() < divergence


@pytest.mark.parametrize(("n_classes", "k"), [(1000, 10), (1000, 999), (3, 1), (2, 1)])
def test_top_k_is_exact_for_those_it_keeps(n_classes, k):
    z = realistic(n_classes=n_classes)
    got = both_ways(codec_for("float32", k, n_classes), z)
    top = np.argsort(z, axis=1)[:, -k:]
    assert_array_equal(np.take_along_axis(got, top, 1), np.take_along_axis(z, top, 1))
    p, q = softmax(z.astype(np.float64), 1), softmax(got.astype(np.float64), 1)
    kept = np.take_along_axis(p, top, 1)
    assert_allclose(np.take_along_axis(q, top, 1), kept, rtol=1e-5)
    # The others share what is left, evenly.
    rest = q.copy()
    np.put_along_axis(rest, top, np.nan, 1)
    even = np.tile(np.nanmean(rest, axis=1)[:, None], n_classes)
    others = ~np.isnan(rest)
    assert_allclose(rest[others], even[others], rtol=1e-12)
    assert_allclose(np.nansum(rest, 1), 1 - kept.sum(1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "k", "T", "p_error", "divergence"),
    [
        # Means over rows of a thousand classes: of the largest error of a probability,
        # and of the divergence. The mass is kept at T=1; softer, some of it moves.
        ("float32", 10, 1, 0.0094, 0.43),
        ("float32", 100, 1, 0.00037, 0.040),
        ("float16", 100, 1, 0.00052, 0.040),
        ("float32", 10, 4, 0.0060, 0.23),
        ("float32", 100, 4, 0.0031, 0.12),
        ("float32", 500, 4, 0.00058, 0.019),
    ],
)
def test_top_k_against_full_logits(dtype, k, T, p_error, divergence):
    z = realistic()
    got = both_ways(codec_for(dtype, k, 1000), z)
    error = np.abs(softmax(got / T, 1) - softmax(z / T, 1)).max(axis=1).mean()
    assert error == pytest.approx(p_error, rel=0.1)
    assert kl(z / T, got / T).mean() == pytest.approx(divergence, rel=0.1)


def test_top_k_of_equal_logits():
    z = np.zeros((4, 6), dtype=np.float32)
    z[1, :3] = 1
    got = both_ways(codec_for("float32", 2, 6), z)
    assert_allclose(got[0], 0, atol=1e-6)
    assert (got[1] == 1).sum() == 2


@pytest.mark.parametrize("k", [3, 4, 1000, None])
def test_top_k_of_all_classes_is_full(k):
    assert isinstance(codec_for("float32", k, 3), FullCodec)
    assert isinstance(codec_for("float32", 2, 3), TopCodec)


@pytest.mark.parametrize("n_classes", [2**16, 2**16 + 1, 70_000])
def test_more_classes_than_two_bytes_count(n_classes):
    z = np.zeros((2, n_classes), dtype=np.float32)
    z[0, -1], z[1, 0], z[1, n_classes // 2] = 5, 4, 3
    codec = codec_for("float32", 2, n_classes)
    got = both_ways(codec, z)
    assert (got[0, -1], got[1, 0], got[1, n_classes // 2]) == (5, 4, 3)
    assert codec.dtype.itemsize == (16 if n_classes == 2**16 else 20)


def test_space_that_is_saved():
    full, half, top = (
        codec_for(*c, 1000).encode(realistic(10)).nbytes
        for c in [("float32", None), ("float16", None), ("float16", 50)]
    )
    assert (full, half, top) == (40_000, 20_000, 10 * (50 * 4 + 2))


@pytest.mark.parametrize("k", [None, 2])
def test_float16_overflow_names_the_remedy(k):
    z = np.array([[1e5, 0, 1, 2]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"reach 1e\+05.*float16.*dtype='float32'"):
        codec_for("float16", k, 4).encode(z)
    assert_array_equal(codec_for("float32", None, 4).encode(z), z)


@pytest.mark.parametrize("k", [None, 2])
def test_encoded_rows_are_decoded_as_they_are_asked_for(k):
    z = realistic(10, 5)
    codec = codec_for("float32", k, 5)
    whole, rows = both_ways(codec, z), EncodedLogits(codec.encode(z), codec)
    assert len(rows) == 10
    for part in (slice(2, 5), np.array([7, 7, 0]), [1], np.arange(10) % 2 == 0):
        assert_array_equal(rows[part], whole[part])
    assert_array_equal(rows[3], whole[3])
    assert rows[3].shape == (5,)


def test_top_k_compares_by_the_columns_that_were_kept():
    codec = codec_for("float32", 1, 3)
    z = np.array([[2.0, 2.0 + 1e-6, -5.0]], dtype=np.float32)
    before = codec.encode(z)
    swapped = z[:, [1, 0, 2]]
    again = codec.decode(codec.encode(swapped, like=before))
    assert_allclose(again, codec.decode(before), atol=1e-5)
    other = codec.decode(codec.encode(swapped))
    assert np.abs(other - codec.decode(before)).max() > 0.5
