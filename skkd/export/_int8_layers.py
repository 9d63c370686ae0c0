"""Which nodes of a graph become int8, and what stands around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skkd.export._libraries import onnx

# Of one input, whose output has no other values than it: both share a scale.
PASSES_THROUGH = ("Flatten", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer whose weights are constant.

    Attributes
    ----------
    node : NodeProto
    weight : ndarray
    bias : ndarray of shape (n_out,) or None
    axis : int
        That of the output channels in `weight`.
    output : str
        The tensor that is quantised behind it: that of a ReLU, if one follows.
    """

    node: Any
    weight: np.ndarray
    bias: np.ndarray | None
    axis: int
    output: str

    @property
    def input(self) -> str:
        """The tensor that goes in."""
        return self.node.input[0]

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution."""
        return self.node.op_type == "Conv"

    def rows(self) -> np.ndarray:
        """Return the weights as (n_out, ...)."""
        return np.moveaxis(self.weight, self.axis, 0)


def find_layers(model: Any) -> list[Layer]:
    """Return the layers of a model that can be int8, in their order."""
    graph, to_array = model.graph, onnx().numpy_helper.to_array
    constants = {t.name: t for t in graph.initializer}
    readers = consumers(graph)
    found = []
    for node in graph.node:
        axis = _channel_axis(node)
        if axis is None or node.input[1] not in constants or node.input[0] in constants:
            continue
        weight = to_array(constants[node.input[1]])
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        if (
            weight.dtype != np.float32
            or weight.ndim < 2
            or (bias is not None and bias not in constants)
        ):
            continue
        after = readers.get(node.output[0], [])
        has_relu = len(after) == 1 and after[0].op_type == "Relu"
        output = after[0].output[0] if has_relu else node.output[0]
        values = None if bias is None else to_array(constants[bias]).reshape(-1)
        found.append(Layer(node, weight, values, axis, output))
    return found


def consumers(graph: Any) -> dict[str, list[Any]]:
    """Return the nodes that read each tensor."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _channel_axis(node: Any) -> int | None:
    """Return the axis of output channels in the weights, None for other nodes."""
    values = {a.name: onnx().helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv":
        return 0
    if node.op_type == "MatMul":
        return 1
    plain = values.get("alpha", 1) == values.get("beta", 1) == 1
    if node.op_type == "Gemm" and plain and not values.get("transA", 0):
        return 0 if values.get("transB", 0) else 1
    return None
