"""ONNX graphs: made of a torch module, given labels, freed of traces of the machine."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from skkd._formats.onnx_metadata import Input
from skkd._utils.modules import describe
from skkd._version import __version__
from skkd.export._libraries import onnx, require
from skkd.export._module import Probabilities, first_two

LABEL, PROBABILITIES = "label", "probabilities"


def module_to_onnx(
    module: Probabilities, arrays: dict[str, np.ndarray], opset: int | None
) -> Any:
    """Return a torch module as an ONNX model with the output ``probabilities``.

    Raises
    ------
    ValueError
        If torch cannot trace it, or if ONNX lacks an operator.
    """
    require("onnx", "onnxscript")
    args = first_two(arrays, module)
    batch = torch.export.Dim("n")
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                args,
                dynamo=True,
                dynamic_shapes=(tuple({0: batch} for _ in args),),
                input_names=[*arrays],
                output_names=[PROBABILITIES],
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:  # torch has a class of its own for each stage
        raise ValueError(_explained(module.student, error)) from error
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says while it tries one way after the other."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _explained(student: torch.nn.Module, error: Exception) -> str:
    """Return what went wrong: the innermost cause, which names the operator."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = next((t for line in str(cause).splitlines() if (t := line.strip())), "")
    return (
        f"The student {describe(student)} cannot be written as ONNX: "
        f"{type(cause).__name__}: {text:.300} Use operations that ONNX has and no "
        "control flow that depends on the values of a tensor; torch.onnx.export tells "
        "more about it."
    )


def check_names(inputs: Sequence[Input]) -> None:
    """Raise if an input is called as an output is."""
    for one in inputs:
        if one.name in (LABEL, PROBABILITIES):
            raise ValueError(
                f"An input is called {one.name!r}, which is the name of an output of "
                "the file. Rename this column, or key, and fit again."
            )


def add_labels(model: Any, classes: np.ndarray) -> None:
    """Give a model the output ``label``, before ``probabilities``."""
    o = onnx()
    values = label_values(classes)
    graph = model.graph
    graph.initializer.append(o.numpy_helper.from_array(values, "skkd.classes"))
    graph.node.extend(
        [
            o.helper.make_node(
                "ArgMax", [PROBABILITIES], ["skkd.best"], axis=1, keepdims=0
            ),
            o.helper.make_node(
                "Gather", ["skkd.classes", "skkd.best"], [LABEL], axis=0
            ),
        ]
    )
    kind = graph.initializer[-1].data_type
    output = o.helper.make_tensor_value_info(LABEL, kind, ["n"])
    graph.output.insert(0, output)


def label_values(classes: np.ndarray) -> np.ndarray:
    """Return labels as ONNX has them: int64, double, bool or string."""
    kind = classes.dtype.kind
    if kind == "O" and len({type(value) for value in classes}) == 1:
        classes = np.array(classes.tolist())
        kind = classes.dtype.kind
    if kind in "iu" and classes.dtype != np.uint64:
        return classes.astype(np.int64)
    if kind == "f":
        return classes.astype(np.float64)
    if kind in "bu":
        return classes
    return np.array([str(value) for value in classes], dtype=object)


def name_batch_axis(model: Any) -> None:
    """Call the first axis of inputs and outputs ``n`` in all of them."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"


def clean(model: Any) -> None:
    """Remove what the exporter notes about itself and the machine, and shorten names.

    The same student gives the same bytes, wherever and however often it is exported.
    """
    del model.graph.value_info[:]
    del model.functions[:]
    for message in _messages(model):
        for name in ("metadata_props", "doc_string"):
            if name in message.DESCRIPTOR.fields_by_name:
                message.ClearField(name)
    model.producer_name, model.producer_version = "skkd", __version__
    model.domain = ""
    model.ClearField("model_version")
    model.graph.name = "student"
    _rename(model.graph)


def _messages(message: Any) -> Iterator[Any]:
    """Yield a protocol buffer and all that are within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)


def _own(name: str) -> str:
    """Return the name of a weight as the student's state_dict has it."""
    return name.removeprefix("net/").removeprefix("student.")


def _rename(graph: Any, outer: dict[str, str] | None = None) -> None:
    """Give nodes and what is between them numbers; weights keep their names."""
    new = dict(outer or {})
    taken = {value.name for value in (*graph.input, *graph.output)} | {*new.values()}

    def renamed(name: str, wanted: str) -> str:
        while wanted in taken:
            wanted += "_"
        taken.add(wanted)
        new[name] = wanted
        return wanted

    fixed = {value.name for value in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name, _own(tensor.name))
    for i, node in enumerate(graph.node):
        node.ClearField("name")
        for j, name in enumerate(node.input):
            node.input[j] = new.get(name, name)
        for attribute in node.attribute:
            for subgraph in (
                *attribute.graphs,
                *[attribute.g][: attribute.HasField("g")],
            ):
                _rename(subgraph, new)
        for j, name in enumerate(node.output):
            if name and name not in fixed:
                node.output[j] = renamed(name, f"v{i}" if not j else f"v{i}_{j}")
