"""Losses on features, by value and gradient against the oracles, and their edges."""

import pickle
from functools import partial

import numpy as np
import oracles_features as oracles
import pytest
import torch
from feature_data import EDGES, LABELS, features, gradient
from helpers import stable_repr
from sklearn.base import clone

from skkd.losses import (
    CRD,
    PKT,
    RKD,
    AttentionTransfer,
    FeatureLoss,
    FitNet,
    SimilarityPreserving,
    as_loss,
)
from skkd.losses._features import unit

MAPS = [
    pytest.param((3, 4, 4), (3, 4, 4), id="maps"),
    pytest.param((3, 5, 4), (3, 2, 3), id="smaller"),
    pytest.param((3, 2, 5), (3, 4, 3), id="both"),
]
VECTORS = [
    pytest.param((6,), (6,), id="vectors"),
    pytest.param((3, 4), (3, 4), id="tokens"),
]
RELATED = [
    *MAPS,
    *VECTORS,
    pytest.param((3, 2, 2), (5, 3, 1), id="other maps"),
    pytest.param((2, 3), (7,), id="other kinds"),
]
CASES = [
    *[(FitNet(), oracles.fitnet, shapes) for shapes in MAPS + VECTORS],
    *[(AttentionTransfer(), oracles.attention, shapes) for shapes in MAPS],
    (AttentionTransfer(), oracles.attention, pytest.param((2, 3, 3), (5, 3, 3))),
    *[(RKD(), oracles.rkd, shapes) for shapes in RELATED],
    (
        RKD(distance=2.0, angle=0.0),
        partial(oracles.rkd, distance=2.0, angle=0.0),
        RELATED[3],
    ),
    *[(SimilarityPreserving(), oracles.similarity, shapes) for shapes in RELATED],
    *[(PKT(), oracles.pkt, shapes) for shapes in RELATED],
]
CASES = [
    pytest.param(loss, oracle, *shapes.values, id=f"{loss} {i}")
    for i, (loss, oracle, shapes) in enumerate(CASES)
]
COMPARING = [FitNet(), AttentionTransfer(), RKD(), SimilarityPreserving(), PKT()]
RELATIONS = COMPARING[2:]
LOSSES = [*COMPARING, CRD()]
ORACLES = {
    FitNet: oracles.fitnet,
    AttentionTransfer: oracles.attention,
    RKD: oracles.rkd,
    SimilarityPreserving: oracles.similarity,
    PKT: oracles.pkt,
}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize(("loss", "oracle", "student", "teacher"), CASES)
def test_value_and_gradient(loss, oracle, student, teacher, n):
    f_s, f_t = features(n, student, teacher)
    s, t = f_s.detach().numpy(), f_t.numpy()
    got = loss.compare(f_s, f_t)
    expected = oracle(s, t)
    assert got.shape == np.shape(expected)
    # Relations of few rows are sums that cancel.
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(
        gradient(got, f_s).numpy(),
        oracles.differences(lambda x: oracle(x, t).sum(), s),
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize(("loss", "oracle", "student", "teacher"), CASES)
def test_gradcheck(loss, oracle, student, teacher):
    f_s, f_t = features(4, student, teacher)
    assert torch.autograd.gradcheck(partial(loss.compare, teacher=f_t), (f_s,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("loss", "oracle", "student", "teacher"), CASES)
def test_precision(loss, oracle, student, teacher, dtype):
    f_s, f_t = features(5, student, teacher, dtype)
    got = loss.compare(f_s, f_t)
    assert got.dtype == torch.float32
    expected = oracle(f_s.detach().double().numpy(), f_t.double().numpy())
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=2e-4, atol=1e-6)
    assert gradient(got, f_s).dtype == dtype
    assert loss.compare(f_s.double(), f_t).dtype == torch.float64


@pytest.mark.parametrize("loss", COMPARING)
def test_half_precision_does_not_overflow(loss):
    f_s, f_t = features(3, (2, 2, 2), (2, 2, 2))
    f_s, f_t = ((1000 * f).half().detach().requires_grad_() for f in (f_s, f_t))
    got = loss.compare(f_s, f_t)
    expected = ORACLES[type(loss)](*(f.detach().double().numpy() for f in (f_s, f_t)))
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=2e-4, atol=1e-6)
    assert torch.isfinite(gradient(got, f_s)).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=stable_repr)
@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("loss", COMPARING)
def test_edges(loss, edge, n, dtype):
    student, other = features(n, (3, 2, 2), (3, 2, 2), dtype)
    rtol, atol = (1e-9, 1e-12) if dtype == torch.float64 else (3e-4, 2e-5)
    for teacher in EDGES:
        f_s = EDGES[edge](student.detach()).requires_grad_()
        f_t = EDGES[teacher](other)
        got = loss.compare(f_s, f_t)
        expected = ORACLES[type(loss)](
            f_s.detach().double().numpy(), f_t.double().numpy()
        )
        np.testing.assert_allclose(
            got.detach().numpy(), expected, rtol=rtol, atol=atol, err_msg=teacher
        )
        slope = gradient(got, f_s)
        assert torch.isfinite(slope).all()
        if edge == "zeros" and not isinstance(loss, FitNet):
            assert torch.equal(slope, torch.zeros_like(slope))


@pytest.mark.parametrize("loss", RELATIONS)
def test_one_row_has_no_relations(loss):
    f_s, f_t = features(1, (4,), (9,))
    got = loss.compare(f_s, f_t)
    assert got.item() == pytest.approx(0, abs=1e-12)
    assert gradient(got, f_s).abs().max() < 1e-12


def test_two_rows_have_one_distance():
    f_s, f_t = features(2, (4,), (9,))
    got = RKD().compare(f_s, f_t)
    assert got.item() == pytest.approx(0, abs=1e-12)
    assert gradient(got, f_s).abs().max() < 1e-12


@pytest.mark.parametrize("loss", COMPARING)
def test_equal_features_give_nothing_to_learn(loss):
    f_s, _ = features(5, (3, 4, 4), (3, 4, 4))
    got = loss.compare(f_s, f_s.detach().clone())
    assert torch.equal(got, torch.zeros_like(got))
    # PKT's epsilon moves the minimum by about as much.
    bound = 1e-9 if isinstance(loss, PKT) else 1e-14
    assert gradient(got, f_s).abs().max() < bound


def rotation(d):
    return torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))[0]


@pytest.mark.parametrize(
    ("loss", "change"),
    [
        pytest.param(RKD(), lambda f: 3 * f, id="rkd scale"),
        pytest.param(RKD(), lambda f: f + 3, id="rkd shift"),
        pytest.param(RKD(), lambda f: f @ rotation(6), id="rkd rotation"),
        pytest.param(SimilarityPreserving(), lambda f: 3 * f, id="sp scale"),
        pytest.param(SimilarityPreserving(), lambda f: f @ rotation(6), id="sp"),
        pytest.param(
            PKT(),
            lambda f: f * torch.arange(1.0, 6).double().unsqueeze(1),
            id="pkt scale of each row",
        ),
        pytest.param(PKT(), lambda f: f @ rotation(6), id="pkt rotation"),
    ],
)
def test_relations_do_not_change(loss, change):
    torch.manual_seed(0)
    f_s, f_t = features(5, (6,), (6,))
    expected = loss.compare(f_s, f_t)
    assert expected > 1e-4
    for got in (loss.compare(change(f_s), f_t), loss.compare(f_s, change(f_t))):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=0)
    assert loss.compare(change(f_s), f_s).abs() < 1e-12


def test_attention_ignores_positive_scale_and_the_order_of_channels():
    f_s, f_t = features(5, (3, 4, 4), (3, 4, 4))
    scale = torch.linspace(0.1, 9, 5, dtype=torch.float64).reshape(-1, 1, 1, 1)
    loss = AttentionTransfer()
    expected = loss.compare(f_s, f_t)
    torch.testing.assert_close(loss.compare(scale * f_s, f_t), expected)
    torch.testing.assert_close(loss.compare(f_s, f_t[:, [2, 0, 1]]), expected)


@pytest.mark.parametrize("loss", COMPARING)
def test_order_of_rows(loss):
    f_s, f_t = features(5, (3, 4, 4), (3, 4, 4))
    order = torch.tensor([3, 1, 4, 0, 2])
    got, expected = loss.compare(f_s[order], f_t[order]), loss.compare(f_s, f_t)
    torch.testing.assert_close(got, expected[order] if expected.ndim else expected)


@pytest.mark.parametrize("loss", COMPARING)
def test_memory_layout_changes_nothing(loss):
    f_s, f_t = features(5, (3, 4, 4), (3, 2, 2))
    moved = f_s.detach().to(memory_format=torch.channels_last)
    torch.testing.assert_close(loss.compare(moved, f_t), loss.compare(f_s, f_t))


@pytest.mark.parametrize("loss", COMPARING)
def test_teacher_receives_no_gradient(loss):
    f_s, f_t = features(5, (3, 4, 4), (3, 4, 4))
    before = f_t.clone()
    f_t.requires_grad_()
    loss.compare(f_s, f_t).sum().backward()
    assert f_t.grad is None
    assert torch.equal(f_t.detach(), before)
    assert f_s.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", COMPARING)
def test_rows_must_match(loss):
    f_s, f_t = features(5, (3, 4, 4), (3, 4, 4))
    with pytest.raises(ValueError, match=r"Got the student's .*\(5, 3, 4, 4\).*one n"):
        loss.compare(f_s, f_t[:1])


@pytest.mark.parametrize("loss", [FitNet(), *RELATIONS])
def test_rows_need_features(loss):
    with pytest.raises(ValueError, match=r"expected \(n, \.\.\.\) with one n"):
        loss.compare(torch.zeros(5), torch.zeros(5))


def test_fitnet_needs_one_shape():
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(5, 1\).*adapter"):
        FitNet().compare(torch.zeros(5, 3), torch.zeros(5, 1))


def test_unit():
    x = torch.tensor([[3e-30, 4e-30], [0, 0], [3, 4]], requires_grad=True)
    expected = torch.tensor([[0.6, 0.8], [0, 0], [0.6, 0.8]])
    torch.testing.assert_close(unit(x), expected)
    assert torch.equal(gradient(unit(x), x)[1], torch.zeros(2))
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit, (x,))


# Adapters and build


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((3, 4, 4), (5, 4, 4)),
        ((3, 5, 4), (5, 2, 3)),
        ((3, 2, 2), (2, 4, 5)),
        ((3, 4, 4), (3, 4, 4)),
        ((4, 3), (4, 7)),
        ((6,), (2,)),
        ((2,), (2,)),
    ],
)
def test_fitnet_regressor(student, teacher):
    torch.manual_seed(0)
    module = FitNet().build([(student, teacher)], torch.zeros(9).long()).double()
    f_s, f_t = features(4, student, teacher)
    layer = module.adapters[0].layer
    weight, bias = (p.detach().numpy() for p in layer.parameters())

    def expected(s, weight):
        return 100 * oracles.fitnet(oracles.regressed(s, weight, bias), f_t.numpy())

    s = f_s.detach().numpy()
    got = module([f_s], [f_t], torch.arange(4))
    np.testing.assert_allclose(got.detach().numpy(), expected(s, weight), rtol=1e-10)
    by_input, by_weight = torch.autograd.grad(got.sum(), [f_s, layer.weight])
    for slope, function, x in [
        (by_input, lambda x: expected(x, weight).sum(), s),
        (by_weight, lambda x: expected(s, x).sum(), weight),
    ]:
        numeric = oracles.differences(function, x)
        np.testing.assert_allclose(slope.numpy(), numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((3, 4, 4), (5,)),
        ((5,), (4, 5)),
        ((4, 5), (3, 5)),
        ((), ()),
        ((1, 2, 3, 4),) * 2,
    ],
)
def test_fitnet_shapes_that_cannot_be_matched(student, teacher):
    with pytest.raises(ValueError) as error:
        FitNet().build([(student, teacher)], torch.zeros(9).long())
    for part in (f"shape {student}", f"shape {teacher}", "student_layer"):
        assert part in str(error.value)


@pytest.mark.parametrize("shapes", [((3,), (3, 4, 4)), ((3, 4, 4), (4, 5))])
def test_attention_needs_maps(shapes):
    with pytest.raises(ValueError, match=r"\(C, H, W\).*student_layer and teacher"):
        AttentionTransfer().build([shapes], torch.zeros(9).long())
    with pytest.raises(ValueError, match=r"expected \(n, C, H, W\), of both"):
        AttentionTransfer().compare(*(torch.zeros(2, *shape) for shape in shapes))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_build_adds_layers_in_any_precision(loss, dtype):
    torch.manual_seed(0)
    loss = clone(loss)
    if isinstance(loss, CRD):
        loss.set_params(n_negatives=5)
    shapes = [((3, 4, 4), (5, 4, 4)), ((4, 2, 2), (2, 3, 3))]
    module = loss.build(shapes, torch.arange(9) % 3).eval()
    pairs = [features(4, *pair, dtype=dtype) for pair in shapes]
    student, teacher = zip(*pairs, strict=True)
    rows = torch.tensor([8, 0, 3, 4])

    def value(weight):
        torch.manual_seed(1)
        loss.set_params(weight=weight)
        return module(student, teacher, rows)

    got = value(loss.weight)
    assert got.dtype in (torch.float32, torch.promote_types(dtype, torch.float32))
    assert got.shape == (() if type(loss) in map(type, RELATIONS) else (4,))
    torch.testing.assert_close(value(2.0), 2 * value(1.0))
    for f_s in student:
        slope = gradient(value(1.0), f_s)
        assert torch.isfinite(slope).all()
        assert slope.abs().sum() > 0
    if not isinstance(loss, CRD):
        parts = [
            loss.compare(adapt(s), t)
            for adapt, s, t in zip(module.adapters, student, teacher, strict=True)
        ]
        torch.testing.assert_close(value(3.0), 3 * (parts[0] + parts[1]))


# Estimators


@pytest.mark.parametrize(
    ("name", "cls", "weight"),
    [
        ("fitnet", FitNet, 100),
        ("attention", AttentionTransfer, 1000),
        ("rkd", RKD, 1),
        ("similarity", SimilarityPreserving, 3000),
        ("pkt", PKT, 30000),
        ("crd", CRD, 0.8),
    ],
)
def test_names_and_published_weights(name, cls, weight):
    loss = as_loss(name)
    assert type(loss) is cls
    assert loss.weight == weight
    assert loss.needs == "features"
    assert loss.cache is False
    assert as_loss(name, weight=2.0, student_layer="a").get_params()["weight"] == 2.0


@pytest.mark.parametrize("loss", LOSSES)
def test_is_an_estimator(loss):
    assert isinstance(loss, FeatureLoss)
    assert repr(loss) == f"{type(loss).__name__}()"
    changed = clone(loss).set_params(
        student_layer=["a", "b"], teacher_layer=["c", "d"], weight=7.0, cache=True
    )
    for copy in (clone(changed), pickle.loads(pickle.dumps(changed))):
        assert copy is not changed
        assert copy.get_params() == changed.get_params()
        assert copy.student_layer == ["a", "b"]
        assert copy.weight == 7.0
    assert "weight=7.0" in repr(changed)
    with pytest.raises(ValueError, match="Invalid parameter"):
        clone(loss).set_params(nonsense=1)


@pytest.mark.parametrize("loss", LOSSES)
def test_modules_pickle(loss):
    torch.manual_seed(0)
    loss = clone(loss).set_params(**({"n_negatives": 5} if type(loss) is CRD else {}))
    module = loss.build([((3, 4, 4), (5, 4, 4))], LABELS)
    f_s, f_t = features(3, (3, 4, 4), (5, 4, 4), torch.float32)
    copy = pickle.loads(pickle.dumps(module))
    values = []
    for each in (module, copy):
        torch.manual_seed(1)
        values.append(each([f_s], [f_t], torch.arange(3)))
    assert torch.equal(*values)


@pytest.mark.parametrize("loss", LOSSES)
def test_calls_with_logits_say_what_to_do(loss):
    logits = torch.zeros(2, 2)
    with pytest.raises(TypeError, match="compares features"):
        loss(logits, logits, torch.zeros(2).long(), 1.0)


def test_own_parameters():
    assert repr(RKD(distance=1.0, angle=2.0)) == "RKD(angle=2.0, distance=1.0)"
    assert as_loss("rkd", angle=3.0).angle == 3.0
    assert as_loss("crd", tau=0.1, momentum=0.9).tau == 0.1
