"""The file of an export: its path, and its content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# What a protocol buffer holds.
_LIMIT = 2**31 - 1


def check_path(path: Any, suffix: str) -> Path:
    """Return a path to write to, or raise before any work is done."""
    path = Path(os.fspath(path))
    if path.suffix != suffix:
        raise ValueError(
            f"path={str(path)!r}: expected the name of a file that ends in {suffix}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(path)!r}: there is no folder {str(path.parent)!r}. Make it "
            "first, or pass another path."
        )
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder; expected a file.")
    return path


def serialize(model: Any) -> bytes:
    """Return an ONNX model as bytes, the same for the same model."""
    if model.ByteSize() > _LIMIT:
        raise ValueError(
            f"The student takes {model.ByteSize() / 2**30:.1f} GiB, and one ONNX file "
            "holds 2. Export a smaller student, or use export_program."
        )
    return model.SerializeToString(deterministic=True)
