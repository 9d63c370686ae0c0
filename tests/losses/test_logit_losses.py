"""Losses on logits beyond the first three, against the oracles and their papers."""

import inspect
import pickle
import re
from functools import partial

import numpy as np
import oracles
import pytest
import torch
from helpers import stable_repr
from sklearn.base import clone
from torch.nn.functional import cross_entropy

from skkd.losses import (
    DIST,
    DKD,
    KD,
    HardLabel,
    JensenShannon,
    LabelSmoothing,
    LogitMSE,
    LogitStandardization,
    VirtualTeacher,
    WeightedSum,
    as_loss,
)
from skkd.losses._registry import LOSSES as NAMES

BOTH = WeightedSum([("kd", "kd"), ("dkd", DKD(beta=2.0))], weights=[2, 0.5])
MIXED = WeightedSum([("kd", KD()), ("dist", DIST())])


def both(student, teacher, y, temperature):
    kd = oracles.kl(student, teacher, y, temperature)
    return 2 * kd + 0.5 * oracles.dkd(student, teacher, y, temperature, beta=2.0)


def mixed(student, teacher, y, temperature):
    kd = oracles.kl(student, teacher, y, temperature)
    return kd.mean() + oracles.dist(student, teacher, y, temperature)


CASES = [
    pytest.param(DKD(), oracles.dkd, id="dkd"),
    pytest.param(
        DKD(0.5, 3.0), partial(oracles.dkd, alpha=0.5, beta=3.0), id="dkd weights"
    ),
    pytest.param(DIST(), oracles.dist, id="dist"),
    pytest.param(
        DIST(2.0, 0.5), partial(oracles.dist, beta=2.0, gamma=0.5), id="dist weights"
    ),
    pytest.param(
        LogitStandardization(),
        partial(oracles.standardized, oracles.kl),
        id="standardized",
    ),
    pytest.param(
        LogitStandardization(DIST()),
        partial(oracles.standardized, oracles.dist),
        id="standardized dist",
    ),
    pytest.param(JensenShannon(), oracles.jensen_shannon, id="js"),
    pytest.param(LabelSmoothing(), oracles.label_smoothing, id="label smoothing"),
    pytest.param(VirtualTeacher(), oracles.virtual_teacher, id="virtual teacher"),
    pytest.param(BOTH, both, id="sum of rows"),
    pytest.param(MIXED, mixed, id="sum with a scalar"),
]
LOSSES = [case.values[0] for case in CASES]
WITH_TEACHER = [loss for loss in LOSSES if loss.needs != "nothing"]
TEMPERATURES = [0.5, 1, 4, 20]
RTOL = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.float16: 2e-3,
    torch.bfloat16: 1e-2,
}


def logits(n, n_classes, dtype=torch.float64, scale=3.0, seed=0):
    rng = np.random.default_rng(seed)
    student, teacher = torch.tensor(rng.normal(scale=scale, size=(2, n, n_classes))).to(
        dtype
    )
    return student.requires_grad_(), teacher


def labels(loss, n, n_classes):
    """Return labels, some rows unlabelled unless the loss is made of labels."""
    y = torch.arange(n) % n_classes
    return y if isinstance(loss, VirtualTeacher) else torch.where(y % 3 == 2, -1, y)


def check_against_oracle(loss, value, student, teacher, temperature):
    s, t = student.detach().double().numpy(), teacher.double().numpy()
    y = labels(loss, *s.shape)
    before = teacher.clone()
    got = loss(student, teacher, y, temperature)
    (gradient,) = torch.autograd.grad(got.sum(), student)
    oracle = partial(value, teacher=t, y=y.numpy(), temperature=temperature)

    working = torch.promote_types(student.dtype, torch.float32)
    assert got.dtype == working
    assert torch.equal(teacher, before)
    expected = oracle(s)
    assert got.shape == np.shape(expected)
    # Rounding of the logits is amplified by T^2 (value) and T (gradient), that of a
    # correlation once more: by 1 / T the probabilities differ less.
    size = max(1, np.abs(s).max(), np.abs(t).max())
    correlates = "DIST" in repr(loss)
    eps = (16 if correlates else 4) * torch.finfo(working).eps * size
    power = 2 if correlates else 1
    np.testing.assert_allclose(
        got.detach().numpy(),
        expected,
        rtol=RTOL[working],
        atol=eps * max(1, temperature**2),
    )
    np.testing.assert_allclose(
        gradient.double().numpy(),
        oracles.complex_step(oracle, s),
        rtol=RTOL[student.dtype],
        atol=eps * max(1, temperature**power),
    )


# --- By value and gradient ----------------------------------------------------------


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_oracles_differentiate_as_the_formula_says(temperature):
    student, teacher = (z.detach().numpy() for z in logits(5, 10))
    oracle = partial(oracles.kl, teacher=teacher, y=None, temperature=temperature)
    np.testing.assert_allclose(
        oracles.complex_step(oracle, student),
        oracles.kd_gradient(student, teacher, temperature),
        rtol=1e-11,
    )


@pytest.mark.parametrize("dtype", RTOL, ids=stable_repr)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(1, 2), (5, 2), (1, 10), (5, 10)])
@pytest.mark.parametrize(("loss", "value"), CASES)
def test_value_and_gradient(loss, value, shape, temperature, dtype):
    student, teacher = logits(*shape, dtype)
    check_against_oracle(loss, value, student, teacher, temperature)


@pytest.mark.parametrize("dtype", RTOL, ids=stable_repr)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("loss", "value"), CASES)
def test_extreme_logits(loss, value, temperature, dtype):
    big = 1e4
    student = torch.tensor(
        [[big, -big, 0], [big, -big, 0], [0, 0, 0], [-big, -big, -big]], dtype=dtype
    ).requires_grad_()
    teacher = torch.tensor(
        [[-big, big, 0], [big, -big, 0], [big, big, -big], [0, 0, big]], dtype=dtype
    )
    out = loss(student, teacher, labels(loss, 4, 3), temperature)
    assert torch.isfinite(out).all()
    assert torch.isfinite(torch.autograd.grad(out.sum(), student)[0]).all()
    check_against_oracle(loss, value, student, teacher, temperature)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=stable_repr)
@pytest.mark.parametrize(("loss", "value"), CASES)
def test_ties(loss, value, dtype):
    # Constant rows of either, and of both; 0.1 is none in binary.
    student = torch.tensor([[1.0, 1, 1], [0, 2, 1], [0.1, 0.1, 0.1]], dtype=dtype)
    teacher = torch.tensor([[0.0, 3, 3], [2, 2, 2], [0.7, 0.7, 0.7]], dtype=dtype)
    check_against_oracle(loss, value, student.requires_grad_(), teacher, 2.0)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_that_are_all_alike(loss):
    # As from a student whose units are all dead: its columns are constant.
    student = torch.full((64, 7), 0.3).requires_grad_()
    rows = torch.linspace(-1, 1, 7).expand(64, 7).clone().requires_grad_()
    teacher = torch.randn(64, 7, generator=torch.Generator().manual_seed(0))
    for z in (student, rows):
        out = loss(z, teacher, labels(loss, 64, 7), 4.0)
        (gradient,) = torch.autograd.grad(out.sum(), z)
        assert torch.isfinite(out).all()
        assert gradient.abs().max() < 100


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss, temperature):
    student, teacher = logits(5, 10, scale=1.0)
    y = labels(loss, 5, 10)
    function = partial(loss, teacher_logits=teacher, y=y, temperature=temperature)
    assert torch.autograd.gradcheck(function, (student,))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("loss", WITH_TEACHER)
def test_equal_logits_give_nothing_to_learn(loss, temperature):
    student, _ = logits(5, 10)
    y = labels(loss, 5, 10)
    out = loss(student, student.detach().clone(), y, temperature)
    (gradient,) = torch.autograd.grad(out.sum(), student)
    zeros = partial(torch.testing.assert_close, rtol=0, atol=1e-13 * temperature**2)
    zeros(out, torch.zeros_like(out))
    zeros(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("loss", [*WITH_TEACHER, VirtualTeacher()])
def test_temperature_must_be_positive(loss, temperature):
    with pytest.raises(ValueError, match="expected a positive, finite number"):
        loss(*logits(2, 2), torch.tensor([0, 1]), temperature)


@pytest.mark.parametrize("loss", WITH_TEACHER)
def test_teacher_receives_no_gradient(loss):
    student, teacher = logits(5, 10)
    teacher.requires_grad_()
    loss(student, teacher, labels(loss, 5, 10), 2.0).sum().backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("shapes", [((5, 3), (5, 1)), ((5, 3), (1, 3)), ((5,), (5,))])
@pytest.mark.parametrize("loss", WITH_TEACHER)
def test_shapes_must_match(loss, shapes):
    student, teacher = map(torch.zeros, shapes)
    with pytest.raises(ValueError, match=r"Got student .* expected \(n, n_classes\)"):
        loss(student, teacher, torch.zeros(5, dtype=torch.int64), 1.0)


# --- As objects ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_is_an_estimator(loss):
    student, teacher = logits(5, 10)
    y = labels(loss, 5, 10)
    expected = loss(student, teacher, y, 2.0)
    made = as_loss(loss)
    for copy in (clone(loss), pickle.loads(pickle.dumps(loss)), made):
        assert copy is not loss
        assert repr(copy) == repr(loss) or copy is made  # with objects for names
        assert copy.get_params().keys() == loss.get_params().keys()
        assert torch.equal(copy(student, teacher, y, 2.0), expected)
        assert copy.set_params(**copy.get_params()) is copy
        assert torch.equal(copy(student, teacher, y, 2.0), expected)


@pytest.mark.parametrize("name", NAMES)
def test_names_make_the_defaults(name):
    made = as_loss(name)
    assert type(made) is NAMES[name]
    assert repr(clone(made).set_params(**NAMES[name]().get_params(deep=False))) == repr(
        NAMES[name]()
    )
    assert made is not as_loss(name)


@pytest.mark.parametrize("cls", [*NAMES.values(), WeightedSum])
def test_documented_defaults_are_the_defaults(cls):
    lines = re.findall(r"^    ([\w, ]+) : .*default=(.+)$", cls.__doc__, re.M)
    documented = {name: text for names, text in lines for name in names.split(", ")}
    parameters = inspect.signature(cls).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    assert {name: eval(text, {}) for name, text in documented.items()} == defaults


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (DKD(alpha=float("nan")), "Got alpha=nan for DKD; expected a finite number"),
        (DKD(beta="8"), "Got beta='8' for DKD"),
        (DIST(gamma=True), "Got gamma=True for DIST"),
        (VirtualTeacher(1.0), r"Got correct=1\.0 .* between 0 and 1"),
        (VirtualTeacher("a"), "Got correct='a' .* between 0 and 1"),
        (LogitStandardization(DKD(beta=None)), "Got beta=None for DKD"),
        (WeightedSum([("a", DKD(beta=None))]), "Got beta=None for DKD"),
    ],
)
def test_impossible_parameters_are_told_before_training(loss, expected):
    with pytest.raises(ValueError, match=expected):
        as_loss(loss)


# --- KD and its limit ---------------------------------------------------------------


@pytest.mark.parametrize(("loss", "share"), [(KD(), 1), (JensenShannon(), 4)])
def test_high_temperatures_match_centred_logits(loss, share):
    student, teacher = logits(5, 10)
    out = loss(student, teacher, torch.zeros(5, dtype=torch.int64), 3e4)
    (gradient,) = torch.autograd.grad(out.sum(), student)
    gap = (student - teacher).detach()
    gap = gap - gap.mean(dim=1, keepdim=True)
    expected = gap.square().sum(dim=1) / (2 * 10) / share
    close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-5)
    close(out.detach(), expected)
    close(gradient, gap / 10 / share)


# --- DKD ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_is_the_sum_that_dkd_takes_apart(temperature, n_classes):
    student, teacher = logits(6, n_classes)
    y = torch.arange(6) % n_classes
    tckd = DKD(alpha=1, beta=0)(student, teacher, y, temperature)
    nckd = DKD(alpha=0, beta=1)(student, teacher, y, temperature)
    p_t = (teacher / temperature).softmax(dim=1)[torch.arange(6), y]
    whole = KD()(student, teacher, y, temperature)
    parts = tckd + (1 - p_t) * nckd
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad(v.sum(), student)[0] for v in (parts, whole)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_dkd_of_two_classes_has_no_other_classes(scale):
    student, teacher = logits(6, 2, scale=scale)
    y = torch.tensor([0, 1, 0, 1, -1, -1])
    nckd = DKD(alpha=0, beta=8)(student, teacher, y, 1.0)
    (gradient,) = torch.autograd.grad(nckd.sum(), student)
    assert torch.equal(nckd, torch.zeros_like(nckd))
    assert torch.equal(gradient, torch.zeros_like(gradient))
    torch.testing.assert_close(
        DKD()(student, teacher, y, 1.0), KD()(student, teacher, y, 1.0)
    )


def test_dkd_takes_the_decision_of_the_teacher_where_there_is_no_label():
    student, teacher = logits(6, 5)
    unlabelled = torch.full((6,), -1)
    decided = DKD()(student, teacher, teacher.argmax(dim=1), 2.0)
    assert torch.equal(DKD()(student, teacher, unlabelled, 2.0), decided)
    others = (teacher.argmax(dim=1) + 1) % 5
    assert not torch.isclose(DKD()(student, teacher, others, 2.0), decided).any()
    assert unlabelled.eq(-1).all()


def test_dkd_refuses_one_class():
    with pytest.raises(ValueError, match="Got logits of one class; expected two"):
        DKD()(*logits(3, 1), torch.zeros(3, dtype=torch.int64), 1.0)


# --- DIST ---------------------------------------------------------------------------


def test_dist_of_one_row_has_no_relations_between_rows():
    student, teacher = logits(1, 5)
    y = torch.tensor([0])
    alone = DIST(beta=1, gamma=0)(student, teacher, y, 3.0)
    assert torch.equal(DIST(beta=1, gamma=7)(student, teacher, y, 3.0), alone)


def test_dist_wants_the_relations_of_probabilities_only():
    teacher = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], dtype=torch.float64)
    student = 0.5 * teacher + 0.5 / 3  # less sure, in the same relations
    y = torch.tensor([0, 2])
    out = DIST()(student.log(), teacher.log(), y, 1.0)
    assert abs(out.item()) < 1e-12
    assert KD()(student.log(), teacher.log(), y, 1.0).min() > 0.01


# --- Standardised logits ------------------------------------------------------------


@pytest.mark.parametrize("inner", ["kd", "mse", DKD(), DIST(), JensenShannon()])
def test_standardised_logits_have_neither_level_nor_scale(inner):
    student, teacher = logits(5, 10)
    y, loss = torch.arange(5), LogitStandardization(inner)
    expected = loss(student, teacher, y, 2.0)
    moved = loss(7 * student + 3, 0.1 * teacher - 5, y, 2.0)
    torch.testing.assert_close(moved, expected, rtol=1e-10, atol=1e-12)


def test_the_inner_loss_sees_z_scores_labels_and_temperature():
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.extend([student_logits, teacher_logits, y, temperature])
        return student_logits.sum(dim=1)

    student, teacher = logits(5, 10)
    y = torch.arange(5)
    LogitStandardization(spy)(student, teacher, y, 2.5)
    for z, given in zip(seen[:2], (student, teacher), strict=True):
        z, given = z.detach().numpy(), given.detach().numpy()
        expected = (given - given.mean(1, keepdims=True)) / given.std(1, keepdims=True)
        np.testing.assert_allclose(z, expected, rtol=1e-12)
    assert seen[2] is y
    assert seen[3] == 2.5


def test_parameters_of_the_inner_loss():
    loss = LogitStandardization(DKD()).set_params(loss__beta=2)
    assert loss.get_params()["loss__beta"] == 2
    assert repr(loss) == "LogitStandardization(loss=DKD(beta=2))"
    by_name = LogitStandardization("dkd")
    assert by_name.get_params()["loss__beta"] == 8.0
    assert by_name.loss == "dkd"
    assert by_name.set_params(loss__beta=2).loss.beta == 2
    both = LogitStandardization().set_params(loss="dkd", loss__alpha=3)
    assert repr(both) == "LogitStandardization(loss=DKD(alpha=3))"
    assert as_loss(LogitStandardization, loss="dkd", loss__beta=2).loss.beta == 2


def test_as_loss_does_not_touch_the_inner_loss_it_was_given():
    inner = DKD()
    made = as_loss(LogitStandardization(inner), loss__beta=2)
    assert (inner.beta, made.loss.beta) == (8.0, 2)


@pytest.mark.parametrize(
    ("given", "params", "expected"),
    [
        ("standardized_kd", {"loss__beta": 1}, "Got 'loss__beta' .* expected 'loss'"),
        (LogitStandardization(DKD()), {"loss__bta": 1}, "mean 'loss__beta'"),
        (DKD(), {"bta": 1}, "Got 'bta' .* DKD; .* Did you mean 'beta'"),
        (BOTH, {"dkd__bta": 1}, "Got 'dkd__bta' .* Did you mean 'dkd__beta'"),
        (BOTH, {"kdd": HardLabel()}, "Got 'kdd' .* Did you mean 'kd'"),
    ],
)
def test_unknown_nested_parameters(given, params, expected):
    with pytest.raises(ValueError, match=expected):
        as_loss(given, **params)


@pytest.mark.parametrize("inner", [LabelSmoothing(), "virtual_teacher"])
def test_only_losses_on_logits_are_standardised(inner):
    with pytest.raises(TypeError, match="expected one that compares the teacher's"):
        as_loss(LogitStandardization(inner))
    with pytest.raises(ValueError, match="Did you mean 'kd'"):
        as_loss(LogitStandardization("kdd"))


# --- Without a teacher --------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, 0.7])
def test_label_smoothing_is_that_of_torch(alpha):
    student, _ = logits(6, 5)
    y = torch.arange(6) % 5
    soft = LabelSmoothing()(student, None, y, 1.0)
    ours = (1 - alpha) * cross_entropy(student, y, reduction="none") + alpha * soft
    theirs = cross_entropy(student, y, reduction="none", label_smoothing=alpha)
    torch.testing.assert_close(ours + alpha * np.log(5), theirs, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(v.sum(), student)[0] for v in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", [LabelSmoothing(), VirtualTeacher()])
def test_no_teacher_is_asked(loss):
    student, teacher = logits(6, 5)
    y = torch.arange(6) % 5
    assert loss.needs == "nothing"
    alone = loss(student, None, y, 3.0)
    assert torch.equal(alone, loss(student, teacher, y, 3.0))
    assert loss(student.half(), None, y, 3.0).dtype == torch.float32
    with pytest.raises(ValueError, match=r"expected \(n, n_classes\)"):
        loss(student[0], None, y, 3.0)


def test_a_virtual_teacher_is_kd_from_a_teacher_that_is_right():
    student, _ = logits(6, 5)
    y = torch.arange(6) % 5
    p = torch.full((6, 5), 0.1 / 4, dtype=torch.float64)
    p[torch.arange(6), y] = 0.9
    got = VirtualTeacher(correct=0.9)(student, None, y, 20.0)
    torch.testing.assert_close(got, KD()(student, p.log(), y, 20.0))


def test_a_virtual_teacher_needs_labels_and_to_be_right():
    student, _ = logits(3, 4)
    with pytest.raises(ValueError, match="Got 2 unlabelled samples; expected none"):
        VirtualTeacher()(student, None, torch.tensor([0, -1, -1]), 20.0)
    with pytest.raises(ValueError, match=r"Got correct=0\.25 .* above 1 / 4"):
        VirtualTeacher(0.25)(student, None, torch.tensor([0, 1, 2]), 20.0)


def test_as_loss_knows_losses_of_logits_by_name():
    assert isinstance(as_loss("mse"), LogitMSE)
    with pytest.raises(ValueError, match=r"Got distillation='jss'.*mean 'js'"):
        as_loss("jss")
