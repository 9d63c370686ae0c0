"""DICOM files of one frame as the 8 bits that a viewer shows."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from skkd.images._errors import NotAnImageError, UnsupportedImageError
from skkd.images._levels import Levels, choose_levels, scale_levels
from skkd.images._limits import check_n_bytes, check_n_pixels

_GRAY = {"MONOCHROME1", "MONOCHROME2"}
_FAR = 1e9  # beyond the window of any image
# Of a pixel: compressed or not, decoded, as numbers of rescaled levels, shown.
_BYTES_OF_GRAY, _BYTES_OF_COLOR = 24, 16


def read_dicom(file: BinaryIO, levels: Levels) -> Image.Image:
    """Decode the one frame of an open DICOM file, as an image of mode L or RGB."""
    try:
        from pydicom import dcmread
    except ImportError:
        raise UnsupportedImageError(
            'a DICOM file, which pydicom reads: pip install "skkd[dicom]"'
        ) from None
    dataset = dcmread(file)
    _check_one_frame(dataset)
    check_n_pixels(dataset.Columns, dataset.Rows)
    is_gray = dataset.PhotometricInterpretation in _GRAY
    per_pixel = _BYTES_OF_GRAY if is_gray else _BYTES_OF_COLOR
    n_bytes = dataset.Columns * dataset.Rows * per_pixel
    check_n_bytes(n_bytes, "a DICOM image that is decoded in memory")
    if is_gray:
        return Image.fromarray(_gray_pixels(dataset, levels))
    return Image.fromarray(_color_pixels(dataset))


def _check_one_frame(dataset: Any) -> None:
    if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
        kind = dataset.get("Modality", "no modality")
        raise NotAnImageError(f"a DICOM file without an image ({kind})")
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if n_frames > 1 or "SharedFunctionalGroupsSequence" in dataset:
        raise UnsupportedImageError(
            f"a DICOM file of {n_frames} frame(s) in the enhanced or multi-frame form; "
            "write each frame that is meant to a file of its own"
        )


def _decompress(dataset: Any) -> np.ndarray:
    try:
        return dataset.pixel_array
    except RuntimeError as error:  # no decoder, or none that can read it
        kind = dataset.file_meta.TransferSyntaxUID.name
        reason = " ".join(str(error).split())
        raise UnsupportedImageError(
            f"a DICOM file compressed as {kind}; `pip install pylibjpeg[all]` gives "
            f"pydicom more decoders. It says: {reason}"
        ) from error


def _gray_pixels(dataset: Any, levels: Levels) -> np.ndarray:
    stored = _decompress(dataset)
    values = _to_modality(stored, dataset)
    # What is around the image is none of its levels.
    inside = values[stored != dataset.get("PixelPaddingValue")]
    chosen = choose_levels(inside if inside.size else values, levels)
    if chosen is not None:
        pixels = scale_levels(values, chosen)
    else:
        pixels = _apply_own_window(values, stored, dataset)
    is_inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    return 255 - pixels if is_inverted else pixels


def _apply_own_window(
    values: np.ndarray, stored: np.ndarray, dataset: Any
) -> np.ndarray:
    """Apply the first VOI LUT or window of the file."""
    if dataset.get("VOILUTSequence"):
        return _look_up(values, dataset)
    if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth"):
        from pydicom.pixels.processing import apply_windowing

        # It returns levels of the file: its ends are black and white.
        with np.errstate(over="ignore"):
            low, high = apply_windowing(np.array([-_FAR, _FAR]), dataset)
            shown = (apply_windowing(values, dataset) - low) / (high - low)
        return scale_levels(shown, (0.0, 1.0))
    if dataset.BitsStored <= 8:
        ends = _to_modality(_ends_of_bits(stored, dataset.BitsStored), dataset)
        return scale_levels(values, (float(ends.min()), float(ends.max())))
    raise ValueError(
        f"a DICOM file ({dataset.get('Modality', 'no modality')}) of "
        f"{dataset.BitsStored} bits without a window, here {values.min():g} ... "
        f"{values.max():g}; say which levels are black and white by "
        "ImageReader(levels=(low, high)), such as (-160, 240) for soft tissue in CT, "
        "or levels='minmax' for those of each file"
    )


def _look_up(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Apply the first VOI LUT.

    Not by pydicom's function, whose index has the type of the entries: with entries of
    8 bits it wraps at 256.
    """
    item = dataset.VOILUTSequence[0]
    n_entries, first = item.LUTDescriptor[0] or 2**16, item.LUTDescriptor[1]
    entries = item.LUTData
    if isinstance(entries, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        width = 1 if len(entries) < 2 * n_entries else 2
        entries = np.frombuffer(entries, f"{order}u{width}")
    table = np.asarray(entries, np.uint16)[:n_entries]
    shown = table[np.clip(values - first, 0, len(table) - 1).astype(np.intp)]
    # Descriptors state 16 bits where the entries have fewer.
    white = 2 ** max(1, int(table.max()).bit_length()) - 1
    return scale_levels(shown, (0.0, float(white)))


def _to_modality(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """Apply the modality LUT, or rescale slope and intercept."""
    from pydicom.pixels.processing import apply_modality_lut

    values = apply_modality_lut(stored, dataset)
    # A VOI LUT is indexed by whole numbers, and a slope of 1 gives floats.
    if values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
        values = values.astype(np.int32)
    return values


def _ends_of_bits(stored: np.ndarray, bits: int) -> np.ndarray:
    low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
    return np.array([low, low + 2**bits - 1], stored.dtype)


def _color_pixels(dataset: Any) -> np.ndarray:
    """Return RGB pixels, (height, width, 3) uint8."""
    pixels = _decompress(dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        pixels = apply_color_lut(pixels, dataset)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] < 3:
        raise UnsupportedImageError(
            f"a DICOM file of kind {dataset.PhotometricInterpretation} with pixels of "
            f"shape {pixels.shape} and type {pixels.dtype}; expected gray levels, or "
            "colours of 8 bits"
        )
    return np.ascontiguousarray(pixels[..., :3])
