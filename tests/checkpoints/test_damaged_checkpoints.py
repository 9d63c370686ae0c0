"""Files that somebody or something changed, disks that are full, two processes."""

import errno
import json
import multiprocessing
import os
import shutil
import struct
import time
import warnings

import numpy as np
import pytest
import torch
from checkpoint_cases import MAX_EPOCHS, X, Y, assert_same, kill, rows_of, student
from filelock import FileLock
from safetensors.torch import save

from skkd._formats.container import pack, read_file
from skkd._store import lock as lock_module
from skkd.checkpoints import CheckpointFolder, list_folder
from skkd.checkpoints._files import KIND, FitFiles
from skkd.checkpoints._state import State


@pytest.fixture(scope="module")
def whole():
    return student().fit(X, Y)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    kill(student(folder), X, Y, 4)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    student(folder).fit(X, Y)
    return folder


@pytest.fixture
def copied(tmp_path):
    def copied(folder):
        return shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True)

    return copied


def files_of(folder):
    return sorted(folder.rglob("*.safetensors"))


def refit(folder):
    """Fit again; return the student, and the warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        net = student(folder).fit(X, Y)
    return net, [str(one.message) for one in seen]


def test_two_epochs_are_kept_and_one_file_of_the_finished_student(killed, finished):
    names = [path.name for path in files_of(killed)]
    assert names == ["epoch-000002.safetensors", "epoch-000003.safetensors"]
    assert [path.name for path in files_of(finished)] == ["finished.safetensors"]


def changed(data, rng):
    """Return bytes that differ: of one bit, a piece, the end, or the order."""
    data = bytearray(data)
    kind = rng.integers(5)
    at = int(rng.integers(len(data)))
    if kind == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        n = int(rng.integers(1, 40))
        data[at : at + n] = rng.bytes(len(data[at : at + n]))
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        data += rng.bytes(int(rng.integers(1, 20)))
    else:  # within the header, which JSON may take all the same
        at = 8 + int(rng.integers(struct.unpack("<Q", data[:8])[0]))
        data[at] = int(rng.integers(32, 127))
    return bytes(data)


def test_a_changed_file_is_never_read(killed, finished, tmp_path):
    rng = np.random.default_rng(0)
    files, n_changed = FitFiles(tmp_path), 0
    for source in (killed, finished):
        data = files_of(source)[-1].read_bytes()
        expected = read_file(files_of(source)[-1], KIND)
        for _ in range(200):
            path, new = tmp_path / "finished.safetensors", changed(data, rng)
            path.write_bytes(new)
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                found = files.read(path)
            if found is None:
                n_changed += 1
                assert "is of no use" in str(seen[0].message) and len(seen) == 1
                assert str(path) in str(seen[0].message) and not path.exists()
            else:  # a blank for a blank, say
                assert State(*found).digest == State(*expected).digest
    assert n_changed > 390


@pytest.mark.parametrize("part", range(3))
def test_the_fit_goes_on_from_the_file_before(part, killed, finished, copied, whole):
    rng = np.random.default_rng(part)
    for source in (killed, finished):
        folder = copied(source)
        path = files_of(folder)[-1]
        path.write_bytes(changed(path.read_bytes(), rng))
        net, messages = refit(folder)
        assert len(messages) == 1 and str(path) in messages[0]
        assert net.resumed_ == (2 if source is killed else 0)
        assert_same(net, whole)
        shutil.rmtree(folder)


def test_both_files_damaged_begin_anew(killed, copied, whole):
    folder = copied(killed)
    for path in files_of(folder):
        path.write_bytes(b"")
    net, messages = refit(folder)
    assert len(messages) == 2 and net.resumed_ == 0
    assert_same(net, whole)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_removed(make, killed, finished, copied, whole):
    for source, n_resumed in ((killed, 2), (finished, 0)):
        folder = copied(source)
        path = files_of(folder)[-1]
        path.unlink()
        make(path)
        (listed,) = [one for one in list_folder(folder) if one.part == "fits"]
        assert listed.about == "damaged"
        net, messages = refit(folder)
        assert len(messages) == 1 and "it is no regular file" in messages[0]
        assert net.resumed_ == n_resumed
        assert_same(net, whole)
        assert refit(folder)[0].resumed_ == MAX_EPOCHS
        shutil.rmtree(folder)


def edited(path, edit):
    """Write a file again that is whole, and has another content."""
    content, tensors = read_file(path, KIND)
    edit(content, tensors)
    path.write_bytes(pack(content, tensors, KIND))


EDITS = {
    "no modules": ("killed", lambda content: content.update(modules=[])),
    "other optimizers": (
        "finished",
        lambda content: content["optimizers"].append(["other", {"dict": []}]),
    ),
    "half an optimizer": (
        "killed",
        lambda content: content["optimizers"][0].__setitem__(1, {"dict": []}),
    ),
    "other callbacks": ("killed", lambda content: content["callbacks"].pop()),
    "a method": (
        "killed",
        lambda content: content["callbacks"][1][2].append(["on_epoch_end", 1]),
    ),
    "no history": ("finished", lambda content: content.update(history=None)),
    "half a history": ("killed", lambda content: content["history"].pop()),
    "no streams": ("killed", lambda content: content.pop("streams")),
    "other attributes": (
        "finished",
        lambda content: content.update(attributes={"dict": [["predict", 1]]}),
    ),
    "an unknown kind": (
        "finished",
        lambda content: content.update(attributes={"pickle": "gASVAAAA"}),
    ),
    "no findings, and no weights": (
        "finished",
        lambda content: (content.pop("findings"), content.update(modules=3)),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_content_that_does_not_fit_leaves_no_half_loaded_student(
    name, killed, finished, copied, whole
):
    kind, edit = EDITS[name]
    folder = copied(killed if kind == "killed" else finished)
    edited(files_of(folder)[-1], lambda content, tensors: edit(content))
    net, messages = refit(folder)
    assert len(messages) == 1 and "is of no use" in messages[0]
    assert net.resumed_ == (2 if kind == "killed" else 0)
    assert_same(net, whole)


def test_tensors_of_another_shape_or_value_are_refused(finished, copied, whole):
    def other_shape(content, tensors):
        tensors["0"] = torch.zeros(3)

    def fewer(content, tensors):
        del tensors["0"]

    def other_numbers(content, tensors):
        tensors["0"] = tensors["0"] + 1

    for edit in (other_shape, fewer, other_numbers):
        folder = copied(finished)
        edited(files_of(folder)[0], edit)
        net, messages = refit(folder)
        assert len(messages) == 1 and net.resumed_ == 0
        assert_same(net, whole)
        shutil.rmtree(folder)


def test_files_of_other_kinds(finished, copied):
    for data in (
        b"\x80\x04.",
        b"PK\x03\x04",
        save({"a": torch.zeros(2)}),
        save({"a": torch.zeros(2)}, {"skkd-fit": "{}"}),
        save({"a": torch.zeros(2)}, {"skkd-fit": json.dumps({"format": 99})}),
    ):
        folder = copied(finished)
        files_of(folder)[0].write_bytes(data)
        net, messages = refit(folder)
        assert len(messages) == 1 and net.resumed_ == 0


def test_a_passing_error_condemns_no_file(finished, copied, monkeypatch, whole):
    folder = copied(finished)
    (path,) = files_of(folder)

    def busy(*args):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("skkd.checkpoints._files.read_file", busy)
        net, messages = refit(folder)
    assert len(messages) == 1 and "cannot be read now" in messages[0]
    assert_same(net, whole)
    assert path.exists()
    assert student(folder).fit(X, Y).resumed_ == MAX_EPOCHS


@pytest.mark.parametrize("fails_at", ["write_bytes", "replace"])
def test_a_full_disk_is_warned_of_and_the_former_checkpoint_stays(
    fails_at, tmp_path, monkeypatch, whole
):
    kill(student(tmp_path), X, Y, 3)
    before = {path: path.read_bytes() for path in files_of(tmp_path)}

    def full(*args):
        if fails_at == "write_bytes":
            with open(args[0], "wb") as file:
                file.write(args[1][:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"write_bytes": "pathlib.Path.write_bytes", "replace": "os.replace"}
    with monkeypatch.context() as patched:
        patched.setattr(target[fails_at], full)
        with pytest.warns(UserWarning, match="the training goes on") as seen:
            net = student(tmp_path).fit(X, Y)
    assert len(seen) == 1
    assert_same(net, whole)
    assert {path: path.read_bytes() for path in files_of(tmp_path)} == before
    assert [*tmp_path.rglob("*.tmp")] == []
    assert student(tmp_path).fit(X, Y).resumed_ == 2


def test_what_a_killed_writer_left_is_removed(killed, copied):
    folder = copied(killed)
    left = files_of(folder)[0].with_name(".epoch-000004.safetensors.abc.tmp")
    left.write_bytes(b"half")
    student(folder).fit(X, Y)
    assert not left.exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path, finished, copied):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="pass checkpoint=None"):
        student(tmp_path / "fits").fit(X, Y)
    tmp_path.chmod(0o700)
    folder = copied(finished)
    fit = files_of(folder)[0].parent
    fit.chmod(0o500)
    assert student(folder).fit(X, Y).resumed_ == MAX_EPOCHS
    fit.chmod(0o700)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "fits").write_text("")
    net = student(tmp_path / "fits")
    with pytest.raises(OSError, match="Give a folder that you may write to"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


def test_a_clock_that_jumps_does_not_matter(tmp_path, monkeypatch, whole):
    kill(student(tmp_path), X, Y, 4)
    first, last = files_of(tmp_path)
    os.utime(last, (0, 0))
    os.utime(first, (2**33, 2**33))
    monkeypatch.setattr(time, "time", lambda: 5.0)
    net = student(tmp_path).fit(X, Y)
    assert net.resumed_ == 3
    assert_same(net, whole)
    assert all(one.age >= 0 for one in list_folder(tmp_path))


def test_a_second_process_waits_and_says_so(tmp_path, monkeypatch, whole):
    kill(student(tmp_path), X, Y, 2)
    fit = files_of(tmp_path)[0].parent
    monkeypatch.setattr(lock_module, "_SILENT", 0.2)
    monkeypatch.setattr(lock_module, "_PATIENCE", 0.5)
    with (
        FileLock(fit / "lock"),
        pytest.warns(UserWarning, match="checkpoint=.*is still at work") as seen,
    ):
        net = student(tmp_path).fit(X, Y)
    assert ["waits until" in str(seen[0].message), len(seen)] == [True, 2]
    assert_same(net, whole)


def train_at_once(folder, start, results):
    start.wait()
    net = student(folder).fit(X, Y)
    results.put((net.resumed_, rows_of(net)))


def test_two_processes_train_it_once(tmp_path, whole):
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    both = [
        context.Process(target=train_at_once, args=(tmp_path, start, results))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    start.set()
    found = [results.get(timeout=100) for _ in both]
    for process in both:
        process.join()
    assert sorted(n for n, _ in found) == [0, MAX_EPOCHS]
    assert {rows for _, rows in found} == {rows_of(whole)}


def test_the_bytes_are_bounded_with_a_warning(tmp_path):
    student(tmp_path).fit(X, Y)
    (one,) = [s for s in list_folder(tmp_path) if s.kind == "finished fit"]
    bound = CheckpointFolder(tmp_path, max_bytes=int(2.5 * one.nbytes))
    for seed in (1, 2):
        if seed == 2:
            with pytest.warns(UserWarning, match="1 of the least recently used"):
                student(bound, random_state=seed).fit(X, Y)
        else:
            student(bound, random_state=seed).fit(X, Y)
    kinds = [s.kind for s in list_folder(tmp_path)]
    assert kinds.count("finished fit") == 2
    assert student(bound, random_state=2).fit(X, Y).resumed_ == MAX_EPOCHS
    with pytest.warns(UserWarning, match="least recently used"):
        assert student(bound).fit(X, Y).resumed_ == 0


def test_a_fit_in_progress_is_not_removed_for_another(tmp_path):
    kill(student(tmp_path), X, Y, 3)
    fit = files_of(tmp_path)[0].parent
    with FileLock(fit / "lock"):
        student(CheckpointFolder(tmp_path, max_bytes=1), random_state=5).fit(X, Y)
    assert len(files_of(fit)) == 2
