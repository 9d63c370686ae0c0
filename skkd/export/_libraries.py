"""The libraries that exporting needs and nothing else of skkd does."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any


def require(*names: str) -> None:
    """Raise ImportError, with the remedy, if one of these is not installed."""
    lacking = [name for name in names if importlib.util.find_spec(name) is None]
    if lacking:
        raise ImportError(
            f"Exporting to ONNX needs {', '.join(lacking)}, not installed here: "
            'pip install "skkd[onnx]".'
        )


def onnx() -> Any:
    """Import onnx, whose helpers are modules that it does not import by itself."""
    require("onnx")
    for name in ("helper", "numpy_helper", "compose", "checker", "shape_inference"):
        importlib.import_module(f"onnx.{name}")
    return importlib.import_module("onnx")


def open_session(content: bytes) -> Any:
    """Return a session of ONNX Runtime on one model."""
    require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a class of its own for each
        lacks = "NOT_IMPLEMENTED" in str(error)
        remedy = (
            " It has no such operator for this type, as of convolutions in float64: "
            "train the student in float32, or use another layer."
        )
        raise ValueError(
            f"ONNX Runtime does not run the student's graph: {error}{remedy * lacks}"
        ) from error
