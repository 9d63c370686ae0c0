"""Programs of torch go to the workers of a search; sessions are refused."""

import pickle

import pytest
import torch
from joblib.externals.loky.backend import reduction
from torch import nn

from skkd import DistilledClassifier

X = torch.arange(12.0).reshape(3, 4)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def exported(net):
    rows = ({0: torch.export.Dim("rows")},)
    return torch.export.export(net, (X,), dynamic_shapes=rows)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # of the program itself
@pytest.mark.parametrize(
    "make", [lambda net: torch.jit.trace(net, X), torch.jit.script, exported]
)
def test_a_program_is_sent_in_a_format_of_its_own(make):
    net = network()
    sent = reduction.dumps(DistilledClassifier(teacher=make(net)))
    received = pickle.loads(sent).teacher
    forward = received.module() if hasattr(received, "graph_signature") else received
    assert torch.equal(forward(X), net(X))


def test_a_session_is_refused_with_the_remedy():
    kind = type("InferenceSession", (), {"__module__": "onnxruntime.capi.session"})
    with pytest.raises(TypeError, match=r"pass the path of its file, teacher='model"):
        reduction.dumps(DistilledClassifier(teacher=kind()))
