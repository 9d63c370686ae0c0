"""Name the image formats that are not read as they are, and what would help."""

from __future__ import annotations

import struct
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

_START = 512  # bytes that tell a format
_FLOAT = {1: "unsigned", 2: "signed", 3: "float"}
_CONVERT = "convert it to PNG or JPEG"
_SIGNATURES = {
    b"\xff\x0a": f"a JPEG XL image; {_CONVERT}",
    b"\x00\x00\x00\x0cJXL ": f"a JPEG XL image; {_CONVERT}",
    b"8BPS": f"a Photoshop file; {_CONVERT}",
    b"v/1\x01": "an OpenEXR image; convert it to a float TIFF or to PNG",
    b"FUJIFILM": "a raw photograph; develop it to JPEG or PNG",
    b"\x00\x00\x01\x00": f"an icon (ICO); {_CONVERT}",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; run "
    "`git lfs pull` in its repository",
}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def describe_unsupported(file: BinaryIO) -> str:
    """Return what a file is that Pillow cannot read, and the remedy; "" if unknown."""
    file.seek(0)
    start = file.read(_START)
    for signature, text in _SIGNATURES.items():
        if start.startswith(signature):
            return text
    if start[4:8] == b"ftyp":
        return _describe_heif(start)
    if start.startswith(b"\xff\xd8\xff"):
        return _describe_jpeg(file)
    if start[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return _describe_tiff(file)
    return ""


def _describe_heif(start: bytes) -> str:
    if start[8:12] in _HEIC:
        return (
            "a HEIC photograph; `pip install pillow-heif` and call "
            "pillow_heif.register_heif_opener() before, or convert it to JPEG"
        )
    if start[8:12] in {b"avif", b"avis"}:
        return "an AVIF image; this needs Pillow 11.3 or later"
    if start[8:12] == b"crx ":
        return "a raw photograph; develop it to JPEG or PNG"
    return ""


def _describe_jpeg(file: BinaryIO) -> str:
    """Read the header of the frame: its kind and its bits."""
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        marker, length = head[1], struct.unpack(">H", head[2:])[0]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            bits = file.read(1)[:1]
            if bits and bits[0] != 8:
                return (
                    f"a JPEG of {bits[0]} bits, and Pillow reads 8; convert it to 8 "
                    "bits, or to a 16-bit PNG or TIFF and pass "
                    f"ImageReader(levels=(0, {2 ** bits[0] - 1}))"
                )
            return ""
        file.seek(length - 2, 1)
    return ""


def _describe_tiff(file: BinaryIO) -> str:
    """Read bands and bits from the tags of the first page."""
    file.seek(0)
    header = file.read(8)
    if header[2] == 43 or header[3] == 43:  # BigTIFF
        header += file.read(8)
    tags = ImageFileDirectory_v2(header)
    try:
        file.seek(tags.next)
        tags.load(file)
        n_bands, bits = int(tags.get(277, 1)), tags.get(258, (1,))
        kind = _FLOAT.get(tags.get(339, (1,))[0], "unusual")
    # A damaged file can make the parser raise errors of any type.
    except Exception:
        return ""
    text = f"a TIFF of {n_bands} band(s) of {bits[0]} bits ({kind})"
    more = " bits" if n_bands > 1 else " or 16 bits"
    is_color = n_bands == 3 and tags.get(262) == 2
    if n_bands > 1 and not is_color:
        return (
            f"{text}, of which no tag says that some are red, green and blue; save the "
            "bands to use as gray or RGB, or read the files as arrays yourself: "
            "arrays need no ImageReader"
        )
    return f"{text}, which Pillow does not read; save it with 8{more}"
