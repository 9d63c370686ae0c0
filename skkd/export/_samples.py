"""The samples that a file is tried on: those for calibration, or synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skkd._data.rows import LAZY, row_of
from skkd._formats.onnx_metadata import DTYPES, Input
from skkd.export._columns import table_inputs
from skkd.export._fitted import Fitted
from skkd.export._module import build_module, run_module
from skkd.export._synthetic import synthetic_samples


@dataclass(frozen=True)
class Samples:
    """Samples as the user has them, as the file takes them and as the student does.

    Attributes
    ----------
    X : object
        After the images were read, if there is a reader.
    origin : {"calibration", "synthetic"}
    kind : {"array", "columns", "mapping"}
        What the inputs of the file are together.
    file_inputs, student_inputs : dict of str to ndarray
        By the names of the inputs.
    """

    X: Any
    origin: str
    kind: str
    file_inputs: dict[str, np.ndarray]
    student_inputs: dict[str, np.ndarray]

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.file_inputs.values())))

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs of the file."""
        return tuple(
            Input(name, "str" if a.dtype.kind in "UO" else a.dtype.name, a.shape[1:])
            for name, a in self.file_inputs.items()
        )

    def in_float32(self) -> Samples:
        """Return the same samples for a file whose student computes in float32."""
        single = {k: _single(v) for k, v in self.student_inputs.items()}
        # What stands before the student computes as it does.
        alone = self.file_inputs is self.student_inputs
        file_inputs = single if alone else self.file_inputs
        return replace(self, file_inputs=file_inputs, student_inputs=single)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if values.dtype == np.float64 else values


def read_samples(fitted: Fitted, X: Any) -> Samples:
    """Return calibration samples, or synthetic ones if X is None.

    Raises
    ------
    ValueError
        If X is not such as the student was fitted on, or if nothing is known that
        synthetic samples could be like.
    """
    origin = "synthetic" if X is None else "calibration"
    if X is None:
        X = synthetic_samples(fitted)
    elif fitted.reader is not None:
        params = {**fitted.reader.get_params(deep=False), "lazy": False}
        X = type(fitted.reader)(**params).transform(X)
    if isinstance(X, LAZY):
        X = _stack([row_of(X, i) for i in range(len(X))])  # type: ignore[arg-type]
    of_student = X
    for _, step in fitted.steps:
        of_student = step.transform(of_student)
    student_inputs = _student_inputs(fitted, of_student)
    if not fitted.steps:
        kind = "mapping" if isinstance(X, Mapping) else "array"
        return Samples(X, origin, kind, student_inputs, student_inputs)
    kind, file_inputs = table_inputs(fitted.steps[0][1], X)
    return Samples(X, origin, kind, file_inputs, student_inputs)


# What the student takes ---------------------------------------------------------------


def _student_inputs(fitted: Fitted, X: Any) -> dict[str, np.ndarray]:
    net = fitted.net
    if isinstance(X, Mapping):
        return {str(key): _array(net, value) for key, value in X.items()}
    values = _array(net, X)
    if values.ndim == 2 and values.dtype.kind in "iub":
        values = _as_floats(net, values)
    return {"X": values}


def _array(net: Any, X: Any) -> np.ndarray:
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().numpy()
    values = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if values.dtype.kind == "f":
        return values.astype(float_dtype(net.module_))
    if values.dtype.name not in DTYPES or values.dtype.kind == "U":
        raise ValueError(
            f"The student takes inputs of dtype {values.dtype}, which a file has not: "
            "expected floats, whole numbers or bools."
        )
    return values


def _as_floats(net: Any, values: np.ndarray) -> np.ndarray:
    """Return whole numbers of a table as floats, if the student takes both alike.

    A file has one type of input, and whoever predicts has floats for the most part.
    """
    module = build_module(net, None)
    some = values[:64]
    floats = values.astype(float_dtype(net.module_))
    try:
        same = np.array_equal(
            run_module(module, {"X": some}), run_module(module, {"X": floats[:64]})
        )
    except (RuntimeError, TypeError, ValueError):  # such as of an Embedding
        return values
    return floats if same else values


def float_dtype(module: torch.nn.Module) -> np.dtype:
    """Return the dtype in which a file computes: float64 of a float64 student."""
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    return np.dtype("float64" if dtypes == {torch.float64} else "float32")


def _stack(rows: list[Any]) -> Any:
    if isinstance(rows[0], Mapping):
        return {key: _stack([row[key] for row in rows]) for key in rows[0]}
    return np.stack([np.asarray(row) for row in rows])
