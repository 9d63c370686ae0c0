"""compile=True."""

import shutil
import sys

import numpy as np
import pytest
import torch
from compute_helpers import Steady, Viewing, distil

from skkd.students import MLP

COMPILED = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("g++"), reason="needs a compiler"
    ),
]


@pytest.mark.filterwarnings("default")  # of torch's compiler, of all kinds
@pytest.mark.parametrize(
    ("module", "backend"),
    [
        (Viewing, "eager"),  # torch traces the student, and compiles nothing
        pytest.param(MLP, "inductor", marks=COMPILED),
        pytest.param(Viewing, "inductor", marks=COMPILED),
    ],
)
def test_a_compiled_student_trains(X, y, module, backend):
    params = {"module": module, "max_epochs": 1, "batch_size": 24, "teacher": Steady()}
    net = distil(compile=True, compile__backend=backend, **params).fit(X, y)
    plain = distil(**params).fit(X, y)
    # Adam's first steps have the size of lr however small a gradient is, so that a
    # rounding, which compiled code does elsewhere, may turn one around.
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=5e-3)
    assert net.channels_last_ is False
    torch._dynamo.reset()
