"""The content of an ONNX file, and the session of ONNX Runtime that runs it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

# An entry of a tensor's `external_data`, before the length and the name of its file.
_LOCATION = re.compile(rb"\x0a\x08location\x12")


class OnnxModel:
    """The content of an ONNX file, with the session that runs it.

    It is pickled, and told from others, by its content, never by the path.
    """

    def __init__(self, source: Any) -> None:
        self.content, self.name = b"", "InferenceSession"
        self.weights: dict[str, bytes] = {}
        self._session: Any = None
        self.zipped: np.ndarray | None = None  # the labels, once they were seen
        source = getattr(source, "model_proto", source)  # of a torch.onnx.ONNXProgram
        if hasattr(source, "SerializeToString"):
            source = source.SerializeToString()
        if isinstance(source, bytes):
            self.content, self.name = source, "ONNX model"
        elif isinstance(source, (str, os.PathLike)):
            path = Path(source)
            self.content, self.name = path.read_bytes(), path.name
            for name in _names_of_weights(self.content):
                if (path.parent / name).is_file():
                    self.weights[name] = (path.parent / name).read_bytes()
        else:
            self._session = source
            content = getattr(source, "_model_bytes", None)
            self.content = content if isinstance(content, bytes) else b""

    def __getstate__(self) -> dict[str, Any]:
        if not self.content:
            raise TypeError(
                "An InferenceSession that was made of a path neither pickles nor tells "
                "what it computes: pass the path of the file as the teacher instead."
            )
        return {**vars(self), "_session": None, "zipped": None}

    @property
    def __name__(self) -> str:  # as messages call it
        return self.name

    @property
    def session(self) -> Any:
        """The session, made at first use; one thread of it serves many."""
        if self._session is None:
            self._session = _open(self.content, self.weights)
        return self._session


def _open(content: bytes, weights: dict[str, bytes]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "An ONNX file as a teacher needs onnxruntime: pip install onnxruntime."
        ) from error
    options = onnxruntime.SessionOptions()
    if weights:
        options.add_external_initializers_from_files_in_memory(
            [*weights], [*weights.values()], [len(part) for part in weights.values()]
        )
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a class of its own for each
        found = f" with the weights of {[*weights]}" if weights else ""
        raise ValueError(
            f"ONNX Runtime does not load the teacher{found}: {error} Weights outside "
            "of the file are read from where it names them, beside it: pass its path."
        ) from error


def _names_of_weights(content: bytes) -> list[str]:
    """Return the files, beside that of the model, which hold its weights."""
    names = set()
    for match in _LOCATION.finditer(content):
        size, start = content[match.end()], match.end() + 1
        if size > 127:  # a varint of two bytes
            size, start = size - 128 + 128 * content[start], start + 1
        names.add(content[start : start + size].decode(errors="replace"))
    return sorted(names)
