"""The images of a run as arrays, decoded once for all runs in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skkd.images import ImageReader
from skkd.quickstart._progress import Progress

# Images that are decoded at once, between two words of progress.
_PIECE = 256
_IN_MEMORY = 2**30  # bytes of decoded images; more stay in their files


def read_pixels(
    reader: ImageReader, paths: np.ndarray, memory: Path, progress: Progress
) -> Any:
    """Return the images of some paths; decoded ones are kept in `memory`."""
    side = reader.size if isinstance(reader.size, int) else max(reader.size)
    lazy = 3 * side**2 * len(paths) > _IN_MEMORY
    cached = ImageReader(
        reader.size, reader.mode, n_jobs=-1, memory=memory, levels=reader.levels
    )
    parts = []
    for start in range(0, len(paths), _PIECE):
        progress.tell(f"image {start + 1:,} of {len(paths):,}")
        part = cached.transform(paths[start : start + _PIECE])
        if not lazy:
            parts.append(part)
    if lazy:
        return cached.set_params(lazy=True).transform(paths)
    return np.concatenate(parts)
