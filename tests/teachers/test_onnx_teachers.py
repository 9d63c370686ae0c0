"""ONNX files and sessions as teachers."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skkd import DistilledClassifier
from skkd.memory import LogitMemory
from skkd.students import MLP
from skkd.teachers import as_teacher

N, D, C = 40, 6, 3
X = np.random.default_rng(0).normal(size=(N, D)).astype("float32")
Y = np.arange(N) % C


def student(**params):
    return DistilledClassifier(
        MLP, module__hidden=(), max_epochs=1, random_state=0, **params
    )


def test_a_path_that_is_no_onnx_file_is_refused():
    with pytest.raises(TypeError, match=r"teacher is 'resnet50', expected .*\.onnx"):
        as_teacher("resnet50")
    with pytest.raises(FileNotFoundError):
        as_teacher("missing.onnx")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a network and paths of it, with a free and with a static batch."""
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("onnx")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, C)).eval()
    rows = torch.from_numpy(X[:8])
    batch = torch.export.Dim("batch")
    free, static = folder / "free.onnx", folder / "static.onnx"
    torch.onnx.export(net, (rows,), free, dynamic_shapes=({0: batch},), verbose=False)
    torch.onnx.export(net, (rows,), static, verbose=False)
    return net, str(free), static


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.filterwarnings("ignore:Nothing is cached")  # of the session
def test_a_file_teaches_as_its_network_does(files):
    import onnxruntime

    net, free, static = files
    expected = net(torch.from_numpy(X)).detach().numpy()
    session = onnxruntime.InferenceSession(free)
    again = pickle.loads(pickle.dumps(as_teacher(free)))
    for model in (free, static, session, again):
        got = as_teacher(model).logits(X, range(C))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        infos = [student(teacher=model).fit(X, Y).cache_info_ for _ in range(2)]
        assert infos[1].misses == (N if model is session else 0)
    with pytest.warns(match="pass the path of the file"):
        student(teacher=session, memory=LogitMemory()).fit(X, Y)
    with pytest.raises(ValueError, match=r"shape .*6\], and X \(40, 4\)"):
        as_teacher(free).logits(X[:, :4], range(C))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
def test_another_model_in_the_same_place_is_another_teacher(files, tmp_path):
    _, free, static = files
    place = tmp_path / "model.onnx"
    for source in (free, static):
        for path in Path(source).parent.glob(f"{Path(source).stem}*"):
            if path.suffix == ".data":
                (tmp_path / path.name).write_bytes(path.read_bytes())
        place.write_bytes(Path(source).read_bytes())
        assert student(teacher=place).fit(X + 1, Y).cache_info_.misses == N
        assert student(teacher=place).fit(X + 1, Y).cache_info_.misses == 0


class Session:
    """What a session of ONNX Runtime shows, with outputs as skl2onnx makes them."""

    class Node:
        def __init__(self, name, type, shape):
            self.name, self.type, self.shape = name, type, shape

    def __init__(self, zipmap):
        self.zipmap = zipmap

    def get_inputs(self):
        return [self.Node("X", "tensor(float)", [None, D])]

    def get_outputs(self):
        kind = "seq(map(string,tensor(float)))" if self.zipmap else "tensor(float)"
        label = self.Node("label", "tensor(string)", [None])
        return [label, self.Node("probabilities", kind, [None, C])]

    def run(self, names, feed):
        rows = feed["X"]
        assert rows.dtype == np.float32
        p = np.exp(rows[:, :C]) / np.exp(rows[:, :C]).sum(1, keepdims=True)
        return [[dict(zip("cab", row, strict=True)) for row in p] if self.zipmap else p]


@pytest.mark.parametrize("zipmap", [False, True])
def test_probabilities_are_known_by_their_name(zipmap):
    Session.__module__ = "onnxruntime.capi"
    teacher = as_teacher(Session(zipmap), classes=None if zipmap else [*"cab"])
    assert teacher.output_kind() == "proba"
    got = teacher.logits(X.astype("float64"), [*"abc"])
    expected = np.log(np.exp(X[:, [1, 2, 0]]) / np.exp(X[:, :C]).sum(1, keepdims=True))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_bytes_are_not_taken_for_floats():
    Session.__module__ = "onnxruntime.capi"
    node = Session.Node("X", "tensor(float)", [None, 1, 2, 2])
    session = Session(False)
    session.get_inputs = lambda: [node]
    with pytest.raises(ValueError, match=r"takes float32, and X is uint8"):
        as_teacher(session).logits(np.zeros((3, 1, 2, 2), np.uint8), range(C))
