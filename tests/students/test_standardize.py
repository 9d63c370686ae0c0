"""Standardize: moments against NumPy, and its checks."""

import warnings

import numpy as np
import oracles
import pytest
import torch
from student_cases import SHAPES, adapted, check_moments, images, rows

from skkd.students import Standardize


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cuts", [[], [1], [10, 11, 40], [0, 50]])
@pytest.mark.parametrize("shape", SHAPES)
def test_adapt_matches_numpy(shape, cuts, weighted):
    x = rows(50, shape)
    weight = np.random.default_rng(1).random(50) if weighted else None
    xs = np.split(x, cuts)
    ws = np.split(weight, cuts) if weighted else [None] * len(xs)
    batches = [
        (torch.tensor(a), None if w is None else torch.tensor(w))
        for a, w in zip(xs, ws, strict=True)
    ]
    check_moments(adapted(batches, shape), x, weight)


@pytest.mark.parametrize("shape", SHAPES)
def test_integer_weights_equal_repeated_rows(shape):
    x = torch.tensor(rows(30, shape))
    weight = torch.arange(30) % 4  # some zero, the first among them
    weighted = adapted([(x[:7], weight[:7]), (x[7:], weight[7:])], shape)
    repeated = adapted([(x.repeat_interleave(weight, dim=0), None)], shape)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_the_scale_of_the_weights_does_not_matter():
    x, weight = torch.tensor(rows(30, (4,))), torch.rand(30)
    small = adapted([(x, weight.double() * 1e-9)], (4,))
    np.testing.assert_allclose(small, adapted([(x, weight)], (4,)), rtol=1e-12)


def test_rows_of_no_weight_between_batches():
    x = torch.tensor(rows(30, (4,)))
    batches = [(x, torch.zeros(30)), (x[:5], None), (x, torch.zeros(30))]
    check_moments(adapted(batches, (4,)), x[:5].numpy())


def test_adapt_on_uint8_images():
    x = images(3000, (3, 16, 16))
    x[:, 1] //= 64
    mean, std = adapted([(x, None)], x.shape[1:])
    check_moments((mean, std), x.numpy())
    # Integers, so that the sums are exact.
    values = x.transpose(0, 1).flatten(1).numpy().astype(np.int64)  # (d, n)
    n, first, second = values.shape[1], values.sum(1), (values**2).sum(1)
    np.testing.assert_allclose(mean, first / n, rtol=1e-13)
    np.testing.assert_allclose(std, np.sqrt(n * second - first**2) / n, rtol=1e-13)


def test_adapt_takes_a_generator_and_other_dtypes():
    x = images(20, (6,))
    for dtype in (torch.int64, torch.float32, torch.float16, torch.bfloat16):
        batches = ((part, None) for part in x.to(dtype).split(3))
        check_moments(adapted(batches, (6,)), x.to(dtype).double().numpy())
    check_moments(adapted([(x > 100, None)], (6,)), (x > 100).numpy())


@pytest.mark.parametrize("size", [3, 1000])
def test_adapt_far_from_zero(size):
    x = 1e8 + rows(1000, (4,))
    batches = [(part, None) for part in torch.tensor(x).split(size)]
    check_moments(adapted(batches, (4,)), x, rtol=1e-10)


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1, 0.0])
def test_constant_feature_gets_std_one(value):
    x = rows(1000, (3,))
    x[:, 1] = value
    batches = [(part, torch.rand(len(part))) for part in torch.tensor(x).split(7)]
    mean, std = adapted(batches, (3,))
    assert std[1] == 1
    assert mean[1] == value
    assert (std[[0, 2]] != 1).all()


def test_std_that_underflows_becomes_one():
    x = torch.tensor([[0.0], [1e-12]], dtype=torch.float64)
    assert Standardize((1,)).half().adapt([(x, None)]).std.item() == 1


def test_adapt_again_forgets_the_old_data():
    first, second = images(9, (4,), seed=0), images(9, (4,), seed=1)
    module = Standardize((4,)).double().adapt([(first, None)]).adapt([(second, None)])
    check_moments((module.mean.numpy(), module.std.numpy()), second.numpy())


@pytest.mark.parametrize(
    "batches",
    [[], [(torch.ones(3, 2), torch.zeros(3))], [(torch.ones(0, 2), None)]],
    ids=["no batches", "no weight", "no rows"],
)
def test_adapt_needs_weight(batches):
    module = Standardize((2,))
    with pytest.raises(ValueError, match="weights sum to zero; expected at least one"):
        module.adapt(batches)
    assert not module.adapted


@pytest.mark.parametrize(
    ("x", "weight", "message"),
    [
        ([[1.0, 2.0]], [-1.0], "negative or not finite"),
        ([[1.0, 2.0]], [float("nan")], "negative or not finite"),
        ([[1.0, 2.0]], [float("inf")], "negative or not finite"),
        ([[1.0, 2.0]], [1.0, 1.0], r"weights of shape \(2,\) for 1 samples"),
        ([[1.0, float("nan")]], None, "NaN, infinity"),
        ([[1.0, float("inf")]], None, "NaN, infinity"),
        ([[1.0], [2.0]], None, r"shape \(2, 1\); expected \(n, 2\)"),
    ],
)
def test_adapt_rejects(x, weight, message):
    weight = None if weight is None else torch.tensor(weight)
    with pytest.raises(ValueError, match=message):
        Standardize((2,)).adapt([(torch.tensor(x), weight)])


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_before_adaptation(shape):
    x = images(5, shape)
    module = Standardize(shape)
    assert not module.adapted
    assert torch.equal(module(x), x.float())


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int32, torch.bool, torch.float64, torch.float16]
)
@pytest.mark.parametrize("working", [torch.float32, torch.float64])
def test_forward_by_value(dtype, working):
    x = images(5, (3, 2, 2)).to(dtype)
    module = Standardize((3, 2, 2), mean=[1, 2, 3], std=[1, 0.5, 4]).to(working)
    assert module.adapted
    got = module(x)
    assert got.dtype == working
    mean = np.array([1, 2, 3]).reshape(3, 1, 1)
    std = np.array([1, 0.5, 4]).reshape(3, 1, 1)
    expected = (x.double().numpy() - mean) / std
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_adapted_data_is_standard():
    x = torch.tensor(rows(200, (3, 5, 6)))
    module = Standardize((3, 5, 6)).adapt([(x, None)])
    mean, std = oracles.moments(module(x).numpy())
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(std, 1, rtol=1e-6)


def test_forward_does_not_broadcast_features():
    with pytest.raises(ValueError, match=r"shape \(5, 1\); expected \(n, 4\)"):
        Standardize((4,))(torch.zeros(5, 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": 1.0}, "expected both or none"),
        ({"std": 1.0}, "expected both or none"),
        ({"mean": 0, "std": 0.0}, "std=0.0; expected one positive, finite"),
        ({"mean": 0, "std": [1, -1, 1]}, "expected one positive, finite"),
        ({"mean": 0, "std": float("inf")}, "expected one positive, finite"),
        ({"mean": [1, 2], "std": 1}, "expected one finite number or 3 of them"),
        ({"mean": float("nan"), "std": 1}, "mean=nan; expected one finite"),
    ],
)
def test_given_statistics_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        Standardize((3, 4, 4), **given)


def test_given_statistics_are_copied():
    mean, std = torch.zeros(2), torch.ones(2)
    module = Standardize((2,), mean=mean, std=std)
    mean += 5
    assert module.mean.sum() == 0


def test_batches_of_a_mapping_are_refused():
    batch = {"a": torch.zeros(3, 4), "b": torch.zeros(3, 4)}
    with pytest.raises(TypeError, match=r"of type dict; expected a Tensor .*\(n, 4\)"):
        Standardize((4,)).adapt([(batch, None)])


def test_the_data_of_a_read_only_array():
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    expected = adapted([(torch.from_numpy(x.copy()), None)], (2,))
    x.flags.writeable = False
    with warnings.catch_warnings(action="ignore"):  # torch's, of arrays like this
        x = torch.from_numpy(x)
    np.testing.assert_array_equal(adapted([(x, None)], (2,)), expected)
