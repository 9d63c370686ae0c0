"""What is said of a folder names no call and no parameter of Python."""

import re
import shutil

import pytest
from PIL import Image

from skkd._cli._words import in_words_of_commands

PYTHON = re.compile(
    r"load_image_folder|\b(classes|exclude|labels|root|compare_with|on_error)\b=?[='(]|"
    r"compare_with|pandas|shutil|`(groups|skipped|levels)`|ImageReader|PIL\."
)
OWN_FOLDERS = "ut the images of each class into a folder of its own."
MOVE_EACH = "move each into a folder of its class."


def tree(root, *folders, files=("{}.png",)):
    """Write two images of each name into each folder; all are different."""
    count = 0
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in (name.format(i) for name in files for i in range(2)):
            count += 1
            Image.new("RGB", (4, 4), (count, 0, 9)).save(root / folder / name)
    return root


def of_animals(*above):
    return [f"{folder}/{name}" for folder in above for name in ("cat", "dog")]


@pytest.fixture
def told(skkd_command, tmp_path):
    """What `check-folder` says of a folder, in one line."""

    def run(*options, folder=tmp_path, code=1):
        result = skkd_command("check-folder", folder, *options)
        assert result.exit_code == code
        text = result.stdout + result.stderr
        assert "Traceback" not in text
        assert not PYTHON.search(text), text
        return " ".join(text.split())

    return run


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (of_animals("train", "test"), "pass '{}/train'. If these are the classes, re"),
        (["train", "test"], f"have no class folders; p{OWN_FOLDERS}"),
        (["cat_train", "cat_test", "dog_train", "dog_test"], "Move each split into a"),
        (
            ["cat", "dog", "old/cat", "old/dog"],
            "Move it away. If it is a class, rename",
        ),
        (["cat", "dog", "test"], "If it is none, move it out of '{}'; if it is one, n"),
        (["cat", "dog", "dog/cat"], "Move them, unless they are meant."),
        (
            of_animals("fold1", "fold2"),
            "pass '{}/fold1'; if not, nothing need be done.",
        ),
        (
            [*of_animals("train"), "extra/x"],
            "classes, pass '{}/train'; if not, nothing",
        ),
        (
            ["cat/train", "cat/test", "dog/train"],
            "Move some out of the folder, unless a",
        ),
        (
            ["cat/images", "cat/masks", "dog/images"],
            "Move them out of the folder, unless",
        ),
        (["images", "masks"], "Pass the folder that holds one folder per class. If th"),
        (["celeba/celeba"], f"P{OWN_FOLDERS}"),
        (of_animals("photos"), "Pass '{}/photos' to say so."),
        (["cat"], "2 images in 1 class: 2 cat There is one class, and two or more"),
        (["Cat", "cat"], "Classes that differ only in case"),
    ],
)
def test_odd_layouts(told, tmp_path, folders, expected):
    tree(tmp_path, *folders)
    assert expected.format(tmp_path) in told()


def test_splits_are_what_fit_asks_for(skkd_command, tmp_path):
    tree(tmp_path / "photos", *of_animals("train", "test"))
    result = skkd_command("fit", tmp_path / "photos", "--out", tmp_path / "out")
    train = tmp_path / "photos" / "train"
    assert f"Pass one of them, '{train}', and another one by --test." in result.stderr


@pytest.mark.parametrize("folders", [["images"], ["celeba"], ["train", "test"], []])
def test_images_beside_a_table(told, tmp_path, folders):
    tree(tmp_path, *folders or ["."])
    (tmp_path / "labels.csv").write_text("name,label\n0,a\n1,b\n")
    said = told()
    assert MOVE_EACH in said or said.endswith(
        f"p{OWN_FOLDERS} If these are the classes, rename them."
    )


def test_folders_without_images(told, tmp_path):
    tree(tmp_path, "cat", "dog")
    (tmp_path / "bird").mkdir()
    assert f"Add images, or move these folders out of '{tmp_path}'." in told()
    tree(tmp_path / "bird", "a")
    shutil.make_archive(str(tmp_path / "bird" / "birds"), "zip", tmp_path / "bird")
    shutil.rmtree(tmp_path / "bird" / "a")
    archive = tmp_path / "bird" / "birds"
    assert f"Unpack the archive '{archive}.zip' into the folder '{archive}'." in told()
    shutil.rmtree(tmp_path / "dog")
    shutil.rmtree(tmp_path / "bird")
    (tmp_path / "meta").mkdir()
    assert f"in one of the others: pass '{tmp_path / 'cat'}'." in told()


def test_files_without_folders(told, tmp_path):
    tree(tmp_path, ".")
    assert f"is one of the classes, pass its parent, '{tmp_path.parent}'." in told()
    tree(tmp_path, ".", files=("cat_{}.png", "dog_{}.png"))
    assert told().endswith(f"P{OWN_FOLDERS}")


def test_copies_and_files_that_cannot_be_read(told, tmp_path):
    photos = tree(tmp_path / "photos", "cat", "dog")
    other = tree(tmp_path / "other", "Cat", "dog")
    said = told("--against", other, folder=photos)
    assert "byte-identical to files in the folder of --against;" in said
    assert "'cat' is 'Cat' there" in said
    for options in (["--against", tmp_path / "no"], ["--against", photos / "x.png"]):
        assert "--against '" in told(*options, folder=photos)
    shutil.copy(photos / "cat" / "0.png", photos / "cat" / "again.png")
    (photos / "dog" / "broken.png").write_text("nothing")
    said = told(folder=photos)
    assert "copies on both sides, and that of `skkd fit` does not." in said
    assert "They are left out." in said


def test_only_options_of_the_command_are_named(skkd_command, photos, done, tmp_path):
    """Of four that read a folder, one can leave out files that cannot be read."""
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "dark" / "broken.png").write_text("nothing")
    fit = skkd_command("fit", folder, "--out", tmp_path / "out")
    assert fit.stderr.endswith(
        "remove them, or leave them out with --skip-unreadable.\n"
    )
    student = done / "student.safetensors"
    for command in (
        ["compare", student, "--data", folder],
        ["check-teacher", student, folder],
        ["export", student, "--data", folder, "--out", tmp_path / "x.onnx"],
    ):
        result = skkd_command(*command)
        assert result.exit_code == 1
        assert result.stderr.endswith("Repair or remove them.\n"), result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "16-bit gray levels have no agreed range (here 1 ... 9); say which are "
            "black and white by ImageReader(levels=(low, high)), or save the image",
            "16-bit gray levels have no agreed range (here 1 ... 9); save the image",
        ),
        (
            "more pixels than PIL.Image.MAX_IMAGE_PIXELS=9 allows, perhaps a "
            "decompression bomb; raise that limit if you trust the file, or store a",
            "more pixels than 9, perhaps a decompression bomb; store a",
        ),
        (
            "If these are the classes, pass classes=[\"it's\", 'b]', 'c'] and 2 more.",
            "If these are the classes, rename them.",
        ),
        (
            "models['a'] knows none of the labels of y: it predicts ['x'], y holds "
            "['z']. Pass y with the labels that the models were trained on.",
            "'a' knows none of these classes: it predicts ['x'], the folders are ['z']."
            " Name them by the classes that the models were trained on.",
        ),
        (
            "The teacher t does not know the classes ['z'] of y; it knows ['x']. Name "
            "its columns by the same labels, as_teacher(model, classes=[...]), or ...",
            "The teacher t does not know the classes ['z']; it knows ['x']. Name the "
            "folders by the classes that it was trained on.",
        ),
        ('out="it\'s": the disk is full', '--out "it\'s": the disk is full'),
        (
            "path='x': expected the name of a file",
            "--out 'x': expected the name of a f",
        ),
    ],
)
def test_a_sentence_of_python(text, expected):
    assert in_words_of_commands(text).startswith(expected)
