"""An ONNX file of a student: its content, what it says, and a session that runs it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from skkd._formats.onnx_metadata import OnnxMetadata, read_metadata

PROBABILITIES = "probabilities"
# Samples are predicted in parts of about so many values, and of at least so many rows:
# what lies between the layers of a network takes a multiple of this.
_BATCH_VALUES, _BATCH_ROWS = 2**19, 64


class StudentFile:
    """The content of a file, which is pickled with it, and a session made of it."""

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None) -> None:
        self.name = str(os.fspath(path))
        self.n_threads = n_threads
        self.content = Path(path).read_bytes()
        self._session: Any = None
        properties = self.session.get_modelmeta().custom_metadata_map
        self.metadata = read_metadata(properties, self.name)
        _check_graph(self.session, self.metadata, self.name)
        n_values = sum(math.prod(one.shape) for one in self.metadata.inputs)
        self.batch_size = max(_BATCH_ROWS, _BATCH_VALUES // max(1, n_values))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}

    @property
    def session(self) -> Any:
        """The session, which neither pickles nor copies: opened when it is needed."""
        if self._session is None:
            self._session = _open(self.content, self.n_threads, self.name)
        return self._session


def _open(content: bytes, n_threads: int | None, name: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "OnnxClassifier needs onnxruntime, which is not installed here: "
            "pip install onnxruntime."
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: it would write to the terminal
    if n_threads is not None:
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a class of its own for each
        raise ValueError(
            f"{name} begins with {content[:16]!r} and is no ONNX file that ONNX "
            f"Runtime {onnxruntime.__version__} loads: {error!s:.300} Expected a "
            "file of skkd.export.export_onnx, completely copied; a newer ONNX Runtime "
            "may know more operators."
        ) from error


def _check_graph(session: Any, metadata: OnnxMetadata, name: str) -> None:
    """Raise unless inputs and outputs are those that the metadata say."""
    inputs = [one.name for one in session.get_inputs()]
    outputs = {one.name: one.shape for one in session.get_outputs()}
    shape = outputs.get(PROBABILITIES, ())
    n_columns = shape[1] if len(shape) == 2 else None
    n_classes = len(metadata.classes)
    fits = inputs == [one.name for one in metadata.inputs] and n_columns is not None
    if not fits or (isinstance(n_columns, int) and n_columns != n_classes):
        raise ValueError(
            f"{name} is damaged: it says that it has inputs "
            f"{[one.name for one in metadata.inputs]} and {n_classes} classes, and has "
            f"inputs {inputs} and outputs {outputs}. Export the student again."
        )
