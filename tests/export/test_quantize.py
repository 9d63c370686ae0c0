"""Files of 8 and 16 bits: how close, how small, and really in integers."""

from collections import Counter

import numpy as np
import pytest
from export_helpers import open_file, student
from sklearn.datasets import load_digits
from torch import nn

from skkd.export import export_onnx
from skkd.export._int8_graph import quantize_weight, scale_and_zero
from skkd.export._int8_layers import find_layers
from skkd.export._int8_ranges import Seen, clipped_range, full_range

DIGITS = load_digits()
TRAIN, TEST = slice(0, 1200), slice(1200, None)


class Depthwise(nn.Module):
    """Convolutions of several kinds, a sum and a pooling."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        n = input_shape[0]
        self.first = nn.Conv2d(n, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.pointwise = nn.Conv2d(16, 32, 1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(32, n_classes)

    def forward(self, x):
        x = self.first(x / 255).relu()
        x = self.pool(self.pointwise(x + self.depthwise(x)).relu())
        return self.head(x.mean((2, 3)))


def images(part):
    return (DIGITS.images[part] * 15).astype(np.uint8)[:, None]


def table(part):
    return DIGITS.data[part].astype(np.float32)


def runs_as(path, tmp_path):
    """Return the operators that ONNX Runtime makes of a file."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options)
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    return Counter(node.op_type for node in nodes)


@pytest.mark.parametrize(
    ("module", "read", "integers", "size"),
    [
        (None, table, {"QGemm": 2}, 0.36),
        pytest.param(
            None,
            images,
            {"QLinearConv": 6, "QGemm": 1},
            0.30,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Depthwise,
            images,
            {"QLinearConv": 3, "QGemm": 1},
            1.5,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["mlp", "cnn", "depthwise"],
)
def test_int8_is_as_right_and_computes_in_integers(
    module, read, integers, size, tmp_path
):
    net = student(module, max_epochs=8, lr=1e-2).fit(read(TRAIN), DIGITS.target[TRAIN])
    paths = {None: tmp_path / "fp32.onnx", "int8": tmp_path / "int8.onnx"}
    for quantize, path in paths.items():
        proof = export_onnx(
            net, path, quantize=quantize, X_calibration=read(TRAIN)[:300]
        )
    assert proof.label_agreement > 0.97
    session, meta = open_file(paths["int8"])
    assert meta.quantize == "int8"
    label = session.run(["label"], {"X": read(TEST)})[0]
    accuracy = (label == DIGITS.target[TEST]).mean()
    assert accuracy > net.score(read(TEST), DIGITS.target[TEST]) - 0.01
    found = runs_as(paths["int8"], tmp_path)
    assert {name: found[name] for name in integers} == integers
    assert not found["Conv"] + found["Gemm"] + found["MatMul"]
    assert paths["int8"].stat().st_size < size * paths[None].stat().st_size


def test_fp16_is_half_as_large(tmp_path):
    net = student(max_epochs=3).fit(table(TRAIN), DIGITS.target[TRAIN])
    export_onnx(net, tmp_path / "fp32.onnx")
    proof = export_onnx(net, tmp_path / "fp16.onnx", quantize="fp16")
    assert proof.max_difference < 1e-2
    sizes = [(tmp_path / f"{n}.onnx").stat().st_size for n in ("fp16", "fp32")]
    assert sizes[0] < 0.55 * sizes[1]
    assert open_file(tmp_path / "fp16.onnx")[1].quantize == "fp16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int8"}, r"needs samples .*X_calibration=X_train"),
        ({"quantize": "int4"}, "quantize='int4': expected one of"),
    ],
)
def test_bad_options_are_refused(options, message, tmp_path):
    net = student().fit(table(TRAIN), DIGITS.target[TRAIN])
    with pytest.raises(ValueError, match=message):
        export_onnx(net, tmp_path / "student.onnx", **options)
    assert not [*tmp_path.iterdir()]


def test_a_student_in_float64_becomes_int8_by_way_of_float32(tmp_path):
    net = student(max_epochs=3).fit(DIGITS.data, DIGITS.target)
    path = tmp_path / "student.onnx"
    proof = export_onnx(net, path, quantize="int8", X_calibration=DIGITS.data[:300])
    assert proof.label_agreement > 0.95
    assert open_file(path)[1].inputs[0].dtype == "float32"


class Tied(nn.Module):
    """Two layers with the same weights."""

    def __init__(self, n_classes):
        super().__init__()
        self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
        self.other.weight = self.one.weight
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.head(self.other(self.one(x / 16).relu()).relu())


def test_layers_may_share_their_weights(tmp_path):
    net = student(Tied, max_epochs=3, lr=1e-2).fit(table(TRAIN), DIGITS.target[TRAIN])
    path, calibration = tmp_path / "student.onnx", table(TRAIN)[:300]
    proof = export_onnx(net, path, quantize="int8", X_calibration=calibration)
    assert proof.label_agreement > 0.95
    assert runs_as(path, tmp_path)["QGemm"] == 3


# Numbers ------------------------------------------------------------------------------


def seen(values):
    values = np.asarray(values, dtype=float)
    return Seen(values.min(), values.max(), values, np.zeros(1))


def test_a_long_tail_is_clipped_and_an_even_range_is_not():
    values = np.random.default_rng(0).exponential(size=200_000)
    low, high = clipped_range(seen(values))
    assert low == 0
    assert 0.5 < high / values.max() < 0.9
    even = np.linspace(-1, 3, 1001)
    assert clipped_range(seen(even)) == pytest.approx((-1, 3), rel=0.05)


@pytest.mark.parametrize("values", [[0, 3], [-2, 5], [-4, -1], [0, 0]])
def test_zero_is_a_level(values):
    low, high = full_range(seen(values))
    scale, zero = scale_and_zero(low, high)
    levels = (np.arange(256) - float(zero)) * float(scale)
    assert 0 in levels
    assert levels.min() <= low + scale
    assert levels.max() >= high - scale


def test_products_of_two_weights_fit_into_16_bits():
    import onnx

    weight = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    make = onnx.helper
    node = make.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    tensor = onnx.numpy_helper.from_array(weight, "w")
    graph = make.make_graph([node], "g", [], [], [tensor])
    (layer,) = find_layers(make.make_model(graph))
    rounded, scales = quantize_weight(layer)
    assert 2 * 255 * np.abs(rounded.astype(int)).max() < 2**15
    error = np.abs(rounded * scales[:, None] - weight)
    assert (error <= scales[:, None] / 2 + 1e-7).all()
