"""Students: standardisation by value, shapes, parameter counts, round trips."""

import copy
import io
import pickle

import numpy as np
import oracles
import pytest
import torch

from skkd.students import MLP, SmallCNN, Standardize, default_student

SHAPES = [(4,), (2, 3), (3, 5, 6)]
STUDENTS = [
    pytest.param(MLP, (7,), id="mlp-table"),
    pytest.param(MLP, (1, 8, 8), id="mlp-image"),
    pytest.param(SmallCNN, (1, 8, 8), id="cnn-8x8"),
    pytest.param(SmallCNN, (1, 28, 28), id="cnn-28x28"),
    pytest.param(SmallCNN, (3, 32, 32), id="cnn-32x32"),
]


def rows(n, shape, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.arange(1, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1))
    return rng.normal(scale, scale, size=(n, *shape))


def images(n, shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, 256, size=(n, *shape), dtype=np.uint8))


def adapted(batches, shape):
    """Return the mean and std that a float64 module learns, as (d,), (d,)."""
    module = Standardize(shape).double()
    assert module.adapt(batches) is module
    assert module.adapted
    return module.mean.flatten().numpy(), module.std.flatten().numpy()


def check_moments(got, x, weight=None, rtol=1e-12):
    for a, b in zip(got, oracles.moments(x, weight), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)


# --- Standardize -----------------------------------------------------------------


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


# --- MLP and SmallCNN ------------------------------------------------------------


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_mlp_parameter_counts():
    assert n_parameters(MLP(10, (1, 28, 28))) == 101_770
    assert n_parameters(MLP(3, (4,), hidden=())) == 3 * 4 + 3
    assert n_parameters(MLP(3, (4,), hidden=(5, 6))) == 25 + 36 + 21
    assert n_parameters(MLP(3, (4,), hidden=5)) == n_parameters(MLP(3, (4,), (5,)))


def test_linear_mlp_by_value():
    student = MLP(2, (3,), hidden=()).double()
    x = images(4, (3,))
    student.standardize.adapt([(x, None)])
    mean, std = oracles.moments(x.numpy())
    w, b = (p.detach().numpy() for p in student.head.parameters())
    expected = (x.numpy() - mean) / std @ w.T + b
    np.testing.assert_allclose(student(x).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [1, 2, 10])
@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_shapes(cls, shape, n_classes):
    logits = cls(n_classes, shape)(images(3, shape))
    assert logits.shape == (3, n_classes)
    assert logits.dtype == torch.float32


def test_small_cnn_parameter_counts():
    def count(width):
        return n_parameters(SmallCNN(10, (3, 32, 32), width=width))

    assert (count(4), count(16), count(64)) == (4_854, 72_954, 1_148_874)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4), (3, 2, 9), (4, 17, 5)])
def test_small_cnn_takes_any_size(shape):
    assert SmallCNN(2, shape, width=2)(images(3, shape)).shape == (3, 2)


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_uint8_equals_float(cls, shape):
    student, x = cls(3, shape).eval(), images(5, shape)
    student.standardize.adapt([(x, None)])
    assert torch.equal(student(x), student(x.float()))
    assert torch.equal(student(x), student(x.double()))


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_the_units_of_the_input_do_not_matter(cls, shape):
    student, x = cls(3, shape).eval().double(), images(5, shape)
    student.standardize.adapt([(x, None)])
    expected = student(x)
    moved = x.double() * 1000 - 7
    student.standardize.adapt([(moved, None)])
    torch.testing.assert_close(student(moved), expected)


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_rows_are_independent_in_eval_mode(cls, shape):
    student, x = cls(3, shape, dropout=0.5).eval(), images(5, shape)
    student.standardize.adapt([(x, None)])
    other = x.clone()
    other[1:] = images(4, shape, seed=1)
    assert torch.equal(student(x)[0], student(other)[0])
    assert not torch.equal(student(x)[1], student(other)[1])


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_gradient_reaches_all_parameters(cls, shape):
    student, x = cls(3, shape), images(8, shape)
    student.standardize.adapt([(x, None)])
    target = torch.arange(8) % 3
    torch.nn.functional.cross_entropy(student(x), target).backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_dropout_is_random_in_training_only(cls, shape):
    x = images(8, shape)
    student = cls(3, shape, dropout=0.5)
    assert not torch.equal(student(x), student(x))
    assert torch.equal(student.eval()(x), student(x))
    plain = cls(3, shape)
    assert not any(isinstance(m, torch.nn.Dropout) for m in plain.modules())


@pytest.mark.parametrize(("cls", "shape"), STUDENTS)
def test_round_trips(cls, shape):
    x = images(5, shape)
    student = cls(3, shape).eval()
    student.standardize.adapt([(x, None)])
    buffer = io.BytesIO()
    torch.save(student.state_dict(), buffer)
    buffer.seek(0)
    loaded = cls(3, shape).eval()
    assert not loaded.standardize.adapted
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    twins = [copy.deepcopy(student), pickle.loads(pickle.dumps(student)), loaded]
    for twin in twins:
        assert twin.standardize.adapted
        assert torch.equal(twin(x), student(x))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    ("cls", "shape"), [(MLP, (7,)), (MLP, (3, 8, 8)), (SmallCNN, (3, 9, 8))]
)
def test_export_with_a_free_batch(cls, shape, dtype):
    x = images(4, shape).to(dtype)
    student = cls(3, shape).eval()
    student.standardize.adapt([(x, None)])
    n = torch.export.Dim("n")
    program = torch.export.export(student, (x,), dynamic_shapes=({0: n},))
    more = images(9, shape, seed=1).to(dtype)
    torch.testing.assert_close(program.module()(more), student(more))


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (MLP, {"n_classes": 0}, "n_classes=0: expected an int of at least 1"),
        (MLP, {"n_classes": 2.0}, "n_classes=2.0"),
        (MLP, {"hidden": 0}, "hidden=0: expected"),
        (MLP, {"hidden": (8, -1)}, r"hidden=\(8, -1\)"),
        (MLP, {"hidden": None}, "hidden=None"),
        (MLP, {"dropout": 1.0}, r"dropout=1.0: expected a finite number in \[0, 1\)"),
        (MLP, {"dropout": -0.1}, "dropout=-0.1"),
        (MLP, {"input_shape": ()}, r"input_shape=\(\): expected a tuple"),
        (MLP, {"input_shape": 7}, "input_shape=7: expected a tuple"),
        (MLP, {"input_shape": (0,)}, "expected a tuple of positive ints"),
        (SmallCNN, {"width": 0}, "width=0: expected an int of at least 1"),
        (SmallCNN, {"n_classes": -1}, "n_classes=-1"),
        (SmallCNN, {"dropout": 2}, "dropout=2"),
        (SmallCNN, {"input_shape": (7,)}, r"input_shape=\(7,\): expected \(C, H, W\)"),
    ],
)
def test_arguments_are_checked(cls, arguments, message):
    arguments = {"n_classes": 2, "input_shape": (1, 8, 8), **arguments}
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


def test_numpy_arguments_are_taken():
    student = MLP(np.int64(3), np.zeros((5, 4)).shape[1:], hidden=np.array([8, 8]))
    assert n_parameters(student) == 40 + 72 + 27


def test_default_student():
    assert default_student((20,)) is MLP
    assert default_student((3, 32, 32)) is SmallCNN


@pytest.mark.parametrize("shape", [(), (28, 28), (1, 2, 3, 4)])
def test_default_student_rejects_other_ranks(shape):
    with pytest.raises(ValueError, match=r"expected \(n, n_features\) or \(n, C, H, W"):
        default_student(shape)
