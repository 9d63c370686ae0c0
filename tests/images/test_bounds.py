"""How much memory a file of a folder may take, and what is never opened."""

import socket
import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
from image_files import BLUE, save, save_pets, save_tiff
from PIL import Image

from skkd.images import (
    ImageFolderWarning,
    ImageReader,
    UnreadableImageError,
    load_image_folder,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux counts it")
MB = 2**20
# Loads a folder, and prints by how many bytes the peak of the memory has grown.
PEAK = """
    import resource, sys, warnings
    from pathlib import Path
    from skkd.images import ImageReader, UnreadableImageError, load_image_folder

    def peak():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    small, root, file = map(Path, sys.argv[1:])
    warnings.simplefilter("ignore")
    load_image_folder(small)  # threads, decoders
    ImageReader(16).transform([*small.rglob("*.png")])
    before = peak()
    try:
        load_image_folder(root)
        ImageReader(16, levels="minmax").transform([file])
        text = "read"
    except UnreadableImageError as error:
        text = str(error)
    print(peak() - before)
    print(text)
"""


def peak_of(tmp_path, root, file):
    """Return by how much memory grew in a process that reads a folder, and its text."""
    small = tmp_path / "small" / "pets"
    if not small.exists():
        save_pets(tmp_path / "small")
    command = [sys.executable, "-c", textwrap.dedent(PEAK), small, root, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_bytes, _, text = done.stdout.partition("\n")
    return int(n_bytes), text


def sparse(path, start, size=1_500_000_000):
    """Write a file that takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size)
    return path


def write_png(path, side, color_type, depth=8, row=None):
    """Write a black PNG of any size, row by row: a large one takes no memory here."""
    n_channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    row = row or bytes(1 + side * n_channels * depth // 8)
    pack = zlib.compressobj(1)
    rows = b"".join([pack.compress(row) for _ in range(side)] + [pack.flush()])
    header = struct.pack(">IIBBBBB", side, side, depth, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    if color_type == 3:
        chunks.insert(1, (b"PLTE", bytes(6)))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            check = struct.pack(">I", zlib.crc32(kind + data))
            file.write(struct.pack(">I", len(data)) + kind + data + check)
    return path


@pytest.fixture
def root(tmp_path):
    return save_pets(tmp_path)


# --- Files ------------------------------------------------------------------------


@linux
@pytest.mark.slow
def test_of_a_film_the_beginning_is_read(root, tmp_path):
    film = sparse(
        root / "cat" / "holiday.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41"
    )
    with pytest.warns(ImageFolderWarning, match=r"not images(.|\n)*holiday\.mp4"):
        assert len(load_image_folder(root).data) == 3
    grown, text = peak_of(tmp_path, root, film)
    assert "begins with b'\\x00\\x00\\x00 ftypisom" in text  # the reader was given it
    assert grown < 60 * MB


STARTS = {
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "tiff": b"II*\0\x08\0\0\0",
    "webp": b"RIFF\0\0\0\x59WEBPVP8 ",
    "bmp": b"BM",
    "ppm": b"P6 9 9 255\n",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "dicom": bytes(128) + b"DICM",
}


@linux
@pytest.mark.slow
def test_large_files_that_begin_as_images_are_refused(root, tmp_path):
    for name, start in STARTS.items():
        file = sparse(root / "cat" / f"{name}.jpg", start)
    grown, text = peak_of(tmp_path, root, file)
    for name in STARTS:
        assert f"{name}.jpg': a file of 1,500 MB, and 537 MB are allowed" in text
    assert "raise that limit if you trust the file" in text
    assert grown < 60 * MB


def test_the_limit_is_that_of_pillow(root, monkeypatch):
    sparse(root / "cat" / "large.bmp", b"BM", 70 * MB)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000_000)
    with pytest.raises(UnreadableImageError, match=r"a file of 73 MB, and 67 MB are"):
        load_image_folder(root)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(UnreadableImageError, match=r"large\.bmp") as info:
        load_image_folder(root)
    assert "are allowed" not in str(info.value)


# --- Pixels -----------------------------------------------------------------------


@linux
@pytest.mark.slow
def test_an_image_is_refused_by_what_it_would_take_in_memory(root, tmp_path):
    """Each has fewer pixels than Pillow allows, and a few hundred kilobytes."""
    file = write_png(root / "cat" / "bomb.png", 9000, 4)
    assert file.stat().st_size < 10**6
    grown, text = peak_of(tmp_path, root, file)
    assert "decoded in memory of 648 MB, and 537 MB are allowed" in text
    assert grown < 60 * MB


KINDS = {  # color type and depth, and the bytes of a pixel that are counted
    "gray": (0, 8, 1),
    "16-bit": (0, 16, 8),
    "colours": (2, 8, 4),
    "palette": (3, 8, 5),
    "gray and alpha": (4, 8, 8),
    "colours and alpha": (6, 8, 8),
}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_what_is_counted(kind, tmp_path):
    (tmp_path / "one" / "a").mkdir(parents=True)
    side, (color_type, depth, per_pixel) = 5000, KINDS[kind]
    file = write_png(tmp_path / "one" / "a" / "large.png", side, color_type, depth)
    grown, text = peak_of(tmp_path, tmp_path / "one", file)
    assert text == "read\n"
    assert grown < side**2 * (per_pixel + 1) + 30 * MB


@linux
@pytest.mark.slow
def test_memory_of_floats_is_what_is_counted(tmp_path):
    (tmp_path / "one" / "a").mkdir(parents=True)
    levels = np.zeros((5000, 5000), np.float32)
    file = save_tiff(tmp_path / "one" / "a" / "large.tif", levels, kind="f")
    grown, text = peak_of(tmp_path, tmp_path / "one", file)
    assert text == "read\n"
    assert grown < levels.size * 15 + levels.nbytes + 30 * MB  # and the file


def test_strips_make_the_pixels_of_the_whole(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (37, 23, 4), np.uint8)
    levels = rng.integers(0, 5000, (37, 23)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    Image.fromarray(pixels).quantize(9).save(tmp_path / "palette.png", transparency=3)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    paths = [tmp_path / f"{name}.png" for name in ("alpha", "palette", "deep")]
    reader = ImageReader((12, 9), levels=(0, 5000))
    whole = reader.transform(paths)
    monkeypatch.setattr("skkd.images._decoding._STRIP", 50)
    monkeypatch.setattr("skkd.images._levels._STRIP", 50)
    np.testing.assert_array_equal(reader.transform(paths), whole)


# --- What is no file --------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no such files on Windows")
def test_special_files_are_named_by_their_kind_and_never_opened(
    root, tmp_path, monkeypatch
):
    import os

    os.mkfifo(root / "cat" / "pipe.jpg")
    (root / "dog" / "zero.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(root / "dog")  # its path may have 107 letters
        server.bind("socket.png")
        with pytest.warns(ImageFolderWarning) as record:
            photos = load_image_folder(root)
        (text,) = [str(w.message) for w in record]
        assert "Ignored 3 special file(s), which are not opened" in text
        assert "cat/pipe.jpg (a named pipe)" in text
        assert "dog/socket.png (a socket)" in text
        assert "dog/zero.png (a device)" in text
        assert len(photos.data) == 3
        files = ["cat/pipe.jpg", "dog/socket.png", "dog/zero.png"]
        for memory in (None, tmp_path / "memory"):
            with pytest.raises(UnreadableImageError) as info:
                ImageReader(8, memory=memory).transform([root / f for f in files])
            reasons = [reason for _, reason in info.value.failures]
            assert reasons == [
                "a named pipe, which is not opened",
                "a socket, which is not opened",
                "a device, which is not opened",
            ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_folder_that_two_links_name_is_read_once(root, tmp_path):
    birds = save(tmp_path / "birds" / "1.png", (4, 4, 4)).parent
    for name in ("bird", "alias"):
        (root / name).symlink_to(birds)
    (root / "cat" / "more").symlink_to(root / "dog")
    with pytest.warns(ImageFolderWarning) as record:
        photos = load_image_folder(root)
    text = str(record[0].message)
    assert "Ignored 2 link(s) to folders that are read already" in text
    assert "bird is alias" in text
    assert "cat/more is dog" in text
    assert photos.target_names == ["alias", "cat", "dog"]
    assert len(photos.data) == len(set(photos.sha256)) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_that_lead_around_end(root):
    (root / "cat" / "to-dog").symlink_to(root / "dog")
    (root / "dog" / "to-cat").symlink_to(root / "cat")
    with pytest.warns(ImageFolderWarning, match="read already") as record:
        assert len(load_image_folder(root).data) == 3
    texts = "\n".join(str(w.message) for w in record)
    assert "cat/to-dog is dog" in texts and "dog/to-cat is cat" in texts


# --- Folders that cannot be read --------------------------------------------------


def test_a_folder_that_cannot_be_read_is_named(root, monkeypatch):
    import os

    save(root / "cat" / "secret" / "1.png", BLUE)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("skkd.images._walk.os.scandir", refuse)
    with pytest.raises(
        UnreadableImageError, match=r"1 folder(.|\n)*on_error='skip'"
    ) as e:
        load_image_folder(root)
    assert e.value.failures == [(str(root / "cat" / "secret"), "Permission denied")]
    with pytest.warns(ImageFolderWarning, match=r"secret': Permission denied"):
        photos = load_image_folder(root, on_error="skip")
    assert len(photos.data) == 3
    assert photos.skipped == e.value.failures
    with pytest.raises(UnreadableImageError, match="1 folder"):
        load_image_folder(root / "dog" / "..", "skip", compare_with=root)
    labels = root / "labels.csv"
    labels.write_text("file,label\ncat/1.png,a\ndog/1.png,b\n")
    with pytest.raises(UnreadableImageError, match="1 folder"):
        load_image_folder(root, labels=labels)


AS_NOBODY = """
    import os, sys, warnings
    from pathlib import Path
    import skkd.images
    from skkd.images import load_image_folder, UnreadableImageError

    root = Path(sys.argv[1])
    try:
        skkd.images.load_image_folder(root)  # imports what it needs
    except Exception:
        pass
    os.setgid(65534)
    os.setuid(65534)
    try:
        load_image_folder(root)
    except UnreadableImageError as error:
        print(error)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        photos = load_image_folder(root, on_error="skip")
    print(len(photos.data), photos.skipped, *(w.message for w in caught))
    os.chdir("/")
    try:
        load_image_folder(root / "cat" / "secret")
    except UnreadableImageError as error:
        print(error)
"""


@linux
@pytest.mark.skipif("os.getuid() != 0", reason="needs to become another user")
def test_folders_of_another_user(tmp_path_factory):
    import shutil
    import tempfile
    from pathlib import Path

    top = Path(tempfile.mkdtemp())  # which others may enter, unlike those of pytest
    try:
        top.chmod(0o755)
        root = save_pets(top)
        save(root / "cat" / "secret" / "1.png", BLUE)
        (root / "cat" / "secret").chmod(0o700)
        save(root / "dog" / "mine.png", (7, 7, 7)).chmod(0o600)
        command = [sys.executable, "-c", textwrap.dedent(AS_NOBODY), root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Cannot read 1 folder(s):" in done.stdout
        assert "3 [(" in done.stdout
        assert done.stdout.count("secret', 'Permission denied')") == 1
        assert done.stdout.count("mine.png', 'Permission denied')") == 1
        assert "secret' cannot be read: Permission denied" in done.stdout
    finally:
        shutil.rmtree(top)
