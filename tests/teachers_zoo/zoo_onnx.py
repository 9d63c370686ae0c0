"""ONNX models: of torch's exporter as files, of nodes of classical models, sessions."""

import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from zoo_case import network, of_tables

STRINGS = ("strings",)
NO_SESSION = "ONNX Runtime does not pickle its sessions"


def exported(X, y, static=False):
    """Return the path of a file with weights beside it."""
    rows = None if static else ({0: torch.export.Dim("rows")},)
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    with warnings.catch_warnings(action="ignore"):  # of torch about its own exporter
        torch.onnx.export(
            network(X, y),
            (torch.zeros(8, 4),),
            path,
            dynamic_shapes=rows,
            verbose=False,
        )
    return path


def classical(X, y, zipmap):
    """Return the bytes of a file with the nodes, types and names of skl2onnx."""
    from onnx import TensorProto, helper

    model = LogisticRegression(max_iter=1000).fit(X, y)
    # Of two classes it has the coefficients of the second, and ONNX those of both.
    weights, bias = model.coef_, model.intercept_
    if len(bias) == 1:
        weights, bias = np.vstack([0 * weights, weights]), np.append(0, bias)
    names = {"classlabels_strings": model.classes_.tolist()}
    domain = {"domain": "ai.onnx.ml"}
    scores = "scores" if zipmap else "probabilities"
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["X"],
            ["label", scores],
            coefficients=weights.ravel().tolist(),
            intercepts=bias.tolist(),
            post_transform="SOFTMAX",
            **names,
            **domain,
        )
    ]
    number = TensorProto.FLOAT
    found = helper.make_tensor_value_info(scores, number, [None, len(bias)])
    if zipmap:
        each = helper.make_map_type_proto(
            TensorProto.STRING, helper.make_tensor_type_proto(number, [])
        )
        found = helper.make_value_info(
            "probabilities", helper.make_sequence_type_proto(each)
        )
        nodes.append(
            helper.make_node("ZipMap", [scores], ["probabilities"], **names, **domain)
        )
    label = helper.make_tensor_value_info("label", TensorProto.STRING, [None])
    rows = helper.make_tensor_value_info("X", number, [None, 4])
    made = helper.make_model(
        helper.make_graph(nodes, "graph", [rows], [label, found]),
        opset_imports=[
            helper.make_opsetid("", 17),
            helper.make_opsetid("ai.onnx.ml", 1),
        ],
    )
    made.ir_version = 8
    return made.SerializeToString()


def session(X, y):
    import onnxruntime

    return onnxruntime.InferenceSession(classical(X, y, zipmap=False))


CASES = [
    *of_tables("onnx-file", exported, kinds=STRINGS),
    *of_tables("onnx-static", partial(exported, static=True), kinds=STRINGS)[1:],
    *of_tables("onnx-probabilities", partial(classical, zipmap=False), kinds=STRINGS),
    *of_tables("onnx-zipmap", partial(classical, zipmap=True), kinds=STRINGS),
    *of_tables(
        "onnx-session",
        session,
        kinds=STRINGS,
        cannot={"search": NO_SESSION, "pickle": NO_SESSION},
    )[1:],
]
