"""Folders of small images in two classes that any network can tell apart."""

import numpy as np
from PIL import Image


def write_squares(root, n=24, levels=None, side=12):
    """Write `n` noisy squares of each class; return the folder."""
    rng = np.random.default_rng(0)
    for name, level in (levels or {"bright": 200, "dark": 60}).items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            pixels = rng.normal(level, 20, (side, side, 3)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root
