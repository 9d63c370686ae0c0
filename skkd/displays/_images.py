"""Images in the form that matplotlib shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def image_in(row: Any) -> Any:
    """Return the image that `row` is or is the path of, None if it is neither."""
    if isinstance(row, (str, Path)):
        with Image.open(row) as image:
            return np.asarray(image.convert("RGB"))
    values = np.asarray(row)
    return values if values.ndim == 3 and values.shape[0] in (1, 3) else None


def as_picture(image: np.ndarray) -> np.ndarray:
    """Return an image as matplotlib shows it: (H, W) or (H, W, C)."""
    if image.ndim == 3 and image.shape[0] in (1, 3):  # as everywhere in skkd
        image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(
            f"image has shape {image.shape}, expected (H, W), (C, H, W) or (H, W, C) "
            "with 1, 3 or 4 channels."
        )
    if image.dtype != np.uint8 and image.ndim == 3:
        # Standardised or in other units: scaled from its minimum to its maximum.
        low, high = float(image.min()), float(image.max())
        if low < 0 or high > 1:
            image = (image - low) / max(high - low, 1e-12)
    return image
