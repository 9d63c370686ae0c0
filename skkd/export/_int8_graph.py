"""A float graph with its layers in int8, written as Q and DQ nodes.

Each quantised layer stands between DequantizeLinear and QuantizeLinear nodes, which
runtimes fuse with it. That is what onnxruntime's own quantiser writes, too; written
here are biases that are corrected, ranges that are chosen, sums that stay in float, and
short names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skkd.export._int8_layers import PASSES_THROUGH, Layer
from skkd.export._libraries import onnx

# Processors without VNNI add two products of 8 bits in 16, which overflow if weights
# have all 8: with 7 a file gives the same on all of them.
WEIGHT_LEVELS = 63


def quantize_graph(
    model: Any,
    layers: list[Layer],
    ranges: Mapping[str, tuple[float, float]],
    means: Mapping[str, np.ndarray],
) -> Any:
    """Return a copy of a model in which these layers are int8.

    Parameters
    ----------
    model : ModelProto
    layers : list of Layer
        Those to quantise.
    ranges : dict of str to (float, float)
        Of the inputs and outputs of these layers.
    means : dict of str to ndarray
        Of each channel of their inputs.
    """
    graph = _Writer(model, ranges)
    read = {layer.input for layer in layers}
    for layer in layers:
        graph.add_layer(layer, means[layer.input])
        # A last layer gives floats; runtimes want integers behind all others.
        if layer.is_conv or layer.output in read:
            graph.scale_of(layer.output)
    return graph.finished({layer.node.output[0]: layer for layer in layers})


class _Writer:
    """Writes the nodes and constants of the new graph."""

    def __init__(self, model: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.model = type(model)()
        self.model.CopyFrom(model)
        self.ranges = ranges
        self.makers = {name: node for node in model.graph.node for name in node.output}
        # By the tensor: the names of its scale and zero point, and its scale.
        self.scales: dict[str, tuple[list[str], np.float32]] = {}
        self.written: set[str] = set()  # the constants, as layers read them
        # By the output of a layer: the nodes that compute it.
        self.replaced: dict[str, list[Any]] = {}

    def add_layer(self, layer: Layer, mean: np.ndarray) -> None:
        """Write the constants of a layer, and the nodes that compute it."""
        x_scale = self.scale_of(layer.input)
        weight, scales = quantize_weight(layer)
        name, node = layer.node.input[1], self._copy(layer.node)
        nodes, w = self._dequantized(name, weight, scales, layer.axis)
        inputs = [_dequantized_name(layer.input), w]
        if layer.node.op_type != "MatMul":  # whose bias stands in a node of its own
            bias = corrected_bias(layer, weight, scales, mean)
            scales = (x_scale * scales).astype(np.float32)
            rounded = np.clip(np.rint(bias / scales), -(2**31), 2**31 - 1)
            # Layers may share their weights, and have biases of their own.
            name = f"{name}.b" if nodes else f"{layer.node.output[0]}.b"
            more, b = self._dequantized(name, rounded.astype(np.int32), scales, 0)
            nodes, inputs = nodes + more, [*inputs, b]
        del node.input[:]
        node.input.extend(inputs)
        self.replaced[layer.node.output[0]] = [*nodes, node]

    def scale_of(self, tensor: str) -> np.float32:
        """Return the scale of a tensor, which is quantised from here on."""
        if tensor not in self.scales:
            source, node = tensor, self.makers.get(tensor)
            while node is not None and node.op_type in PASSES_THROUGH:
                source = node.input[0]
                if source in self.scales:
                    break
                node = self.makers.get(source)
            if source in self.scales:
                self.scales[tensor] = self.scales[source]
            else:
                scale, zero = scale_and_zero(*self.ranges[tensor])
                names = [f"{tensor}.scale", f"{tensor}.zero"]
                self._constant(names[0], scale)
                self._constant(names[1], zero)
                self.scales[tensor] = names, scale
        return self.scales[tensor][1]

    def finished(self, layers: dict[str, Layer]) -> Any:
        """Return the model; `layers` by the names of their outputs."""
        graph = self.model.graph
        relus = {
            layer.output: name for name, layer in layers.items() if layer.output != name
        }
        made = {layer.output for layer in layers.values()} & self.scales.keys()
        nodes: list[Any] = []
        for value in graph.input:
            if value.name in self.scales:
                nodes += self._pair(value.name, value.name)
        for node in graph.node:
            output = node.output[0]
            if output in relus and output in made:  # the levels begin at zero
                nodes += self._pair(output, relus[output])
                continue
            if output in self.replaced:
                nodes += self.replaced[output]
            else:
                for j, name in enumerate(node.input):
                    node.input[j] = _dequantized_name(name) if name in made else name
                nodes.append(node)
            for name in node.output:
                if name in self.scales:
                    nodes += self._pair(name, name)
        nodes = [self._copy(node) for node in nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        _drop_unused(graph)
        return self.model

    def _pair(self, tensor: str, source: str) -> list[Any]:
        """Return the Q and DQ nodes of a tensor."""
        scale, make = self.scales[tensor][0], onnx().helper.make_node
        quantized, floats = f"{tensor}.int8", _dequantized_name(tensor)
        return [
            make("QuantizeLinear", [source, *scale], [quantized]),
            make("DequantizeLinear", [quantized, *scale], [floats]),
        ]

    def _dequantized(
        self, name: str, values: np.ndarray, scales: np.ndarray, axis: int
    ) -> tuple[list[Any], str]:
        """Write integers with a scale for each channel; return their DQ node.

        There is none if they were written before.
        """
        name = name if axis == 0 else f"{name}.{axis}"
        if f"{name}.float" in self.written:
            return [], f"{name}.float"
        self.written.add(f"{name}.float")
        inputs = [f"{name}.int8", f"{name}.scale"]
        self._constant(inputs[0], values)
        self._constant(inputs[1], scales.astype(np.float32))
        if values.dtype == np.int8:  # ONNX Runtime fuses no Gemm without zero points
            inputs.append(f"{name}.zero")
            self._constant(inputs[2], np.zeros(len(scales), np.int8))
        make, axes = onnx().helper.make_node, {} if axis == 1 else {"axis": axis}
        node = make("DequantizeLinear", inputs, [f"{name}.float"], **axes)
        return [node], f"{name}.float"

    def _constant(self, name: str, values: Any) -> None:
        tensor = onnx().numpy_helper.from_array(np.asarray(values), name)
        self.model.graph.initializer.append(tensor)

    def _copy(self, node: Any) -> Any:
        copied = type(node)()
        copied.CopyFrom(node)
        return copied


def _dequantized_name(tensor: str) -> str:
    return f"{tensor}.float"


def _drop_unused(graph: Any) -> None:
    """Remove the constants that no node reads any more."""
    read = {name for node in graph.node for name in node.input}
    read |= {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


# Numbers ------------------------------------------------------------------------------


def scale_and_zero(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of uint8 values of this range."""
    scale = _short((high - low) / 255) if high > low else np.float32(1)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def _short(value: float) -> np.float32:
    """Round up to 12 binary digits: the last ones are those of a processor."""
    mantissa, exponent = np.frexp(value)
    return np.float32(np.ldexp(np.ceil(mantissa * 2**12) / 2**12, exponent))


def quantize_weight(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 weights and the scale of each output channel (n_out,)."""
    rows = layer.rows()
    largest = np.abs(rows.reshape(len(rows), -1)).max(axis=1)
    scales = np.where(largest > 0, largest / WEIGHT_LEVELS, 1).astype(np.float32)
    shape = (-1, *[1] * (rows.ndim - 1))
    rounded = np.rint(rows / scales.reshape(shape)).astype(np.int8)
    return np.ascontiguousarray(np.moveaxis(rounded, 0, layer.axis)), scales


def corrected_bias(
    layer: Layer, weight: np.ndarray, scales: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """Return the bias, less the mean error that the rounded weights make.

    As Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
    Correction", ICCV 2019, section 4.2. `mean` (n_channels,) is that of the input.
    """
    rows = layer.rows().astype(np.float64)  # (n_out, n_in of its group, ...)
    shape = (-1, *[1] * (rows.ndim - 1))
    error = np.moveaxis(weight, layer.axis, 0) * scales.reshape(shape) - rows
    error = error.reshape(*error.shape[:2], -1).sum(axis=2)
    n_groups = len(mean) // error.shape[1]  # depthwise convolutions have many
    mean = np.repeat(mean.reshape(n_groups, -1), len(rows) // n_groups, axis=0)
    bias = np.zeros(len(rows)) if layer.bias is None else layer.bias
    return bias - (error * mean).sum(axis=1)
