"""ONNX files as skkd.export writes them, made node by node."""

import numpy as np
import pytest

from skkd._formats.onnx_metadata import ImageReading, Input, OnnxMetadata

CLASSES = np.array(["ant", "bee", "cat"])


def weights_of(n_features, n_classes=3):
    return np.random.default_rng(0).normal(size=(n_features, n_classes), scale=0.1)


def write(path, inputs, *, classes=CLASSES, n_columns=None, **metadata):
    """Write a softmax of a linear model of all inputs, which are cast to float."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, types = onnx.helper, onnx.TensorProto
    n_features = sum(int(np.prod(one.shape)) for one in inputs if one.dtype != "str")
    weights = weights_of(n_features, n_columns or len(classes)).astype("float32")
    nodes, parts = [], []
    for one in inputs:
        if one.dtype == "str":
            continue
        flat, part = f"{one.name}.flat", f"{one.name}.float"
        nodes.append(helper.make_node("Flatten", [one.name], [flat]))
        nodes.append(helper.make_node("Cast", [flat], [part], to=types.FLOAT))
        parts.append(part)
    nodes += [
        helper.make_node("Concat", parts, ["all"], axis=1),
        helper.make_node("MatMul", ["all", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    taken = [
        helper.make_tensor_value_info(one.name, _kind(types, one), ["n", *one.shape])
        for one in inputs
    ]
    made = helper.make_tensor_value_info(
        "probabilities", types.FLOAT, ["n", weights.shape[1]]
    )
    tensors = [onnx.numpy_helper.from_array(weights, "W")]
    model = helper.make_model(
        helper.make_graph(nodes, "student", taken, [made], tensors),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    said = OnnxMetadata(classes, tuple(inputs), **metadata).to_json()
    helper.set_model_props(model, {"skkd": said})
    path.write_bytes(model.SerializeToString())
    return path


def _kind(types, one):
    names = {"float32": "FLOAT", "float64": "DOUBLE", "str": "STRING"}
    return getattr(types, names.get(one.dtype, one.dtype.upper()))


def write_table(path, **metadata):
    metadata = {"n_features_in": 4, "steps": ("student",), **metadata}
    return write(path, [Input("X", "float32", (4,))], **metadata)


def write_images(path, size=(6, 5), mode="RGB", levels=None):
    shape = (3 if mode == "RGB" else 1, *size)
    reading = ImageReading(size, mode, levels)
    steps = ("imagereader", "student")
    return write(path, [Input("X", "uint8", shape)], image=reading, steps=steps)


def expected_proba(values):
    """Return what such a file answers, computed by NumPy in float64."""
    flat = values.reshape(len(values), -1).astype(float)
    logits = flat @ weights_of(flat.shape[1]).astype("float32").astype(float)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
