"""What a folder holds, listed and removed, by functions and by `skkd cache`."""

import json
import os
import shutil
import time

import pytest
from checkpoint_cases import MAX_EPOCHS, X, Y, kill, student, watched_by
from click.testing import CliRunner
from filelock import FileLock
from skorch.callbacks import Callback

from skkd._cli import main
from skkd.checkpoints import empty_folder, list_folder


@pytest.fixture
def folder(tmp_path):
    student(tmp_path).fit(X, Y)
    kill(student(tmp_path, random_state=1), X, Y, 3)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "skkd-fits" / "mine.txt").write_text("mine")
    return tmp_path


def command(*arguments, **more):
    return CliRunner().invoke(main, ["cache", *map(str, arguments)], **more)


def files_in(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_is_listed(folder):
    found = {one.kind: one for one in list_folder(folder)}
    assert found.keys() == {"finished fit", "unfinished fit", "logits"}
    assert "epoch 4 of 4" in found["finished fit"].about
    assert "epoch 2 of 4" in found["unfinished fit"].about
    assert "DistilledClassifier(" in found["finished fit"].about
    on_disk = sum(path.stat().st_size for path in files_in(folder))
    notes = 2 * len("mine")
    assert sum(one.nbytes for one in found.values()) == on_disk - notes
    assert all(0 <= one.age < 1000 and not one.in_use for one in found.values())
    assert "resumed" not in json.dumps([one._asdict() for one in found.values()])


def test_only_what_skkd_wrote_is_removed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious.safetensors").write_text("precious")
    os.symlink(elsewhere, folder / "skkd-fits" / "fit-link")
    assert {one.kind for one in empty_folder(folder, kinds=("logits",))} == {"logits"}
    assert student(folder).fit(X, Y).resumed_ == MAX_EPOCHS
    empty_folder(folder)
    assert list_folder(folder) == []
    kept = {path.name for path in files_in(folder)}
    assert kept == {"notes.txt", "mine.txt"}
    assert [*elsewhere.iterdir()] == [elsewhere / "precious.safetensors"]
    assert student(folder).fit(X, Y).resumed_ == 0


def test_what_is_in_use_stays(folder):
    (fit,) = [one for one in list_folder(folder) if one.kind == "unfinished fit"]
    with FileLock(os.path.join(fit.path, "lock")):
        assert [s.path for s in list_folder(folder) if s.in_use] == [fit.path]
        result = command(folder, "--empty", "--yes")
    assert "2 entries removed" in result.stdout
    assert "1 are in use, and stay." in result.stdout
    assert [one.path for one in list_folder(folder)] == [fit.path]


class Empty(Callback):
    observes_only = True

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            shutil.rmtree(net.checkpoint)


def test_a_folder_that_is_removed_while_a_fit_runs_is_made_anew(tmp_path):
    watched_by(student(tmp_path / "fits"), Empty()).fit(X, Y)
    assert student(tmp_path / "fits").fit(X, Y).resumed_ == MAX_EPOCHS


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        list_folder(tmp_path / "none")
    with pytest.raises(ValueError, match="expected one or both of"):
        empty_folder(tmp_path, kinds=("all",))
    assert list_folder(tmp_path) == []


def test_the_command_lists(folder):
    result = command(folder)
    assert result.exit_code == 0
    *lines, total = result.stdout.splitlines()
    assert len(lines) == 3 and total.startswith("3 entries, ")
    assert any("unfinished fit: Distilled" in line for line in lines)
    found = json.loads(command(folder, "--json", "--only", "fits").stdout)
    assert {one["kind"] for one in found} == {"finished fit", "unfinished fit"}
    assert found[0]["nbytes"] >= found[1]["nbytes"] > 0


def test_the_command_asks_before_it_removes(folder):
    before = files_in(folder)
    refused = command(folder, "--empty", input="n\n")
    assert "Nothing is removed." in refused.stdout
    assert "Remove 3 entries" in refused.output
    nobody = command(folder, "--empty", input="")
    assert nobody.exit_code == 1 and "pass --yes" in nobody.output
    assert files_in(folder) == before
    removed = json.loads(command(folder, "--empty", "--yes", "--json").stdout)
    assert len(removed) == 3
    assert command(folder).stdout == "0 entries, 0 bytes.\n"
    assert "no such folder" in command(folder / "none").output


def test_ages(folder):
    (fit,) = [one for one in list_folder(folder) if one.kind == "finished fit"]
    path = os.path.join(fit.path, "finished.safetensors")
    os.utime(path, (0, time.time() - 3 * 86400))
    assert "3 days" in command(folder).stdout
    os.utime(path, (0, time.time() + 10**6))  # of a clock that jumped
    assert [one.age for one in list_folder(folder) if one.kind == fit.kind] == [0.0]
