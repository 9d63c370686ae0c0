"""Small ONNX models, made node by node."""

import numpy as np
import pytest

D, C = 6, 3


def graph(kind="FLOAT", *, dropout=False, inputs=("X",), weights=None):
    """Return a linear model of `inputs` of one type; `weights` are its files."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    width = D // len(inputs)
    constants = {"W": np.random.default_rng(0).normal(size=(D, C)).astype("float32")}
    if dropout:
        constants |= {"ratio": np.float32(0.5), "live": np.array(True)}
    tensors = [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()]
    if weights is not None:
        onnx.external_data_helper.set_external_data(tensors[0], location=weights)
    nodes = [
        helper.make_node("Concat", inputs, ["all"], axis=1),
        helper.make_node("Cast", ["all"], ["floats"], to=types.FLOAT),
        helper.make_node("MatMul", ["floats", "W"], ["linear" if dropout else "out"]),
    ]
    if dropout:
        inputs_of_dropout = ["linear", "ratio", "live"]
        nodes.append(helper.make_node("Dropout", inputs_of_dropout, ["out"]))
    taken = [
        helper.make_tensor_value_info(name, getattr(types, kind), ["N", width])
        for name in inputs
    ]
    made = [helper.make_tensor_value_info("out", types.FLOAT, ["N", C])]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", taken, made, tensors),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    return model
