"""Transformers, put before the student's graph; those of scikit-learn by skl2onnx.

What skl2onnx converts to something else than `transform` gives is refused, by the name
of the step: it leaves out columns of some, and takes categories that others refuse.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from skkd.exceptions import DistillationWarning
from skkd.export._columns import probes, table_inputs
from skkd.export._fitted import Fitted
from skkd.export._libraries import onnx, open_session, require
from skkd.export._samples import Samples
from skkd.export._table import table_to_onnx
from skkd.tables import TablePreprocessor

# Of the largest value of a column: files compute in float32.
_TOLERANCE = 1e-4
# The version of ai.onnx.ml that opset 18 and later come with.
_ML_OPSET = 3


def convert_steps(fitted: Fitted, samples: Samples, opset: int) -> list[Any]:
    """Return a model for each step before the student.

    Raises
    ------
    ValueError
        If a step does not convert, or converts to other values than it gives.
    """
    if not fitted.steps:
        return []
    X, models = samples.X, []
    for i, (name, step) in enumerate(fitted.steps):
        model = _converted(name, step, X, opset)
        rename = {"rename_inputs": i > 0}
        models.append(onnx().compose.add_prefix(model, f"step{i}/", **rename))
        X = step.transform(X)
    return models


def join(steps: list[Any], student: Any) -> Any:
    """Return one model of several, each of which takes what that before it gives."""
    student = onnx().compose.add_prefix(
        student, "net/", rename_inputs=bool(steps), rename_outputs=False
    )
    if not steps:
        return student
    _cast_input(student, steps[-1].graph.output[0].type.tensor_type.elem_type)
    joined, *others = steps
    joined.ir_version = student.ir_version
    for model in (*others, student):
        model.ir_version = student.ir_version
        names = [(joined.graph.output[0].name, model.graph.input[0].name)]
        joined = onnx().compose.merge_models(joined, model, io_map=names)
    return joined


def _converted(name: str, step: Any, X: Any, opset: int) -> Any:
    """Return one step as a model that gives what `transform` gives."""
    problem, model = _try(step, X, opset)
    if model is not None:
        return model
    for inner, part, part_X in _parts(step, X):
        if _try(part, part_X, opset)[1] is None:
            return _converted(f"{name}.{inner}", part, part_X, opset)
    raise ValueError(
        f"The step {name!r} ({type(step).__name__}) cannot be put into the file: "
        f"{problem} Transform the data before the pipeline, in the fit and in use, or "
        "take another transformer."
    )


def _try(step: Any, X: Any, opset: int) -> tuple[str, Any]:
    """Return the model of a step, or what is wrong with it and None."""
    try:
        model = _convert(step, table_inputs(step, X)[1], opset)
    except Exception as error:  # skl2onnx raises whatever comes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = f"{type(error).__name__}: {lines[0] if lines else ''}"
        return f"skl2onnx does not convert it ({said:.160}).", None
    problem = _difference(step, X, model)
    return problem, None if problem else model


def _convert(step: Any, inputs: dict[str, np.ndarray], opset: int) -> Any:
    versions = {"": opset, "ai.onnx.ml": _ML_OPSET}
    if isinstance(step, TablePreprocessor):
        return table_to_onnx(step, inputs, versions)
    require("skl2onnx")
    from skl2onnx import convert_sklearn
    from skl2onnx.common import data_types

    kinds = {
        "f": data_types.FloatTensorType,
        "i": data_types.Int64TensorType,
        "O": data_types.StringTensorType,
    }
    types = [
        (name, kinds[values.dtype.kind]([None, *values.shape[1:]]))
        for name, values in inputs.items()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, as it casts; values are compared
        model = convert_sklearn(step, initial_types=types, target_opset=versions)
    for value, name in zip(model.graph.input, inputs, strict=True):
        _rename_input(model.graph, value, name)  # blanks had become underscores
    # It notes the lowest versions that its operators have been the same since.
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.append(onnx().helper.make_opsetid(domain, version))
    return model


# Comparison with `transform` ----------------------------------------------------------


def _difference(step: Any, X: Any, model: Any) -> str:
    """Return what a model gives otherwise than its step does; '' if nothing."""
    try:
        session = open_session(model.SerializeToString())
    except ValueError as error:
        return f"ONNX Runtime does not run what skl2onnx made of it ({error!s:.160})."
    for what, rows in probes(X):
        try:
            with warnings.catch_warnings():
                # Of gaps that the fit had not: these rows are none of the user's.
                warnings.simplefilter("ignore", DistillationWarning)
                expected = _dense(step.transform(rows))
        except Exception:  # the step's own refusal, such as of a new category
            expected = None
        given = _run(session, step, rows)
        if expected is None and given is not None and what == "new values":
            return (
                "it refuses categories that it has not seen, and a file would take "
                "them for others (handle_unknown= of encoders says what they become)."
            )
        if expected is None:
            continue
        if given is None:
            return f"a file does not take {what} there."
        if given.shape != expected.shape:
            return (
                f"skl2onnx makes {given.shape[1]} columns of it where it gives "
                f"{expected.shape[1]}."
            )
        if not _is_close(given, expected):
            return f"in the float32 of a file it gives other values for {what}."
    return ""


def _run(session: Any, step: Any, rows: Any) -> np.ndarray | None:
    """Return what a model gives, or None if it refuses the rows."""
    try:
        inputs = table_inputs(step, rows)[1]
        return session.run(None, inputs)[0]
    except Exception:  # ONNX Runtime has a class of its own for each
        return None


def _is_close(given: np.ndarray, expected: np.ndarray) -> bool:
    if expected.dtype.kind not in "biuf":
        return bool((given.astype(str) == expected.astype(str)).all())
    expected = expected.astype(float)
    size = np.nan_to_num(np.abs(expected)).max(axis=0, initial=0)
    close = np.abs(given - expected) <= _TOLERANCE * np.maximum(size, 1e-6)
    return bool((close | (np.isnan(given) & np.isnan(expected))).all())


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


# Parts of a step ----------------------------------------------------------------------


def _parts(step: Any, X: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield names, transformers and samples of what a step is composed of."""
    for name, part, columns in getattr(step, "transformers_", ()):
        if hasattr(part, "transform"):  # of a ColumnTransformer
            columns = [columns] if isinstance(columns, str) else columns
            yield name, part, _safe_indexing(X, columns, axis=1)
    for name, part in getattr(step, "transformer_list", ()):  # of a FeatureUnion
        if hasattr(part, "transform"):
            yield name, part, X
    for name, part in getattr(step, "steps", ()):  # of a Pipeline
        if hasattr(part, "transform"):
            yield name, part, X
            X = part.transform(X)


# One graph of several -----------------------------------------------------------------


def _cast_input(model: Any, kind: int) -> None:
    """Let a model take the type that the step before it gives."""
    value = model.graph.input[0]
    wanted = value.type.tensor_type.elem_type
    if wanted == kind:
        return
    cast = onnx().helper.make_node("Cast", ["X_given"], [value.name], to=wanted)
    model.graph.node.insert(0, cast)
    value.name, value.type.tensor_type.elem_type = "X_given", kind


def _rename_input(graph: Any, value: Any, name: str) -> None:
    for node in graph.node:
        for j, used in enumerate(node.input):
            if used == value.name:
                node.input[j] = name
    value.name = name
