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
from skkd.teachers._onnx_model import OnnxModel
from skkd.teachers._whole_batches import fast_batch_size

_DTYPES = {
    **{"float": "float32", "double": "float64", "float16": "float16"},
    **{f"{u}int{n}": f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
    **{"bool": "bool", "string": "object"},
}
# As skl2onnx and its relatives name them.
_PROBABILITIES = ("probabilities", "output_probability", "probability")


def is_onnx(teacher: Any) -> bool:
    """Tell whether `teacher` is the path or content of a file, or a session."""
    if isinstance(teacher, (str, os.PathLike, bytes)):
        return True
    package, name = type(teacher).__module__.partition(".")[0], type(teacher).__name__
    return package == "onnxruntime" or name in ("ModelProto", "ONNXProgram")


class OnnxTeacher(Teacher):
    """An ONNX model: probabilities by their name, or else logits."""

    def __init__(self, model: Any, **options: Any) -> None:
        if isinstance(model, (str, os.PathLike)) and Path(model).suffix != ".onnx":
            raise TypeError(
                f"teacher is {os.fspath(model)!r}, expected a fitted model or the path "
                "of an ONNX file, *.onnx. Load what any other file holds, and pass it."
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
        for node in self.model.session.get_inputs():
            _dtype_of(node, self.described)

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

    def batch_size(self, X: Any) -> int:
        return (self._fixed_sizes() or [fast_batch_size(X, "cpu")])[0]

    def _fixed_sizes(self) -> list[int]:
        """Return how many rows the model takes, by its inputs; empty if any number."""
        nodes = self.model.session.get_inputs()
        return [n.shape[0] for n in nodes if n.shape and isinstance(n.shape[0], int)]

    def _raw_outputs(self, X: Any) -> np.ndarray:
        nodes = self.model.session.get_inputs()
        if len(nodes) > 1 and not isinstance(X, dict):
            names = [node.name for node in nodes]
            raise ValueError(
                f"The teacher {self.described} has {len(nodes)} inputs, {names}: pass "
                "a dict with an array for each as fit(..., teacher_X={...})."
            )
        if hasattr(X, "columns"):
            is_text = "string" in nodes[0].type
            X = np.asarray(X, object) if is_text else to_numbers(X, "The teacher's X")
        sizes = self._fixed_sizes()
        parts: list[np.ndarray] = []
        for batch in iter_inputs(X, self.batch_size(X)):
            feed, n_samples = self._feed(batch, nodes)
            if sizes and n_samples < sizes[0]:
                more = sizes[0] - n_samples
                feed = {k: _padded(rows, more) for k, rows in feed.items()}
            values = self._run(feed)
            if not parts and not _same(values, self._run(feed)):
                raise ValueError(
                    f"The teacher {self.described} gives other outputs each time: it "
                    "was exported in train mode, with dropout. Export it anew, from "
                    "network.eval()."
                )
            parts.append(values[:n_samples])
        return np.concatenate(parts)

    def _run(self, feed: dict[str, np.ndarray]) -> np.ndarray:
        return self._values(self.model.session.run([self._output_name()], feed)[0])

    def _feed(self, batch: Any, nodes: list[Any]) -> tuple[dict[str, np.ndarray], int]:
        """Return what the session is given for a batch, and the number of its rows."""
        if not isinstance(batch, dict):
            batch = {nodes[0].name: batch}
        lacking = [node.name for node in nodes if node.name not in batch]
        if lacking:
            raise ValueError(
                f"The teacher {self.described} has the inputs "
                f"{[node.name for node in nodes]}, and X lacks {lacking}: it has "
                f"{[*batch]}."
            )
        feed = {node.name: self._rows(batch[node.name], node) for node in nodes}
        return feed, len(feed[nodes[0].name])

    def _rows(self, batch: Any, node: Any) -> np.ndarray:
        dtype, shape = _dtype_of(node, self.described), node.shape
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
        is_number = rows.dtype.kind in "biuf"
        if (dtype.kind == "f" and is_image) or (is_number and not _holds(rows, dtype)):
            remedy = (
                "which may be another scale: let teacher_transform= convert it, for "
                "instance lambda x: x.float() / 255."
                if dtype.kind == "f"
                else "which it would take for other values: pass its own inputs as "
                "fit(..., teacher_X=...)."
            )
            raise ValueError(
                f"The teacher {self.described} takes {_word(dtype)}, and X is "
                f"{rows.dtype} from {rows.min():.4g} to {rows.max():.4g}, {remedy}"
            )
        return np.ascontiguousarray(rows, dtype=dtype)

    def _values(self, found: Any) -> np.ndarray:
        """Return probabilities as an array; "zipmap" makes a dict of each row."""
        if isinstance(found, list) and found and isinstance(found[0], dict):
            labels = [*found[0]]
            self.model.zipped = np.asarray(labels)
            return np.array([[row[label] for label in labels] for row in found])
        return np.asarray(found)


def _dtype_of(node: Any, name: str) -> np.dtype:
    """Return the dtype of an input."""
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise ValueError(
            f"The teacher {name} takes {node.type} as its input {node.name!r}, which "
            "NumPy has no array of: export it with a float32 input."
        )
    return np.dtype(_DTYPES[kind])


def _holds(rows: np.ndarray, dtype: np.dtype) -> bool:
    """Tell whether numbers are the same in `dtype`, up to the digits of floats."""
    if dtype.kind == "f" or rows.size == 0:
        return True
    if dtype.kind in "iu" and rows.dtype.kind in "biu":
        limits = np.iinfo(dtype)
        return bool(limits.min <= rows.min() and rows.max() <= limits.max)
    return dtype == rows.dtype


def _word(dtype: np.dtype) -> str:
    return "texts" if dtype.kind == "O" else str(dtype)


def _padded(rows: np.ndarray, more: int) -> np.ndarray:
    """Repeat the last row."""
    return np.concatenate([rows, rows[-1:].repeat(more, 0)])


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)
