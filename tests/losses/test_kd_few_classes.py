"""A softmax of few classes goes along the other axis; the numbers stay."""

import numpy as np
import oracles
import pytest
import torch

from skkd.losses import KD


# A softmax of few classes goes along the other axis; the numbers stay.
@pytest.mark.parametrize("n_classes", [2, 31, 32, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd_of_few_classes_has_the_right_value_and_gradient(
    n_classes, dtype, temperature
):
    rng = np.random.RandomState(n_classes)
    student, teacher = rng.randn(2, 9, n_classes) * 5
    z_s = torch.tensor(student, dtype=dtype, requires_grad=True)
    z_t = torch.tensor(teacher, dtype=dtype)
    each = KD()(z_s, z_t, torch.zeros(9, dtype=torch.int64), temperature)
    each.sum().backward()
    assert each.shape == (9,)
    assert each.dtype == dtype
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
    np.testing.assert_allclose(
        each.detach(),
        oracles.kd(student, teacher, temperature),
        rtol=tolerance,
        atol=tolerance,
    )
    np.testing.assert_allclose(
        z_s.grad,
        oracles.kd_gradient(student, teacher, temperature),
        rtol=tolerance,
        atol=tolerance,
    )


def test_kd_of_logits_that_are_not_contiguous():
    student, teacher = np.random.RandomState(0).randn(2, 7, 5)
    one = KD()(
        torch.tensor(np.asfortranarray(student)),
        torch.tensor(teacher.T.copy()).t(),
        torch.zeros(7, dtype=torch.int64),
        2.0,
    )
    np.testing.assert_allclose(one, oracles.kd(student, teacher, 2.0), rtol=1e-12)
