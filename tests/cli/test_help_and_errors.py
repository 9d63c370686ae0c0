"""Every command explains itself in 80 columns, and every error in one line."""

import errno
import os
import re

import pytest
from image_folders import write_squares

from skkd._cli._command import in_one_line, one_line
from skkd._cli._main import _COMMANDS


@pytest.mark.parametrize("name", [None, *_COMMANDS])
def test_help_fits_a_terminal_and_shows_an_example(skkd_command, name):
    result = skkd_command(*([name] if name else []), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert re.search(rf"^ +skkd {name or 'fit'} \w", result.stdout, re.M)


def failed(result, code=1):
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    (line,) = [t for t in result.stderr.splitlines() if t.startswith("error: ")]
    return line


def test_a_parent_of_class_folders_is_named_with_the_remedy(
    skkd_command, photos, tmp_path
):
    photos = write_squares(tmp_path / "parent" / "photos", n=4)
    (tmp_path / "parent" / "other").mkdir()
    write_squares(tmp_path / "parent" / "other", n=4, levels={"x": 1})
    (tmp_path / "parent" / "other" / "x").rename(tmp_path / "elsewhere")
    line = failed(skkd_command("fit", photos.parent, "--out", tmp_path / "out"))
    assert f"pass '{photos}'" in line
    assert not (tmp_path / "out").exists()


def test_one_class_is_refused(skkd_command, tmp_path):
    folder = write_squares(tmp_path / "one", levels={"cat": 9}, n=4)
    line = failed(skkd_command("fit", folder, "--out", tmp_path / "out"))
    assert "has one class, 'cat': expected two folders" in line


def test_a_class_too_rare_for_the_split_is_refused(skkd_command, tmp_path):
    folder = write_squares(tmp_path / "rare", n=6)
    for number in range(3):
        (folder / "dark" / f"{number}.png").unlink()
    line = failed(skkd_command("fit", folder, "--out", tmp_path / "out"))
    assert "'dark' has 3, expected 4 or more of each" in line


def test_copies_of_training_images_in_the_test_are_refused(
    skkd_command, photos, tmp_path
):
    test = write_squares(tmp_path / "test", n=2)
    result = skkd_command("fit", photos, "--test", test, "--out", tmp_path / "out")
    line = failed(result)
    (command,) = re.findall("`skkd (.*)`", line)
    listed = skkd_command(*command.split())
    assert listed.exit_code == 1
    assert "byte-identical to files in" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--teacher", "net.pt"], "--teacher 'net.pt': expected 'train'"),
        (["--teacher", "net.onnx"], "there is no such file"),
        (["--student", "Large"], "--student 'Large': expected 'auto', SmallCNN"),
        (["--epochs", "0"], "--epochs 0: expected an int of at least 1"),
        (["--size", "-1"], "--size -1: expected an int of at least 1"),
    ],
)
def test_parameters_are_checked_first(
    skkd_command, photos, tmp_path, arguments, expected
):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "out"
    assert expected in failed(skkd_command("fit", photos, "--out", out, *arguments))
    assert not out.exists()


def test_an_out_that_is_a_file_or_of_somebody_else_is_left_alone(
    skkd_command, photos, tmp_path
):
    (tmp_path / "file").write_text("mine")
    line = failed(skkd_command("fit", photos, "--out", tmp_path / "file"))
    assert "is a file: expected a folder" in line
    (tmp_path / "card.md").write_text("mine")
    line = failed(skkd_command("fit", photos, "--out", tmp_path))
    assert "has a card.md that no run of this kind wrote" in line
    assert (tmp_path / "card.md").read_text() == "mine"


@pytest.mark.parametrize("inside", [".", "out", "dark", "dark/out"])
def test_an_out_among_the_images_is_refused(skkd_command, tmp_path, inside):
    """There it would be one of the classes, or its pictures images of one."""
    folder = write_squares(tmp_path / "photos", n=6)
    files = {*folder.rglob("*")}
    line = failed(skkd_command("fit", folder, "--out", folder / inside))
    assert f"lies in the folder of images '{folder}'" in line
    other = write_squares(tmp_path / "other", n=6)
    options = ["--test", folder, "--out", folder / inside]
    assert "lies in the folder of" in failed(skkd_command("fit", other, *options))
    assert {*folder.rglob("*")} == files


def test_an_out_below_a_file_is_named(skkd_command, photos, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out"
    line = failed(skkd_command("fit", photos, "--out", out))
    assert f"--out '{out}' cannot be made (Not a directory)" in line


def test_a_missing_option_is_a_matter_of_usage(skkd_command, photos):
    assert skkd_command("fit", photos).exit_code == 2
    assert skkd_command("nothing").exit_code == 2


def test_debug_shows_the_traceback(skkd_command, tmp_path):
    result = skkd_command("fit", tmp_path / "no", "--out", tmp_path / "o", "--debug")
    assert "Traceback" in result.stderr
    assert result.exit_code == 1


def test_long_lists_are_cut_in_one_line():
    text = "Cannot read 5 images:\n  a\n  b\n  c\n  d\n  e\nUse on_error='skip'."
    line = "Cannot read 5 images: a; b; c; and 2 more. Use --skip-unreadable."
    assert in_one_line(text) == line


def test_a_folder_without_classes_is_told_in_words_of_the_command(
    skkd_command, tmp_path
):
    """No call of Python is asked of somebody who does not write any."""
    photos = write_squares(tmp_path / "photos", n=4)
    (photos / "green").mkdir()
    line = failed(skkd_command("fit", photos, "--out", tmp_path / "out"))
    assert line.endswith(f"Add images, or move these folders out of '{photos}'.")
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in photos.glob("*/*.png"):
        path.rename(flat / f"{path.parent.name}_{path.name}")
    line = failed(skkd_command("fit", flat, "--out", tmp_path / "out"))
    assert line.endswith("Put the images of each class into a folder of its own.")
    (flat / "labels.csv").write_text("file,label\nbright_0.png,bright\n")
    line = failed(skkd_command("fit", flat, "--out", tmp_path / "out"))
    assert line.endswith("of each image, move each into a folder of its class.")


def test_a_full_disk_is_one_sentence():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "labels.csv")
    expected = "is full: free some space, and run the same again."
    assert one_line(error) == f"The disk of 'labels.csv' {expected}"
    assert one_line(OSError(errno.ENOSPC, "")) == f"The disk {expected}"


def model_of(done):
    """The file that needs no torch, whose import takes seconds, if there is one."""
    exported = done / "student.onnx"
    return exported if exported.exists() else done / "student.safetensors"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_answer_that_does_not_fit_on_the_disk(skkd_process, photos, done):
    with open("/dev/full", "w") as full:
        process = skkd_process("predict", model_of(done), photos, stdout=full)
        _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    (line,) = error.splitlines()
    assert line.startswith("error: The disk is full")


def test_a_reader_that_has_enough_ends_the_command_without_a_word(
    skkd_process, photos, done
):
    process = skkd_process("predict", model_of(done), photos)
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == ""
    assert process.wait(timeout=300) == 1
