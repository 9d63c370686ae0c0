"""A TablePreprocessor as an ONNX graph, which computes what `transform` does.

In the same precision: scaled in float64, as places between quantiles in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd.export._libraries import onnx
from skkd.export._table_inputs import holds_texts
from skkd.tables import TablePreprocessor
from skkd.tables._categories import CategoryEncoder
from skkd.tables._numbers import _LARGEST, NumberEncoder

_ML = "ai.onnx.ml"
# Which opset 18 came with; that of the student takes its place.
_IR_VERSION = 8


def table_to_onnx(
    preprocessor: TablePreprocessor,
    inputs: dict[str, np.ndarray],
    versions: dict[str, int],
) -> Any:
    """Return a model with the output ``numbers``, float32 of (n, n_features_out).

    Parameters
    ----------
    preprocessor : TablePreprocessor
        Fitted, with columns that :func:`preprocessor_inputs` takes.
    inputs : dict of str to ndarray
        What that function returns.
    versions : dict of str to int
        Of the operators, by domain.
    """
    graph = _Graph()
    encoders = preprocessor.encoders_
    stops = np.cumsum([0, *(len(e.suffixes) for e in encoders)])
    names = [*inputs] if len(inputs) == len(encoders) else []
    numbers = [i for i, e in enumerate(encoders) if isinstance(e, NumberEncoder)]
    blocks, places = [], []
    if numbers:
        x = graph("Concat", *(names[i] for i in numbers), axis=1) if names else "X"
        chosen = [encoders[i] for i in numbers]
        found = _numbers(graph, x, chosen, stops[numbers])
        blocks, places = [*found[0]], [*found[1]]
    for i, encoder in enumerate(encoders):
        if isinstance(encoder, CategoryEncoder) and encoder.suffixes:
            blocks.append(_category(graph, names[i], encoder))
            places += [*range(stops[i], stops[i + 1])]
    joined = graph("Concat", *blocks, axis=1)
    graph("Gather", joined, np.argsort(places), axis=1, output="numbers")
    return graph.model(inputs, len(places), versions)


def _numbers(
    graph: _Graph, x: str, encoders: list[NumberEncoder], starts: np.ndarray
) -> tuple[list[str], list[int]]:
    """Return blocks of what becomes of all numbers, and where their columns belong."""
    center, scale, clip = (
        np.array([getattr(e, name) for e in encoders], dtype=np.float64)
        for name in ("center", "scale", "clip")
    )
    gaps = graph("IsNaN", x)
    z = graph("Mul", graph("Sub", x, center), scale)
    z = graph("Clip", z, np.float64(-_LARGEST), np.float64(_LARGEST))
    z = graph("Where", gaps, np.float64(0), z)
    ratio = graph("Div", z, clip)
    size = graph("Sqrt", graph("Add", graph("Mul", ratio, ratio), np.float64(1)))
    blocks = [graph.to_float32(graph("Div", z, size))]
    places = [*starts.tolist()]
    n_pieces = [len(e.low) for e in encoders]
    if any(n_pieces):
        of_piece = np.repeat(np.arange(len(encoders)), n_pieces)
        slope, start = (
            np.concatenate([getattr(e, name)[:, 0] for e in encoders])
            for name in ("slope", "start")
        )
        repeated = graph("Gather", graph.to_float32(z), of_piece, axis=1)
        pieces = graph("Sub", graph("Mul", repeated, slope), start)
        blocks.append(graph("Clip", pieces, np.float32(0), np.float32(1)))
        for begin, n in zip(starts, n_pieces, strict=True):
            places += [*range(begin + 1, begin + 1 + n)]
    with_gaps = [i for i, e in enumerate(encoders) if e.has_gaps]
    if with_gaps:
        some = graph("Gather", gaps, np.array(with_gaps), axis=1)
        blocks.append(graph.to_float32(some))
        places += [int(starts[i]) + len(encoders[i].suffixes) - 1 for i in with_gaps]
    return blocks, places


def _category(graph: _Graph, x: str, encoder: CategoryEncoder) -> str:
    """Return zeros and ones of a column of categories, or its codes."""
    code = (_code_of_text if holds_texts(encoder) else _code_of_number)(
        graph, x, encoder
    )
    if encoder.as_codes:
        return graph.to_float32(code)
    ones = np.eye(encoder.n_levels + 1, dtype=np.float32)[:, 1:]
    return graph("Gather", ones, graph("Squeeze", code, np.array([1])), axis=0)


def _code_of_text(graph: _Graph, x: str, encoder: CategoryEncoder) -> str:
    numbers = {**encoder.number, "": encoder.missing}  # a gap
    return graph(
        "LabelEncoder",
        x,
        domain=_ML,
        keys_strings=[*numbers],
        values_int64s=[*numbers.values()],
        default_int64=encoder.rare,
    )


def _code_of_number(graph: _Graph, x: str, encoder: CategoryEncoder) -> str:
    levels = np.array([*encoder.number], dtype=np.float64)
    numbers = np.array([*encoder.number.values()], dtype=np.float32)[:, None]
    same = graph.to_float32(graph("Equal", x, levels[None]))
    code = graph("MatMul", same, numbers)  # 0 if it is none of them
    is_known = graph("Greater", code, np.float32(0))
    code = graph("Where", is_known, code, np.float32(encoder.rare))
    code = graph("Where", graph("IsNaN", x), np.float32(encoder.missing), code)
    return graph("Cast", code, to=onnx().TensorProto.INT64)


class _Graph:
    """Nodes of a graph as they are made: called with an operator and its inputs."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(
        self, operator: str, *inputs: Any, output: str | None = None, **kwargs: Any
    ) -> str:
        """Add a node; return the name of its output. Arrays become constants."""
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        name = output or f"table.v{len(self.nodes)}"
        make_node = onnx().helper.make_node
        self.nodes.append(make_node(operator, names, [name], **kwargs))
        return name

    def to_float32(self, name: str) -> str:
        """Add a node that gives float32."""
        return self("Cast", name, to=onnx().TensorProto.FLOAT)

    def _constant(self, values: Any) -> str:
        name = f"table.c{len(self.constants)}"
        tensor = onnx().numpy_helper.from_array(np.asarray(values), name)
        self.constants.append(tensor)
        return name

    def model(
        self, inputs: dict[str, np.ndarray], n_outputs: int, versions: dict[str, int]
    ) -> Any:
        """Return the graph of all nodes as a model."""
        o = onnx()
        kinds = {"f": o.TensorProto.DOUBLE, "O": o.TensorProto.STRING}
        taken = [
            o.helper.make_tensor_value_info(
                name, kinds[values.dtype.kind], ["n", *values.shape[1:]]
            )
            for name, values in inputs.items()
        ]
        made = o.helper.make_tensor_value_info(
            "numbers", o.TensorProto.FLOAT, ["n", n_outputs]
        )
        graph = o.helper.make_graph(
            self.nodes, "table", taken, [made], initializer=self.constants
        )
        opsets = [o.helper.make_opsetid(*version) for version in versions.items()]
        model = o.helper.make_model(graph, opset_imports=opsets)
        model.ir_version = _IR_VERSION
        return model
