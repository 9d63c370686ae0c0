"""load_image_folder: classes, files that are left out, copies and damage."""

import os
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from image_files import BLUE, RED, add_damaged, names, save, save_pets, truncate
from PIL import Image

from skkd.images import (
    ImageFolderWarning,
    ImageReader,
    UnreadableImageError,
    load_image_folder,
)


@pytest.fixture
def root(tmp_path):
    return save_pets(tmp_path)


@pytest.fixture
def damaged(root):
    return add_damaged(root)


@pytest.mark.parametrize("as_type", [str, Path])
def test_folder_gives_paths_and_class_names(root, as_type):
    photos = load_image_folder(as_type(root))
    assert names(photos, root) == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    assert photos.data.shape == photos.target.shape == (3,)
    assert photos.data.dtype.kind == photos.target.dtype.kind == "U"
    assert photos.target.tolist() == ["cat", "cat", "dog"]
    assert photos.target_names == ["cat", "dog"]
    assert photos.skipped == []
    assert photos.groups.tolist() == [0, 1, 2]


def test_order_is_by_name_parts_whatever_the_system_lists(tmp_path, monkeypatch):
    for i, name in enumerate(
        ["b/x/1.png", "b/B.png", "b/a.png", "a.b/1.png", "a/1.png"]
    ):
        save(tmp_path / name, (i, 0, 0))
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda e: e.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *args):
            return None

    expected = ["a/1.png", "a.b/1.png", "b/B.png", "b/a.png", "b/x/1.png"]
    assert names(load_image_folder(tmp_path), tmp_path) == expected
    monkeypatch.setattr("skkd.images._walk.os.scandir", Reversed)
    photos = load_image_folder(tmp_path)
    assert names(photos, tmp_path) == expected
    assert photos.target_names == ["a", "a.b", "b"]


def test_class_is_the_first_level_at_any_depth(root):
    save(root / "cat" / "indoor" / "night" / "3.png", (9, 9, 9))
    photos = load_image_folder(root)
    assert photos.target.tolist() == ["cat", "cat", "cat", "dog"]


def test_blanks_and_unicode_in_names(tmp_path):
    save(tmp_path / "grüne Äpfel" / "Foto 1 é.png", RED)
    save(tmp_path / "梨" / "写真.jpg", BLUE)
    photos = load_image_folder(tmp_path)
    assert photos.target_names == ["grüne Äpfel", "梨"]
    assert ImageReader(4).fit_transform(photos.data).shape == (2, 3, 4, 4)


def test_home_is_expanded(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    assert len(load_image_folder("~/pets").data) == 3


def test_hidden_and_system_files_are_left_out_in_silence(root):
    (root / "cat" / ".gitkeep").touch()
    (root / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (root / "cat" / "desktop.ini").write_text("ini")
    save(root / "cat" / "._1.png")
    save(root / ".cache" / "1.png")
    save(root / "__MACOSX" / "1.png")
    (root / "metadata.csv").write_text("file,label")
    assert load_image_folder(root).target_names == ["cat", "dog"]


def test_content_decides_what_is_an_image(root):
    save(root / "cat" / "a.jpg", (1, 2, 3), format="WEBP")
    save(root / "cat" / "no_suffix", (4, 5, 6), format="PNG")
    save(root / "cat" / "odd.txt", (7, 8, 9), format="PNG")
    assert len(load_image_folder(root).data) == 6


def test_other_files_are_ignored_and_named(root):
    (root / "cat" / "notes.txt").write_text("a note")
    (root / "dog" / "empty").touch()
    with pytest.warns(
        ImageFolderWarning, match=r"2 file\(s\) that are not images"
    ) as record:
        photos = load_image_folder(root)
    assert len(photos.data) == 3
    assert photos.skipped == []
    assert "cat/notes.txt" in str(record[0].message)
    assert "dog/empty" in str(record[0].message)
    assert record[0].filename == __file__


def test_images_directly_in_the_root_are_named(root):
    save(root / "lost.jpg")
    with pytest.warns(ImageFolderWarning, match=r"directly in the root(.|\n)*lost.jpg"):
        assert len(load_image_folder(root).data) == 3


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent' does not exist"):
        load_image_folder(tmp_path / "absent")


def test_root_is_a_file(root):
    with pytest.raises(NotADirectoryError, match="is a file; expected a folder"):
        load_image_folder(root / "cat" / "1.png")


def test_root_without_class_folders_shows_the_layout(tmp_path):
    with pytest.raises(ValueError, match=r"no class folders.*cat/1\.jpg"):
        load_image_folder(tmp_path)
    save(tmp_path / "1.png")
    with pytest.raises(ValueError, match=r"directly in it: 1.*pass its parent"):
        load_image_folder(tmp_path)


def test_all_classes_without_images_are_named(root):
    (root / "bird").mkdir()
    (root / "fish" / "sub").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"2 of 4 classes.*\['bird', 'fish'\]"):
        load_image_folder(root)


def test_skipping_may_not_empty_a_class(root):
    truncate(root / "dog" / "1.png")
    with pytest.raises(ValueError, match=r"\['dog'\]"):
        load_image_folder(root, on_error="skip")


@pytest.mark.parametrize("on_error", ["ignore", None, True])
def test_wrong_on_error(root, on_error):
    with pytest.raises(ValueError, match="expected 'raise' or 'skip'"):
        load_image_folder(root, on_error)


def test_all_damaged_files_are_in_one_error(root, damaged):
    with pytest.raises(UnreadableImageError, match="Cannot read 7 of 10") as info:
        load_image_folder(root)
    message = str(info.value)
    for name in damaged:
        assert name in message
    for reason in ("truncated", "empty file", "begins with b'<html>", "No such file"):
        assert reason in message
    assert "on_error='skip'" in message
    assert len(info.value.failures) == 7
    assert pickle.loads(pickle.dumps(info.value)).failures == info.value.failures


def test_damaged_files_are_skipped_on_request(root, damaged):
    with pytest.warns(ImageFolderWarning, match="Cannot read 7 of 10") as record:
        photos = load_image_folder(root, on_error="skip")
    assert len(record) == 1
    assert names(photos, root) == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    skipped = [Path(path).relative_to(root).as_posix() for path, _ in photos.skipped]
    assert [
        name.startswith(start) for name, start in zip(skipped, damaged, strict=True)
    ]
    assert dict(photos.skipped)[str(root / "dog" / "zero.JPG")] == "empty file"


def test_long_lists_are_shortened_in_the_message_only(root):
    for i in range(25):
        (root / "cat" / f"zero{i:02}.png").touch()
    with pytest.raises(UnreadableImageError, match="and 5 more") as info:
        load_image_folder(root)
    assert "zero19" in str(info.value)
    assert "zero20" not in str(info.value)
    assert len(info.value.failures) == 25


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("n_pixels", [100, 10_000])
def test_decompression_bombs_are_refused(root, monkeypatch, action, n_pixels):
    """120 and 40,000 pixels: beyond the limit, and beyond twice the limit."""
    path = root / "cat" / "1.png"
    if n_pixels == 10_000:
        save(path, size=(200, 200))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", n_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        for call in (
            lambda: load_image_folder(root),
            lambda: ImageReader(4).transform([path]),
        ):
            with pytest.raises(UnreadableImageError, match=f"PIXELS={n_pixels} ") as e:
                call()
            assert "cat/1.png" in Path(e.value.failures[0][0]).as_posix()
            assert "raise that limit" in str(e.value)


def test_identical_files_across_classes_are_named(root):
    save(root / "dog" / "copy.png", RED)
    expected = r"1 group.s. of .* more than one class(.|\n)*cat/1.png = dog/copy.png"
    with pytest.warns(ImageFolderWarning, match=expected) as record:
        photos = load_image_folder(root)
    assert len(record) == 1
    assert photos.groups.tolist() == [0, 1, 2, 0]


def test_identical_files_within_a_class_are_counted(root):
    for i in (3, 4):
        save(root / "cat" / f"{i}.png", RED)
    expected = r"1 group.s. of .* within one class \(3 files\).*StratifiedGroupKFold"
    with pytest.warns(ImageFolderWarning, match=expected):
        photos = load_image_folder(root)
    assert photos.groups.tolist() == [0, 1, 0, 0, 2]


def test_leaks_between_two_folders(root, tmp_path):
    save(tmp_path / "test" / "cat" / "leak.png", RED)
    save(tmp_path / "test" / "dog" / "new.png", (1, 1, 1))
    train = load_image_folder(root)
    for other in (train, root, str(root)):
        with pytest.warns(ImageFolderWarning, match="1 of 2 images") as record:
            test = load_image_folder(tmp_path / "test", compare_with=other)
        assert f"cat/leak.png = {train.data[0]}" in str(record[0].message)
    assert np.isin(test.sha256, train.sha256).tolist() == [True, False]


def test_classes_that_compare_with_spells_otherwise(root, tmp_path):
    save(tmp_path / "test" / "Cat" / "new.png", (1, 1, 1))
    save(tmp_path / "test" / "dog" / "new.png", (2, 2, 2))
    for other in (root, load_image_folder(root)):
        with pytest.warns(ImageFolderWarning, match="'Cat' is 'cat' there"):
            load_image_folder(tmp_path / "test", compare_with=other)


def test_no_leak_no_warning(root, tmp_path):
    save(tmp_path / "test" / "cat" / "new.png", (1, 1, 1))
    load_image_folder(tmp_path / "test", compare_with=root)


def test_wrong_compare_with(root, tmp_path):
    with pytest.raises(ValueError, match=r"a folder or a Bunch .* got int"):
        load_image_folder(root, compare_with=3)
    with pytest.raises(FileNotFoundError, match="compare_with"):
        load_image_folder(root, compare_with=tmp_path / "absent")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_and_cycles_end(root, tmp_path):
    elsewhere = save(tmp_path / "elsewhere" / "3.png", (3, 3, 3))
    (root / "cat" / "link.png").symlink_to(elsewhere)
    (root / "bird").symlink_to(save(tmp_path / "birds" / "1.png", (4, 4, 4)).parent)
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    photos = load_image_folder(root)
    assert names(photos, root) == [
        *("bird/1.png", "cat/1.png", "cat/2.jpg", "cat/link.png", "dog/1.png"),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_does_not_hang(root):
    os.mkfifo(root / "cat" / "pipe.jpg")
    with pytest.warns(ImageFolderWarning, match=r"cat/pipe\.jpg"):
        assert len(load_image_folder(root).data) == 3
