"""A run that was stopped, killed or out of disk space goes on where it was."""

import errno
import os
import re

import numpy as np
import pytest

pytest.importorskip("safetensors")

from skkd.quickstart import Progress, distill_folder

STAGES = [
    *("checking", "reading images", "teacher", "plain student", "search"),
    *("distilled student", "measuring", "writing"),
]
SETTINGS = {"size": 8, "epochs": 1}


class StopAt(Progress):
    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def step(self, name, detail=""):
        super().step(name, detail)
        if name == self.stage:
            raise KeyboardInterrupt


def contents(out):
    return {path: path.read_bytes() for path in out.rglob("*.safetensors")}


def unfinished(out):
    return [*out.rglob(".*.tmp"), *out.rglob("tmp-*"), *out.rglob(".unfinished-*")]


def same(one, other):
    accuracy = [m["accuracy"] for m in one.measures.values()]
    return one.verdict == other.verdict and accuracy == [
        m["accuracy"] for m in other.measures.values()
    ]


def test_stopped_in_each_stage(photos, tmp_path):
    out, before = tmp_path / "out", {}
    for stage in STAGES:
        with pytest.raises(KeyboardInterrupt):
            distill_folder(photos, out, **SETTINGS, search=True, progress=StopAt(stage))
        assert before.items() <= contents(out).items()
        before = contents(out)
        assert not unfinished(out)
    assert {path.stem for path in before} == {
        *("teacher", "plain", "student"),
        *(f"teacher-{fold}" for fold in range(3)),
    }
    finished = distill_folder(photos, out, **SETTINGS, search=True)
    assert contents(out) == before
    assert same(
        finished, distill_folder(photos, tmp_path / "fresh", **SETTINGS, search=True)
    )


def test_a_run_that_did_not_begin_leaves_nothing(photos, tmp_path):
    for stage in STAGES[:2]:
        with pytest.raises(KeyboardInterrupt):
            distill_folder(photos, tmp_path / "out", progress=StopAt(stage))
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_disk_that_is_full_at_each_file(photos, tmp_path, monkeypatch):
    """One file more each time; it is full when the content has to reach the disk."""
    out, fsync = tmp_path / "out", os.fsync
    errors, before, n_left = [], {}, 0

    def fsync_until_full(file):
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", fsync_until_full)
    for n_files in range(1, 20):
        n_left = n_files if n_files < 3 else 2  # the first is a trial
        try:
            finished = distill_folder(photos, out, **SETTINGS)
        except OSError as error:
            errors.append(str(error))
            assert before.items() <= contents(out).items()
            before = contents(out)
            assert not unfinished(out)
        else:
            break
    assert len(errors) == 6  # settings, threads, three networks, the outcome
    message = f"out={str(out)!r}: the disk is full. What is finished is kept"
    assert all(error.startswith(message) for error in errors)
    assert contents(out) == before
    monkeypatch.setattr(os, "fsync", fsync)
    assert same(finished, distill_folder(photos, tmp_path / "fresh", **SETTINGS))


def test_a_disk_that_is_full_when_images_are_cached(photos, tmp_path, monkeypatch):
    def save(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(OSError, match=re.escape(": the disk is full.")):
        distill_folder(photos, tmp_path / "out", **SETTINGS)
    assert not unfinished(tmp_path / "out")


def test_what_a_killed_process_had_begun_is_removed(photos, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        distill_folder(photos, out, **SETTINGS, progress=StopAt("plain student"))
    (out / ".student.safetensors.0123.tmp").write_text("half")
    (out / ".skkd" / ".outcome.json.0123.tmp").write_text("half")
    (out / ".unfinished-0123" / "digits").mkdir(parents=True)
    (out / ".mine.tmp").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        distill_folder(photos, out, **SETTINGS, progress=StopAt("plain student"))
    assert unfinished(out) == [out / ".mine.tmp"]
