"""Read one image, from its path or its bytes, as every part of skkd reads it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from skkd._utils.warn import warn
from skkd.images._decoding import decode_image
from skkd.images._errors import ImageFolderWarning, describe_failure, shorten
from skkd.images._levels import Levels, describe_doubts
from skkd.images._storage import Doubt


def read_image(
    source: str | bytes, image: np.ndarray, mode: str, levels: Levels
) -> tuple[str, list[Doubt]]:
    """Decode a file into `image` (C, H, W); return why it could not be, and doubts."""
    try:
        with (
            io.BytesIO(source)
            if isinstance(source, bytes)
            else open(source, "rb") as file
        ):
            pixels, doubts = decode_image(file, image.shape[1:], mode, levels)
    # Damaged files make Pillow's decoders raise errors of any type.
    except Exception as error:
        return describe_failure(error), []
    image[...] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels
    return "", doubts


def warn_of_doubts(doubts: Mapping[str, Sequence[Doubt]]) -> None:
    """Warn of files that may be read otherwise than intended."""
    pairs = [(path, doubt) for path, of_file in doubts.items() for doubt in of_file]
    lines = [f"{path!r}: {doubt.what}" for path, doubt in pairs]
    warn(
        f"{len(doubts)} image(s) may not be read as intended:"
        f"{shorten(lines)}\n{describe_doubts(pairs)}",
        ImageFolderWarning,
    )
