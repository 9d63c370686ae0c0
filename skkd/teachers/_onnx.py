"""ONNX files, and sessions of ONNX Runtime, as teachers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.frames import to_numbers
from skkd._data.rows import iter_inputs
from skkd.teachers._base import Teacher

_BATCH_SIZE = 256
_DTYPES = {
    **{"float": "float32", "double": "float64", "float16": "float16"},
    **{f"{u}int{n}": f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
    **{"bool": "bool", "string": "object"},
}
# As skl2onnx and its relatives name them.
_PROBABILITIES = ("probabilities", "output_probability", "probability")


class OnnxModel:
    """The content of an ONNX file, with the session that runs it.

    It is pickled, and told from others, by its content, never by the path.
    """

    def __init__(self, source: Any) -> None:
        self.content, self.name = b"", "InferenceSession"
        self.weights: dict[str, bytes] = {}
        self._session: Any = None
        self.zipped: np.ndarray | None = None  # the labels, once they were seen
        if isinstance(source, bytes):
            self.content, self.name = source, "ONNX model"
        elif isinstance(source, (str, os.PathLike)):
            path = Path(source)
            self.content, self.name = path.read_bytes(), path.name
            # Exporters put weights beside the file, which holds their names.
            for pattern in ("*data", "*.bin", "*.weights"):
                for beside in path.parent.glob(pattern):
                    if beside.name.encode() in self.content:
                        self.weights[beside.name] = beside.read_bytes()
        else:
            self._session = source

    def __getstate__(self) -> dict[str, Any]:
        if not self.content:
            raise TypeError(
                "An InferenceSession of ONNX Runtime neither pickles nor tells what it "
                "computes: pass the path of the file as the teacher instead."
            )
        return {**vars(self), "_session": None, "zipped": None}

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
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )


def is_onnx(teacher: Any) -> bool:
    """Tell whether `teacher` is the path or content of a file, or a session."""
    if isinstance(teacher, (str, os.PathLike, bytes)):
        return True
    return type(teacher).__module__.partition(".")[0] == "onnxruntime"


class OnnxTeacher(Teacher):
    """An ONNX model: probabilities by their name, or else logits."""

    def __init__(self, model: Any, **options: Any) -> None:
        if isinstance(model, (str, os.PathLike)) and Path(model).suffix != ".onnx":
            raise TypeError(
                f"teacher={os.fspath(model)!r} is a path, expected that of an ONNX "
                "file, *.onnx. Load the model of any other file, and pass it."
            )
        super().__init__(OnnxModel(model), **options)

    @property
    def described(self) -> str:
        return self.model.name

    @property
    def classes_(self) -> np.ndarray | None:
        return self.model.zipped if self.classes is None else np.asarray(self.classes)

    def output_kind(self) -> str:
        if self.output != "auto":
            return super().output_kind()
        return "proba" if self._output_name() in _PROBABILITIES else "logits"

    def check(self, classes: Any) -> None:
        super().check(classes)
        self._inputs()

    def _output_name(self) -> str:
        outputs = self.model.session.get_outputs()
        names = [output.name for output in outputs]
        for name in (*_PROBABILITIES, "logits"):
            if name in names:
                return name
        floats = [o.name for o in outputs if "float" in o.type or "double" in o.type]
        if len(floats) != 1:
            raise ValueError(
                f"The teacher {self.described} has the outputs {names}: expected one, "
                "or one that is called 'logits' or 'probabilities'. Export it so."
            )
        return floats[0]

    def _inputs(self) -> tuple[str, np.dtype, list[Any]]:
        """Return name, dtype and shape of the only input."""
        inputs = self.model.session.get_inputs()
        if len(inputs) != 1:
            raise ValueError(
                f"The teacher {self.described} has {len(inputs)} inputs, "
                f"{[i.name for i in inputs]}: expected one. skl2onnx makes one of a "
                "table if initial_types names one."
            )
        kind = inputs[0].type.removeprefix("tensor(").removesuffix(")")
        return inputs[0].name, np.dtype(_DTYPES[kind]), inputs[0].shape

    def _raw_outputs(self, X: Any) -> np.ndarray:
        if hasattr(X, "columns"):
            X = to_numbers(X, "The teacher's X")
        name, dtype, shape = self._inputs()
        static = shape[0] if shape and isinstance(shape[0], int) else None
        parts = []
        for batch in iter_inputs(X, static or _BATCH_SIZE):
            rows = self._rows(batch, dtype, shape)
            n_samples = len(rows)
            if static and n_samples < static:
                rows = np.concatenate([rows, rows[-1:].repeat(static - n_samples, 0)])
            found = self.model.session.run([self._output_name()], {name: rows})[0]
            parts.append(self._values(found)[:n_samples])
        return np.concatenate(parts)

    def _rows(self, batch: Any, dtype: np.dtype, shape: list[Any]) -> np.ndarray:
        batch = batch.toarray() if hasattr(batch, "toarray") else batch
        rows = to_numpy(batch) if isinstance(batch, torch.Tensor) else np.asarray(batch)
        fixed = zip(shape[1:], rows.shape[1:], strict=False)
        fits = len(shape) == rows.ndim or not shape
        if not fits or any(isinstance(a, int) and a != b for a, b in fixed):
            raise ValueError(
                f"The teacher {self.described} does not take X: its input has shape "
                f"{shape}, and X {rows.shape}. Pass its own inputs as "
                "fit(..., teacher_X=...), or let teacher_transform= make them."
            )
        is_image = rows.ndim > 2 and rows.dtype == np.uint8
        if (dtype.kind == "f" and is_image) or (
            dtype.kind in "iu" and rows.dtype.kind == "f"
        ):
            raise ValueError(
                f"The teacher {self.described} takes {dtype}, and X is {rows.dtype}, "
                "which may be another scale: let teacher_transform= convert it, for "
                "instance lambda x: x.float() / 255."
            )
        return np.ascontiguousarray(rows, dtype=dtype)

    def _values(self, found: Any) -> np.ndarray:
        """Return probabilities as an array; "zipmap" makes a dict of each row."""
        if isinstance(found, list) and found and isinstance(found[0], dict):
            labels = [*found[0]]
            self.model.zipped = np.asarray(labels)
            return np.array([[row[label] for label in labels] for row in found])
        return np.asarray(found)
