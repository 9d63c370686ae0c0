"""compile=True."""

import shutil
import sys

import numpy as np
import pytest
import torch
from compute_helpers import Steady, Viewing, distil

from skkd.students import MLP


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("g++"), reason="needs a compiler"
)
@pytest.mark.filterwarnings("default")  # of torch's compiler, of all kinds
@pytest.mark.parametrize("module", [MLP, Viewing])
def test_a_compiled_student_trains(X, y, module):
    net = distil(module=module, compile=True, max_epochs=1, batch_size=24)
    net.set_params(teacher=Steady()).fit(X, y)
    plain = distil(module=module, max_epochs=1, batch_size=24, teacher=Steady())
    plain.fit(X, y)
    # Adam's first steps have the size of lr however small a gradient is, so that a
    # rounding, which compiled code does elsewhere, may turn one around.
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=5e-3)
    assert net.channels_last_ is False
    torch._dynamo.reset()
