"""Rows by key on disk: damaged files, killed processes, several writers."""

import errno
import os
import shutil
import signal
import sys
import time
import traceback
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stored_rows import add, check, folders, keys_of, on_disk, rows_of

from skkd import DistillationWarning
from skkd._store import disk as _disk
from skkd._store import lock as _lock
from skkd._store.disk import DiskTable

forks = pytest.mark.skipif(sys.platform != "linux", reason="forks processes")


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


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), PermissionError(), MemoryError()],
)
def test_what_cannot_be_read_now_stays(tmp_path, monkeypatch, error):
    table = on_disk(tmp_path)
    add(table, [1, 2])
    before = folders(table)

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_disk.np, "load", fail)
        with pytest.warns(DistillationWarning, match="cannot be read now"):
            check(table, [1, 2], [])
    assert folders(table) == before
    check(table, [1, 2], [1, 2])


def test_a_file_in_the_place_of_a_segment_is_removed(tmp_path):
    table = on_disk(tmp_path)
    add(table, [1])
    (table.folder / "rows-0-0").write_text("a file")
    with pytest.warns(DistillationWarning, match="is damaged"):
        check(table, [1, 2], [1])
    assert sorted(p.name.partition("-")[0] for p in table.folder.iterdir()) == [
        "holder",
        "lock",
        "rows",
    ]


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    table = on_disk(tmp_path)
    add(table, [1])

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_disk.np, "save", fail)
        with pytest.raises(OSError, match=r"No space left.*with free space.*memory="):
            add(table, [2])
    assert not [*table.folder.glob("tmp-*")]
    check(table, [1, 2], [1])


def test_files_have_the_permissions_of_the_process(tmp_path):
    mask = os.umask(0o007)
    try:
        table = on_disk(tmp_path)
        add(table, [1])
    finally:
        os.umask(mask)
    for path in [table.folder, *table.folder.rglob("*")]:
        wanted = 0o770 if path.is_dir() else 0o660
        assert path.stat().st_mode & 0o777 == wanted, path


def test_who_waits_says_for_whom_and_goes_on_at_last(tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "_SILENT", 0.05)
    monkeypatch.setattr(_lock, "_PATIENCE", 0.1)
    table = on_disk(tmp_path)
    with table.writing():
        with pytest.warns(DistillationWarning) as caught:
            add(on_disk(tmp_path), [1])
        texts = [str(w.message) for w in caught]
        assert [f"process {os.getpid()} on" in text for text in texts] == [True] * 2
        assert "waits until that is done" in texts[0]
        assert "computes the same by itself" in texts[1]
        check(table, [1], [1])
        table.add(keys_of([2]), rows_of([2]))
    check(table, [1, 2], [1, 2])


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
    load, rows = np.load, _disk.RowFile

    def late(opened):
        def first(file):
            if file.stem == moment:
                shutil.rmtree(file.parent)
            return opened(file)

        return first

    monkeypatch.setattr(_disk.np, "load", late(load))
    monkeypatch.setattr(_disk, "RowFile", late(rows))
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
