"""Gray levels of more than 8 bits, or of no agreed range, as 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from skkd._utils.checks import is_number
from skkd.images._storage import Doubt, Storage

# The gray levels that become 0 and 255; None means what the file says.
Levels: TypeAlias = tuple[float, float] | Literal["minmax"] | None

_FULL = (0.0, 65535.0)
# A 16-bit file with lower levels alone probably holds 14 bits, or fewer.
_LOW = 2**14
# Photographs with alpha are opaque or transparent in most of their pixels.
_CLEAR = 0.1
_TYPES = {"u": "unsigned", "i": "signed", "f": "float"}
# Levels that are scaled at a time: numbers take more memory than pixels.
_STRIP = 2**20


def check_levels(levels: Any) -> Levels:
    """Return the parameter `levels` of a reader as None, "minmax" or two floats."""
    if levels is None:
        return None
    if isinstance(levels, str) and levels == "minmax":
        return "minmax"
    pair = levels if isinstance(levels, tuple | list | np.ndarray) else ()
    if len(pair) != 2 or not all(map(is_number, pair)) or not pair[0] < pair[1]:
        raise ValueError(
            f"levels={levels!r}; expected None, 'minmax', or a tuple (low, high) of "
            "the gray levels that become black and white, such as (0, 4095) for 12 "
            "bits in 16-bit files."
        )
    return float(pair[0]), float(pair[1])


def choose_levels(values: np.ndarray, levels: Levels) -> tuple[float, float] | None:
    """Return the gray levels of black and white that were asked for, if any."""
    if levels != "minmax":
        return levels
    return float(values.min()), float(values.max())


def scale_levels(values: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Return uint8 pixels; levels beyond (low, high) become black or white."""
    low, high = levels
    if low == high:  # "minmax" of an image of one level
        return np.zeros(values.shape, np.uint8)
    # float32 holds every 16-bit level, and large images need half the memory.
    exact = np.dtype("f4" if values.dtype.itemsize <= 2 else "f8")
    pixels = np.empty(values.shape, np.uint8)
    step = max(1, _STRIP // max(1, values[:1].size))
    for rows in (slice(i, i + step) for i in range(0, len(values), step)):
        scaled = (values[rows].astype(exact) - low) * (255 / (high - low))
        pixels[rows] = np.clip(np.rint(scaled), 0, 255)
    return pixels


def to_8_bits(
    image: Image.Image, storage: Storage, levels: Levels
) -> tuple[Image.Image, list[Doubt]]:
    """Return the image with 8 bits a channel, and what is doubtful about its levels."""
    is_gray = image.mode in {"L", "I", "F"} or image.mode.startswith("I;16")
    if storage.bits <= 8 and storage.kind == "u":
        return image, []
    if not is_gray:
        return image, _doubts_of_colors(image, storage, levels)
    values = _values_of(image, storage)
    doubts: list[Doubt] = []
    chosen = choose_levels(values, levels)
    if chosen is None:
        chosen, doubts = _agreed_levels(values, storage)
    pixels = scale_levels(values, chosen)
    if storage.zero_is_white:
        pixels = 255 - pixels
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # shown over white
        pixels[values == clear] = 255
    return Image.fromarray(pixels), doubts


def _values_of(image: Image.Image, storage: Storage) -> np.ndarray:
    """Return the gray levels as they are in the file."""
    values = np.asarray(image)
    if storage.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError("some pixels are NaN or infinite; give them a gray level")
        return values
    if image.format == "PPM" and storage.white != 65535:
        # Pillow has scaled them to 0 ... 65535.
        scaled = values * (storage.white / 65535)
        return np.rint(scaled, out=scaled).astype(np.uint16)
    # Pillow reads 8 bits as unsigned, and 32 bits as signed.
    dtype = f"{storage.kind}{max(1, 2 ** (storage.bits - 1).bit_length() // 8)}"
    values = values.astype(dtype, copy=False)
    return values >> storage.shift if storage.shift else values


def _agreed_levels(
    values: np.ndarray, storage: Storage
) -> tuple[tuple[float, float], list[Doubt]]:
    """Return the levels that are black and white by the format of the file."""
    top = int(values.max())
    if not storage.white:
        raise ValueError(
            f"{storage.bits}-bit {_TYPES[storage.kind]} gray levels have no agreed "
            f"range (here {values.min():g} ... {values.max():g}); say which are black "
            "and white by ImageReader(levels=(low, high)), or save the image with 8 or "
            "16 bits"
        )
    if storage.white == 65535 and 0 < top < _LOW:
        return _FULL, [Doubt(f"no gray level is above {top} of 65535", top)]
    # MaxSampleValue may be wrong; what is beyond is never made white in silence.
    return (0.0, float(storage.white if top <= storage.white else 65535)), []


def _doubts_of_colors(
    image: Image.Image, storage: Storage, levels: Levels
) -> list[Doubt]:
    """Find colours of 16 bits, of which Pillow keeps the upper 8, that use only few."""
    if storage.bits < 16 or levels == _FULL:
        return []
    bands = image.split()[: -1 if image.mode in {"LA", "RGBA"} else None]
    top = max(int(np.asarray(band).max()) for band in bands)
    if top >= _LOW >> 8:  # 0 too: below 256 nothing is left of 16 bits
        return []
    text = (
        f"no colour level is above {256 * top + 255} of 65535, and Pillow reads 16-bit "
        "colours with 8 bits"
    )
    if levels is not None:
        raise ValueError(f"{text}; `levels` cannot help there: save it with 8 bits")
    return [Doubt(text)]


def doubts_of_alpha(image: Image.Image, storage: Storage) -> list[Doubt]:
    """Find a band of a TIFF that is tagged as alpha, and does not look like it.

    Programs that write four bands tag the last as alpha by default, near infrared too.
    """
    if not storage.is_tiff or not storage.has_alpha or image.mode != "RGBA":
        return []
    alpha = np.asarray(image.getchannel("A"))
    n_clear = np.count_nonzero((alpha == 0) | (alpha == 255))
    if n_clear > alpha.size * _CLEAR:
        return []
    return [
        Doubt(
            "its fourth band, tagged as alpha, is half transparent almost everywhere, "
            "and is shown so over white"
        )
    ]


def doubts_of_white(image: Image.Image, shown: Image.Image) -> list[Doubt]:
    """Find an image of which nothing is seen over white, such as white strokes."""
    if min(low for low, _ in _bands_of(shown)) < 255:
        return []
    # Of one colour, with transparency or without.
    if all(low == high for low, high in _bands_of(image.convert("RGBA"))):
        return []
    return [
        Doubt("it is white everywhere once transparent pixels are shown over white")
    ]


def _bands_of(image: Image.Image) -> list[Any]:
    """Return lowest and highest level of each band."""
    found: Any = image.getextrema()
    return [*found] if isinstance(found[0], tuple) else [found]


def describe_doubts(doubts: Sequence[tuple[str, Doubt]]) -> str:
    """Return what can be done about doubtful files."""
    remedies = []
    top = max(doubt.top for _, doubt in doubts)
    if top:
        bits = next(n for n in (8, 10, 12, 14) if top < 2**n)
        remedies.append(
            f"Gray levels 0 ... 65535 become 0 ... 255. If these have {bits} bits, "
            f"pass ImageReader(levels=(0, {2**bits - 1})); if they are so dark, "
            "levels=(0, 65535)."
        )
    if not all(doubt.top for _, doubt in doubts):
        remedies.append("Save what is meant as gray or RGB images of 8 bits.")
    return " ".join(remedies)
