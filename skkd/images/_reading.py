"""Read one image, from a file or memory, as every part of skkd reads it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from skkd._data.mapped import check_mapped
from skkd._utils.warn import warn
from skkd.images._decoder_warnings import warnings_of_image
from skkd.images._decoding import decode_image, decode_in_memory
from skkd.images._errors import ImageFolderWarning, describe_failure, shorten
from skkd.images._levels import Levels, describe_doubts
from skkd.images._opening import read_image_file
from skkd.images._sources import Source, image_of
from skkd.images._storage import Doubt


def read_image(
    source: Source, image: np.ndarray, mode: str, levels: Levels
) -> tuple[str, list[Doubt]]:
    """Read a source into `image` (C, H, W); return why it could not be, and doubts.

    What decoders warn of is doubted, inside of `catching_warnings`.
    """
    try:
        with warnings_of_image() as warned:
            pixels, doubts = _decode(source, image.shape[1:], mode, levels)
    # Damaged files make Pillow's decoders raise errors of any type.
    except Exception as error:
        return describe_failure(error), []
    image[...] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels
    return "", doubts + [Doubt(f"its decoder warns: {text}") for text in warned]


def _decode(
    source: Source, size: tuple[int, int], mode: str, levels: Levels
) -> tuple[np.ndarray, list[Doubt]]:
    if isinstance(source, np.ndarray):
        check_mapped(source)
        return decode_in_memory(image_of(source), size, mode, levels)
    if isinstance(source, Image.Image):
        return decode_in_memory(source, size, mode, levels)
    if isinstance(source, bytes):
        return decode_image(io.BytesIO(source), size, mode, levels)
    return decode_image(read_image_file(source), size, mode, levels)


def warn_of_doubts(doubts: Mapping[str, Sequence[Doubt]]) -> None:
    """Warn of files that may be read otherwise than intended."""
    pairs = [(path, doubt) for path, of_file in doubts.items() for doubt in of_file]
    lines = [f"{path!r}: {doubt.what}" for path, doubt in pairs]
    warn(
        f"{len(doubts)} image(s) may not be read as intended:"
        f"{shorten(lines)}\n{describe_doubts(pairs)}",
        ImageFolderWarning,
    )
