"""How a file stores its levels: what Pillow's image does not say once it is decoded."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

_CODESTREAM = b"\xff\x4f\xff\x51"  # how the header of a JPEG 2000 image begins
# Channels of a TIFF by its photometric interpretation: gray, RGB, palette, CMYK, ...
_N_COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
_ALPHA = {1, 2}  # values of the TIFF tag ExtraSamples
_REDUCED_OR_MASK = 1 | 4  # bits of the TIFF tag NewSubfileType


class Doubt(NamedTuple):
    """Why the pixels of a file may not be those that are meant.

    `top` is the highest gray level, where the doubt is about the levels.
    """

    what: str
    top: int = 0


class Storage(NamedTuple):
    """How a file stores its levels.

    `kind` is that of a dtype: u, i or f. `white` is the level that is shown as white, 0
    if that is not agreed. `shift` is by how many bits Pillow moves the levels up.
    """

    bits: int = 8
    kind: str = "u"
    white: int = 255
    shift: int = 0
    zero_is_white: bool = False
    has_alpha: bool = True
    is_tiff: bool = False
    doubts: tuple[Doubt, ...] = ()


def read_storage(image: Any, file: BinaryIO) -> Storage:
    """Describe an image that is opened, and not decoded yet."""
    if image.format == "TIFF":
        return _storage_of_tiff(image)
    if image.format == "JPEG2000":
        return _storage_of_jpeg2000(image, file)
    arguments: Any = image.tile[0][3] if image.tile else ()
    if image.format == "PPM" and image.mode == "F":
        return Storage(32, "f", 0)
    if image.format == "PPM" and image.mode == "I":
        # The decoder "ppm" scales the levels to 0 ... 65535, and is told their white.
        is_scaled = image.tile[0][0] == "ppm"
        return Storage(16, white=arguments[1] if is_scaled else 65535)
    if image.format == "PNG" and "16" in str(arguments):
        return Storage(16, white=65535)
    return Storage()


def storage_in_memory(image: Any) -> Storage:
    """Describe an image in memory, by its mode, and by its file if it is of a TIFF."""
    if image.format == "TIFF" and hasattr(image, "tag_v2"):
        return _storage_of_tiff(image)
    if image.mode.startswith("I;16"):
        if image.format == "JPEG2000":
            raise ValueError(
                "an image of a JPEG 2000 file with more than 8 bits, of which the file "
                "says how many; pass its path or its bytes"
            )
        return Storage(16, white=65535)
    if image.mode in ("I", "F"):
        return Storage(32, "i" if image.mode == "I" else "f", 0)
    return Storage()


def _storage_of_jpeg2000(image: Any, file: BinaryIO) -> Storage:
    if not image.mode.startswith("I"):
        return Storage()
    place = file.tell()
    file.seek(0)
    # Before it are at most a few boxes of metadata, a colour profile for instance.
    start = file.read(2**20)
    file.seek(place)
    header = start.find(_CODESTREAM)
    # Capabilities, four sizes of image and tile, number of channels, then their depth.
    depth = start[header + 42] if header >= 0 and len(start) > header + 42 else 15
    bits = (depth & 127) + 1
    return Storage(16, white=2**bits - 1, shift=16 - bits)


def _storage_of_tiff(image: Any) -> Storage:
    doubts = _doubts_of_pages(image)
    tags = image.tag_v2
    bits, kind = _first(tags, 258, 1), "?uif"[min(_first(tags, 339, 1), 3)]
    photometric, n_bands = _first(tags, 262, 1), _first(tags, 277, 1)
    extra = tags.get(338, ())
    has_alpha = bool(extra) and extra[0] in _ALPHA
    n_read = _N_COLORS.get(photometric, n_bands) + has_alpha
    if n_bands > n_read:
        doubts.append(
            Doubt(
                f"only the first {n_read} of {n_bands} bands are read; no tag says "
                "what the others are"
            )
        )
    white = 2**bits - 1 if kind == "u" and bits <= 16 else 0
    # Some programs write the highest level of this very image into MaxSampleValue.
    stated = _first(tags, 281, white)
    if bits == 16 and stated in {2**n - 1 for n in range(9, 16)}:
        white = stated
    return Storage(
        bits,
        kind,
        white,
        # Up to 8 bits Pillow inverts the levels itself.
        zero_is_white=photometric == 0 and bits > 8,
        has_alpha=has_alpha,
        is_tiff=True,
        doubts=tuple(doubts),
    )


def _first(tags: Any, tag: int, default: int) -> int:
    value = tags.get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _doubts_of_pages(image: Any) -> list[Doubt]:
    """Find further pages that are neither thumbnails nor masks of the first."""
    n_pages, size = getattr(image, "n_frames", 1), image.size
    if n_pages == 1:
        return []
    image.seek(1)
    kind, other = _first(image.tag_v2, 254, 0), image.size
    image.seek(0)
    if kind & _REDUCED_OR_MASK or other != size:
        return []
    return [Doubt(f"only the first of {n_pages} pages is read")]
