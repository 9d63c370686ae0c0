"""Image files made for the tests of this folder."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

import skkd.images._reading
from skkd.images import (
    ImageReader,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(path, color=RED, size=(12, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)
    return path


def save_noise(path, size=(60, 50), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_tiff(path, levels, *, n_bands=1, kind="u", bits=None, photometric=1, more=()):
    """Write an uncompressed TIFF as programs other than Pillow do.

    `levels` is an array, or bytes with the number of `bits`; `more` are further tags of
    type short, as pairs of number and values.
    """
    height, width = (8, 8) if isinstance(levels, bytes) else levels.shape[:2]
    data = levels if isinstance(levels, bytes) else levels.tobytes()
    bits = bits or levels.dtype.itemsize * 8
    sample_format = "?uif".index(kind)
    tags = {
        256: [width], 257: [height], 258: [bits] * n_bands, 259: [1],
        262: [photometric], 277: [n_bands], 278: [height],
        339: [sample_format] * n_bands, **dict(more),
    }  # fmt: skip
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries, behind = {}, b""
    for tag, values in tags.items():
        raw = struct.pack(f"<{len(values)}H", *values)
        if len(raw) > 4:
            place, behind = struct.pack("<I", start + len(behind)), behind + raw
            raw = place
        entries[tag] = struct.pack("<HHI4s", tag, 3, len(values), raw)
    entries[273] = struct.pack("<HHII", 273, 4, 1, start + len(behind))
    entries[279] = struct.pack("<HHII", 279, 4, 1, len(data))
    directory = b"".join(entries[tag] for tag in sorted(entries))
    header = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    path.write_bytes(header + directory + bytes(4) + behind + data)
    return path


def truncate(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def read(path, size=8, mode="RGB", **params):
    return ImageReader(size, mode=mode, **params).transform([path])[0]


def names(photos, root):
    return [Path(path).relative_to(root).as_posix() for path in photos.data]


def save_pets(tmp_path):
    """Two classes, three different images."""
    save(tmp_path / "pets" / "cat" / "1.png", RED)
    save(tmp_path / "pets" / "cat" / "2.jpg", GREEN)
    save(tmp_path / "pets" / "dog" / "1.png", BLUE)
    return tmp_path / "pets"


def add_damaged(root):
    """Add a broken file of every kind; return their names."""
    truncate(save_noise(root / "cat" / "t1.jpg"))
    truncate(save_noise(root / "cat" / "t2.png"))
    truncate(save_noise(root / "cat" / "t3.webp"))
    # The last bytes only: a decoder that stops early would not see it.
    truncate(save_noise(root / "cat" / "t4.jpg", size=(900, 800)), keep=0.999)
    (root / "dog" / "zero.JPG").touch()
    (root / "dog" / "page.jpg").write_text("<html>404</html>")
    (root / "dog" / "gone.png").symlink_to(root / "absent.png")
    return [
        *(f"cat/t{i}" for i in (1, 2, 3, 4)),
        *("dog/gone.png", "dog/page.jpg", "dog/zero.JPG"),
    ]


def save_photos(tmp_path):
    """Twenty-four small photographs, dark ones and light ones."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(24):
        low = 120 * (i % 2)
        pixels = rng.integers(low, low + 100, (14, 18, 3), np.uint8)
        paths.append(str(tmp_path / f"{i:02}.{'png' if i % 3 else 'jpg'}"))
        Image.fromarray(pixels).save(paths[-1])
    return np.array(paths), np.array(["dark", "light"] * 12)


def spy_on_decoding(monkeypatch):
    """Return the names of the files that were decoded from now on."""
    names = []
    read = skkd.images._reading.read_image_file

    def spy(path):
        names.append(Path(path).name)
        return read(path)

    monkeypatch.setattr("skkd.images._reading.read_image_file", spy)
    return names
