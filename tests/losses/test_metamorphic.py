"""What must hold for every input: a changed input changes the loss in a known way."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skkd.losses import (
    DIST,
    DKD,
    KD,
    PKT,
    RKD,
    AttentionTransfer,
    FitNet,
    HardLabel,
    JensenShannon,
    LabelSmoothing,
    LogitMSE,
    LogitStandardization,
    SimilarityPreserving,
    VirtualTeacher,
    WeightedSum,
)

BY_SAMPLE = {
    "kd": KD(),
    "hard": HardLabel(),
    "mse": LogitMSE(),
    "dkd": DKD(),
    "js": JensenShannon(),
    "standardized_kd": LogitStandardization(),
    "standardized_mse": LogitStandardization("mse"),
    "label_smoothing": LabelSmoothing(),
    "virtual_teacher": VirtualTeacher(),
    "sum": WeightedSum([("kd", "kd"), ("dkd", "dkd")], [0.5, 2]),
}
BY_BATCH = {"dist": DIST(), "sum_with_dist": WeightedSum([("a", "kd"), ("b", "dist")])}
EVERY = {**BY_SAMPLE, **BY_BATCH}
SOFTMAX = {name: loss for name, loss in EVERY.items() if name != "mse"}
NO_DISTANCE = ("hard", "label_smoothing", "virtual_teacher")
DISTANCES = {name: loss for name, loss in EVERY.items() if name not in NO_DISTANCE}

FEATURES = {
    "fitnet": FitNet(),
    "attention": AttentionTransfer(),
    "rkd": RKD(),
    "similarity": SimilarityPreserving(),
    "pkt": PKT(),
}
FEATURES_BY_SAMPLE = {name: FEATURES[name] for name in ("fitnet", "attention")}

whenever = settings(max_examples=25, deadline=None, derandomize=True, database=None)
close = partial(torch.testing.assert_close, rtol=1e-9)


class Case(NamedTuple):
    """Logits, labels and a temperature, and a generator for what a test draws."""

    student: torch.Tensor
    teacher: torch.Tensor
    y: torch.Tensor
    temperature: float
    generator: torch.Generator

    @property
    def atol(self):
        """What rounding of the logits may amount to, after the factor T^2."""
        return 1e-10 * max(1, self.temperature**2)

    def changed(self, **changes):
        return self._replace(**changes)

    def normal(self, *shape):
        return torch.randn(*shape, dtype=torch.float64, generator=self.generator)

    def permutation(self, n):
        return torch.randperm(n, generator=self.generator)


@st.composite
def cases(draw, min_samples=1):
    n_samples = draw(st.integers(min_samples, 6))
    n_classes = draw(st.integers(2, 7))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0]))
    temperature = draw(st.sampled_from([0.5, 1.0, 4.0, 20.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    student, teacher = scale * torch.randn(
        2, n_samples, n_classes, dtype=torch.float64, generator=generator
    )
    y = torch.randint(n_classes, (n_samples,), generator=generator)
    return Case(student, teacher, y, temperature, generator)


def value(loss, case):
    return loss(case.student, case.teacher, case.y, case.temperature)


def over(losses):
    return pytest.mark.parametrize("name", losses)


# --- Losses on logits ---------------------------------------------------------------


@over(SOFTMAX)
@whenever
@given(case=cases())
def test_a_constant_added_to_the_logits_of_a_sample_changes_nothing(name, case):
    n = len(case.y)
    moved = case.changed(
        student=case.student + 10 * case.normal(n, 1),
        teacher=case.teacher + 10 * case.normal(n, 1),
    )
    close(value(EVERY[name], moved), value(EVERY[name], case), atol=case.atol)


@whenever
@given(case=cases())
def test_mse_sees_a_constant_added_to_the_logits_of_a_sample(case):
    moved = case.changed(student=case.student + 1)
    gap = (case.student - case.teacher).sum(dim=1)
    expected = value(LogitMSE(), case) + gap + case.student.shape[1] / 2
    close(value(LogitMSE(), moved), expected, atol=1e-9)


@over(EVERY)
@whenever
@given(case=cases(), unlabelled=st.booleans())
def test_the_order_of_the_classes_changes_nothing(name, case, unlabelled):
    if unlabelled and name != "virtual_teacher":  # which is computed from labels
        case = case.changed(y=case.y.index_fill(0, torch.tensor([0]), -1))
    order = case.permutation(case.student.shape[1])
    place = torch.argsort(order)  # of each class in the new order
    moved = case.changed(
        student=case.student[:, order],
        teacher=case.teacher[:, order],
        y=torch.where(case.y < 0, case.y, place[case.y]),
    )
    close(value(EVERY[name], moved), value(EVERY[name], case), atol=case.atol)


@over(EVERY)
@whenever
@given(case=cases())
def test_losses_follow_the_order_of_the_samples(name, case):
    order = case.permutation(len(case.y))
    moved = case.changed(
        student=case.student[order], teacher=case.teacher[order], y=case.y[order]
    )
    expected = value(EVERY[name], case)
    expected = expected if name in BY_BATCH else expected[order]
    close(value(EVERY[name], moved), expected, atol=case.atol)


def halves(case, at):
    for part in (slice(None, at), slice(at, None)):
        yield case.changed(
            student=case.student[part], teacher=case.teacher[part], y=case.y[part]
        )


@over(BY_SAMPLE)
@whenever
@given(case=cases(min_samples=2), share=st.floats(0, 1))
def test_a_batch_in_two_parts_has_the_same_losses(name, case, share):
    at = 1 + int(share * (len(case.y) - 2))
    parts = [value(EVERY[name], half) for half in halves(case, at)]
    close(torch.cat(parts), value(EVERY[name], case), atol=case.atol)


@whenever
@given(case=cases(min_samples=2))
def test_dist_between_classes_is_a_mean_over_samples_and_not_within_classes(case):
    by_class, whole = DIST(gamma=0.0), DIST(beta=0.0)
    each = [value(by_class, half) for half in halves(case, 1)]
    n = len(case.y)
    mean = (each[0] + (n - 1) * each[1]) / n
    close(value(by_class, case), mean, atol=case.atol)
    # Between samples a batch of one has nothing to compare.
    assert value(whole, next(halves(case, 1))) == 0


@whenever
@given(case=cases(), factor=st.floats(-4, 4))
def test_weights_are_factors(case, factor):
    for loss, scaled in [
        (DKD(1.0, 8.0), DKD(factor, 8 * factor)),
        (DIST(1.0, 2.0), DIST(factor, 2 * factor)),
    ]:
        expected = factor * value(loss, case)
        close(value(scaled, case), expected, atol=4 * case.atol)
    if factor:
        losses = [("kd", KD()), ("js", JensenShannon())]
        expected = factor * value(WeightedSum(losses, [1, 3]), case)
        scaled = WeightedSum(losses, [factor, 3 * factor])
        close(value(scaled, case), expected, atol=4 * case.atol)


@over(DISTANCES)
@whenever
@given(case=cases())
def test_a_student_that_equals_its_teacher_has_no_loss(name, case):
    got = value(EVERY[name], case.changed(student=case.teacher))
    close(got, torch.zeros_like(got), atol=case.atol)


@over(DISTANCES)
@whenever
@given(case=cases())
def test_no_loss_is_negative(name, case):
    assert (value(EVERY[name], case) >= -case.atol).all()


@over(SOFTMAX)
@whenever
@given(case=cases())
def test_gradients_sum_to_zero_over_the_classes(name, case):
    student = case.student.requires_grad_()
    total = value(EVERY[name], case).sum()
    (gradient,) = torch.autograd.grad(total, student)
    # A small scale of the logits is a large one of the gradients of z-scores.
    size = max(1.0, gradient.abs().max().item())
    sums = gradient.sum(dim=1)
    close(sums, torch.zeros_like(sums), atol=1e-10 * size * case.temperature**2 + 1e-12)


@pytest.mark.parametrize("name", ["kd", "dkd", "js", "dist"])
@whenever
@given(case=cases(), factor=st.sampled_from([0.25, 3.0, 10.0]))
def test_temperature_and_logits_scale_together(name, case, factor):
    warm = case.changed(
        student=factor * case.student,
        teacher=factor * case.teacher,
        temperature=factor * case.temperature,
    )
    expected = factor**2 * value(EVERY[name], case)
    close(value(EVERY[name], warm), expected, atol=case.atol * max(1, factor**2))


@whenever
@given(case=cases())
def test_jensen_shannon_is_symmetric_and_bounded(case):
    got = value(JensenShannon(), case)
    swapped = case.changed(student=case.teacher, teacher=case.student)
    close(value(JensenShannon(), swapped), got, atol=case.atol)
    bound = case.temperature**2 * torch.log(torch.tensor(2.0, dtype=torch.float64))
    assert (got <= bound + case.atol).all()


# --- Losses on features -------------------------------------------------------------


@st.composite
def maps(draw, min_samples=1):
    n = draw(st.integers(min_samples, 5))
    shape = tuple(draw(st.integers(1, 3)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    pair = torch.randn(2, n, *shape, dtype=torch.float64, generator=generator)
    return pair[0], pair[1], generator


@over(FEATURES)
@whenever
@given(case=maps())
def test_losses_on_features_follow_the_order_of_the_samples(name, case):
    student, teacher, generator = case
    order = torch.randperm(len(student), generator=generator)
    expected = FEATURES[name].compare(student, teacher)
    expected = expected[order] if expected.ndim else expected
    got = FEATURES[name].compare(student[order], teacher[order])
    close(got, expected, atol=1e-9)


@over(FEATURES)
@whenever
@given(case=maps())
def test_the_order_of_the_channels_changes_no_loss_on_features(name, case):
    student, teacher, generator = case
    order = torch.randperm(student.shape[1], generator=generator)
    got = FEATURES[name].compare(student[:, order], teacher[:, order])
    close(got, FEATURES[name].compare(student, teacher), atol=1e-9)


@over(FEATURES_BY_SAMPLE)
@whenever
@given(case=maps(min_samples=2))
def test_a_batch_in_two_parts_has_the_same_losses_on_features(name, case):
    student, teacher, _ = case
    parts = [
        FEATURES[name].compare(student[part], teacher[part])
        for part in (slice(None, 1), slice(1, None))
    ]
    close(torch.cat(parts), FEATURES[name].compare(student, teacher), atol=1e-12)


@over(FEATURES)
@whenever
@given(case=maps(), factor=st.floats(-4, 4))
def test_the_weight_of_a_loss_on_features_is_a_factor(name, case, factor):
    student, teacher, _ = case
    shapes = [(tuple(student.shape[1:]), tuple(teacher.shape[1:]))]
    labels = torch.zeros(len(student), dtype=torch.int64)
    values = []
    for weight in (1.0, factor):
        torch.manual_seed(0)  # of the adapter
        loss = type(FEATURES[name])(weight=weight)
        module = loss.build(shapes, labels).double()
        values.append(module([student], [teacher], torch.arange(len(student))))
    close(values[1], factor * values[0], atol=1e-12)


@over(FEATURES)
@whenever
@given(case=maps())
def test_equal_features_have_no_loss(name, case):
    _, teacher, _ = case
    got = FEATURES[name].compare(teacher, teacher)
    close(got, torch.zeros_like(got), atol=1e-9)
