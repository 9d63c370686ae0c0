"""KD, HardLabel and LogitMSE by value and gradient against the oracles."""

import pickle
from functools import partial

import numpy as np
import oracles
import pytest
import torch
from helpers import stable_repr
from sklearn.base import clone

from skkd.losses import KD, DistillationLoss, HardLabel, LogitMSE

CASES = [
    pytest.param(KD(), oracles.kd, oracles.kd_gradient, id="kd"),
    pytest.param(
        HardLabel(), oracles.hard_label, oracles.hard_label_gradient, id="hard"
    ),
    pytest.param(LogitMSE(), oracles.logit_mse, oracles.logit_mse_gradient, id="mse"),
]
LOSSES = [KD(), HardLabel(), LogitMSE()]
TEMPERATURES = [0.5, 1, 4, 20]
# Values are computed in float32 at least; the gradient returns in the input's dtype.
VALUE_RTOL = {torch.float64: 1e-12, torch.float32: 1e-5}
GRADIENT_RTOL = {
    torch.float64: 1e-11,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1e-2,
}


class Scaled(DistillationLoss):
    """KD with a parameter, as a user would write it."""

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        """Return beta times KD."""
        return self.beta * KD()(student_logits, teacher_logits, y, temperature)


def logits(n, n_classes, dtype=torch.float64, scale=3.0, seed=0):
    rng = np.random.default_rng(seed)
    pair = rng.normal(scale=scale, size=(2, n, n_classes))
    student, teacher = torch.tensor(pair).to(dtype)
    return student.requires_grad_(), teacher


def labels(n):
    return torch.arange(n) % 2 - 1  # some rows unlabelled


def check_against_oracle(loss, value, gradient, student, teacher, temperature):
    s, t = student.detach().double().numpy(), teacher.double().numpy()
    before = teacher.clone()
    got = loss(student, teacher, labels(len(s)), temperature)
    (got_gradient,) = torch.autograd.grad(got.sum(), student)

    working = torch.promote_types(student.dtype, torch.float32)
    assert got.dtype == working
    assert got.shape == (len(s),)
    assert torch.equal(teacher, before)
    # Rounding of the logits is amplified by T^2 (value) and T (gradient).
    size = max(1, np.abs(s).max(), np.abs(t).max())
    eps = torch.finfo(working).eps * size
    np.testing.assert_allclose(
        got.detach().numpy(),
        value(s, t, temperature),
        rtol=VALUE_RTOL[working],
        atol=4 * eps * max(1, temperature**2),
    )
    np.testing.assert_allclose(
        got_gradient.double().numpy(),
        gradient(s, t, temperature),
        rtol=GRADIENT_RTOL[student.dtype],
        atol=4 * eps * max(1, temperature),
    )


@pytest.mark.parametrize("dtype", GRADIENT_RTOL, ids=stable_repr)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(1, 2), (5, 2), (1, 10), (5, 10)])
@pytest.mark.parametrize(("loss", "value", "gradient"), CASES)
def test_value_and_gradient(loss, value, gradient, shape, temperature, dtype):
    student, teacher = logits(*shape, dtype)
    check_against_oracle(loss, value, gradient, student, teacher, temperature)


@pytest.mark.parametrize("dtype", GRADIENT_RTOL, ids=stable_repr)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("loss", "value", "gradient"), CASES)
def test_extreme_logits(loss, value, gradient, temperature, dtype):
    big = 1e4
    student = torch.tensor(
        [[big, -big, 0], [big, -big, 0], [0, 0, 0], [-big, -big, -big]], dtype=dtype
    ).requires_grad_()
    teacher = torch.tensor(
        [[-big, big, 0], [big, -big, 0], [big, big, -big], [0, 0, big]], dtype=dtype
    )
    out = loss(student, teacher, labels(4), temperature)
    assert torch.isfinite(out).all()
    assert torch.isfinite(torch.autograd.grad(out.sum(), student)[0]).all()
    check_against_oracle(loss, value, gradient, student, teacher, temperature)


@pytest.mark.parametrize(("loss", "value", "gradient"), CASES)
def test_ties(loss, value, gradient):
    student = torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]]).requires_grad_()
    teacher = torch.tensor([[0.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    check_against_oracle(loss, value, gradient, student, teacher, 2.0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss, temperature):
    student, teacher = logits(5, 10, scale=1.0)
    function = partial(
        loss, teacher_logits=teacher, y=labels(5), temperature=temperature
    )
    assert torch.autograd.gradcheck(function, (student,))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("loss", [KD(), LogitMSE()])
def test_equal_logits_give_nothing_to_learn(loss, temperature):
    student, _ = logits(5, 10)
    out = loss(student, student.detach().clone(), labels(5), temperature)
    (gradient,) = torch.autograd.grad(out.sum(), student)
    assert torch.equal(out, torch.zeros_like(out))
    torch.testing.assert_close(
        gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14 * temperature
    )


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_kd_ignores_a_constant_added_to_a_row(side):
    student, teacher = logits(5, 10)
    shift = torch.linspace(-50, 50, 5, dtype=torch.float64).unsqueeze(1)
    moved = (
        (student + shift, teacher) if side == "student" else (student, teacher + shift)
    )
    got, expected = KD()(*moved, labels(5), 4.0), KD()(student, teacher, labels(5), 4.0)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def test_mse_is_not_centred():
    zeros = torch.zeros(1, 4)
    assert LogitMSE()(zeros, zeros + 3, labels(1), 1.0).item() == 0.5 * 4 * 9


@pytest.mark.parametrize("loss", [HardLabel(), LogitMSE()])
def test_temperature_is_ignored(loss):
    student, teacher = logits(5, 10)
    cold, hot = (loss(student, teacher, labels(5), t) for t in (1.0, 20.0))
    assert torch.equal(cold, hot)


def test_kd_gradient_is_comparable_across_temperatures():
    # Without T^2 it would shrink four hundredfold from T=20 to T=400.
    student, teacher = logits(5, 10)
    sizes = []
    for temperature in (20.0, 400.0):
        out = KD()(student, teacher, labels(5), temperature).sum()
        sizes.append(torch.autograd.grad(out, student)[0].norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.2)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_are_ignored(loss):
    student, teacher = logits(5, 10)
    a = loss(student, teacher, torch.full((5,), -1), 2.0)
    assert torch.equal(a, loss(student, teacher, torch.arange(5), 2.0))


@pytest.mark.parametrize("loss", LOSSES)
def test_teacher_receives_no_gradient(loss):
    student, teacher = logits(5, 10)
    teacher.requires_grad_()
    loss(student, teacher, labels(5), 2.0).sum().backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_precision_follows_the_student(loss):
    student, teacher = logits(5, 10)
    mixed = loss(student.float(), teacher, labels(5), 2.0)
    assert mixed.dtype == torch.float32
    assert loss(student, teacher.half(), labels(5), 2.0).dtype == torch.float64


@pytest.mark.parametrize("shapes", [((5, 3), (5, 1)), ((5, 3), (1, 3)), ((5,), (5,))])
@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_must_match(loss, shapes):
    student, teacher = map(torch.zeros, shapes)
    with pytest.raises(ValueError, match=r"Got student .* expected \(n, n_classes\)"):
        loss(student, teacher, labels(5), 1.0)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_kd_needs_a_positive_temperature(temperature):
    with pytest.raises(ValueError, match="expected a positive, finite number"):
        KD()(*logits(2, 2), labels(2), temperature)


@pytest.mark.parametrize("loss", [*LOSSES, Scaled(beta=2.0)])
def test_is_an_estimator(loss):
    student, teacher = logits(5, 10)
    expected = loss(student, teacher, labels(5), 2.0)
    for copy in (clone(loss), pickle.loads(pickle.dumps(loss))):
        assert copy is not loss
        assert copy.get_params() == loss.get_params()
        assert torch.equal(copy(student, teacher, labels(5), 2.0), expected)
        assert copy.set_params(**loss.get_params()) is copy
    assert repr(Scaled(beta=2.0)) == "Scaled(beta=2.0)"


def test_base_class_asks_for_call():
    with pytest.raises(NotImplementedError, match="does not define __call__"):
        DistillationLoss()(*logits(2, 2), labels(2), 1.0)
