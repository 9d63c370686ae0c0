"""CRD by value and gradient against the oracle, its memory, and its negatives."""

from functools import partial

import numpy as np
import oracles_features as oracles
import pytest
import torch
from feature_data import EDGES, LABELS, features, gradient
from helpers import stable_repr
from scipy.stats import chisquare

from skkd.losses import CRD
from skkd.losses._negatives import Negatives


@pytest.fixture
def contrast():
    """Contrast vectors in float64, with everything that is drawn at hand."""
    torch.manual_seed(0)
    loss = CRD(n_dimensions=4, n_negatives=6, tau=0.3, momentum=0.7, weight=1.0)
    module = loss.build([((3, 2), (5,))], LABELS).double()
    rows = torch.tensor([6, 1, 5])
    negatives = module.draw(rows)
    module.draw = lambda rows: negatives
    f_s, f_t = features(3, (3, 2), (5,))
    return module, f_s, f_t, rows, negatives


def state(module):
    """Return the arrays of the one pair of layers by name, as they are now."""
    arrays = module.pairs[0].state_dict().items()
    return {name: tensor.clone().numpy() for name, tensor in arrays}


def crd_oracle(before, s, t, rows, negatives, tau=0.3, z=None):
    rows, negatives = rows.numpy(), negatives.numpy()
    v_s = oracles.embedded(s, before["embed_s.weight"], before["embed_s.bias"])
    v_t = oracles.embedded(t, before["embed_t.weight"], before["embed_t.bias"])
    ways = [(v_s, before["memory_t"]), (v_t, before["memory_s"])]
    z = z or [oracles.crd_z(v, m, rows, negatives, tau) for v, m in ways]
    parts = [
        oracles.crd_one_way(v, m, rows, negatives, tau, one)
        for (v, m), one in zip(ways, z, strict=True)
    ]
    return sum(parts), z, v_s, v_t


def test_crd_value_and_gradient(contrast):
    module, f_s, f_t, rows, negatives = contrast
    before = state(module)
    s, t = f_s.detach().numpy(), f_t.numpy()
    got = module([f_s], [f_t], rows)
    expected, z, *_ = crd_oracle(before, s, t, rows, negatives)
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-10)

    names = ["embed_s.weight", "embed_s.bias", "embed_t.weight", "embed_t.bias"]
    parameters = dict(module.pairs[0].named_parameters())
    assert sorted(parameters) == sorted(names)
    slopes = torch.autograd.grad(
        got.sum(), [f_s, *(parameters[name] for name in names)]
    )

    def value(x, name):
        changed = {**before, name: x}
        x = x if name == "student" else s
        # Z is a constant: no gradient flows through it.
        return crd_oracle(changed, x, t, rows, negatives, z=z)[0].sum()

    for name, slope in zip(["student", *names], slopes, strict=True):
        numeric = oracles.differences(
            partial(value, name=name), s if name == "student" else before[name]
        )
        np.testing.assert_allclose(slope.numpy(), numeric, rtol=1e-5, atol=1e-6)


def test_crd_z_stays_that_of_the_first_batch(contrast):
    module, f_s, f_t, rows, negatives = contrast
    first = state(module)
    s, t = f_s.detach().numpy(), f_t.numpy()
    module([f_s], [f_t], rows)
    z = crd_oracle(first, s, t, rows, negatives)[1]
    second = state(module)
    np.testing.assert_allclose(np.exp(second["log_z_s"]), z[0], rtol=1e-10)
    np.testing.assert_allclose(np.exp(second["log_z_t"]), z[1], rtol=1e-10)
    got = module([2 * f_s + 1], [f_t], rows)
    expected = crd_oracle(second, 2 * s + 1, t, rows, negatives, z=z)[0]
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-10)
    assert state(module)["log_z_s"] == second["log_z_s"]


def test_crd_memory_moves(contrast):
    module, f_s, f_t, rows, negatives = contrast
    for _ in range(3):
        before = state(module)
        module([f_s], [f_t], rows).sum().backward()
        after = state(module)
        *_, v_s, v_t = crd_oracle(
            before, f_s.detach().numpy(), f_t.numpy(), rows, negatives
        )
        for name, v in [("memory_s", v_s), ("memory_t", v_t)]:
            expected = oracles.crd_moved(before[name], v, rows.numpy(), 0.7)
            np.testing.assert_allclose(after[name], expected, rtol=1e-12)
            sizes = np.linalg.norm(after[name][rows.numpy()], axis=1)
            np.testing.assert_allclose(sizes, 1, rtol=1e-12)
            others = np.setdiff1d(np.arange(8), rows.numpy())
            assert np.array_equal(after[name][others], before[name][others])
            assert not np.array_equal(after[name], before[name])


def test_crd_memory_holds_no_graph(contrast):
    module, f_s, f_t, rows, _ = contrast
    module([f_s], [f_t], rows)
    assert not any(buffer.requires_grad for buffer in module.buffers())
    module([f_s], [f_t], rows).sum().backward()  # not through the batch before


def test_crd_evaluation_changes_no_buffer(contrast):
    module, f_s, f_t, rows, _ = contrast
    before = state(module)
    fresh = module.eval()([f_s], [f_t], rows)
    for name, array in state(module).items():
        np.testing.assert_array_equal(array, before[name])
    torch.testing.assert_close(fresh, module.train()([f_s], [f_t], rows))
    before = state(module)
    module.eval()([f_s], [f_t], rows)
    for name, array in state(module).items():
        np.testing.assert_array_equal(array, before[name])


def test_crd_gradcheck(contrast):
    module, f_s, f_t, rows, _ = contrast
    module([f_s], [f_t], rows)  # Z is known
    module.eval()
    assert torch.autograd.gradcheck(lambda s: module([s], [f_t], rows), (f_s,))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("edge", [name for name in EDGES if name != "opposite"])
def test_crd_edges(edge, n):
    torch.manual_seed(0)
    module = CRD(n_negatives=50).build([((3, 2, 2), (5,))], LABELS)
    f_s, f_t = features(n, (3, 2, 2), (5,), torch.float32)
    f_s, f_t = EDGES[edge](f_s.detach()).requires_grad_(), EDGES[edge](f_t)
    with torch.no_grad():
        module.pairs[0].embed_s.bias.zero_()  # an embedding of zeros, of zeros
    for _ in range(3):
        got = module([f_s], [f_t], torch.arange(n))
        assert got.shape == (n,)
        assert torch.isfinite(got).all()
        assert torch.isfinite(gradient(got, f_s)).all()
    assert all(torch.isfinite(buffer).all() for buffer in module.buffers())


def test_crd_order_of_rows(contrast):
    module, f_s, f_t, rows, negatives = contrast
    module.eval()
    expected = module([f_s], [f_t], rows)
    order = torch.tensor([2, 0, 1])
    module.draw = lambda rows: negatives[order]
    got = module([f_s[order]], [f_t[order]], rows[order])
    torch.testing.assert_close(got, expected[order])


def test_crd_teacher_receives_no_gradient(contrast):
    module, f_s, f_t, rows, _ = contrast
    f_t.requires_grad_()
    module([f_s], [f_t], rows).sum().backward()
    assert f_t.grad is None
    assert module.pairs[0].embed_t.weight.grad.abs().sum() > 0


def test_crd_is_repeatable():
    def run(seed):
        torch.manual_seed(seed)
        module = CRD(n_negatives=9).build([((4,), (5,))], LABELS)
        f_s, f_t = features(3, (4,), (5,), torch.float32)
        return module([f_s], [f_t], torch.arange(3)).detach()

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_crd_learns_to_tell_rows_apart():
    torch.manual_seed(0)
    loss = CRD(n_dimensions=8, n_negatives=16)
    module = loss.build([((6,), (9,))], torch.arange(12) % 4)
    _, f_t = features(12, (6,), (9,), torch.float32)
    f_s = torch.randn(12, 6, requires_grad=True)
    optimizer = torch.optim.Adam([f_s, *module.parameters()], lr=0.05)
    values = []
    for _ in range(100):
        batch = torch.randperm(12)[:6]
        value = module([f_s[batch]], [f_t[batch]], batch).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:10])


def test_crd_starts_its_memory_near_unit_length():
    torch.manual_seed(0)
    module = CRD().build([((6,), (9,))], torch.arange(500) % 2)
    for memory in (module.pairs[0].memory_s, module.pairs[0].memory_t):
        assert memory.shape == (500, 128)
        assert memory.square().sum(dim=1).mean().item() == pytest.approx(1, abs=0.02)


def test_crd_has_no_compare():
    with pytest.raises(TypeError, match=r"Use build\(shapes, labels\)"):
        CRD().compare(torch.zeros(2, 2), torch.zeros(2, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_dimensions": 0},
        {"n_negatives": 0},
        {"n_negatives": 1.5},
        {"tau": 0},
        {"tau": float("nan")},
        {"momentum": 1},
        {"momentum": -0.1},
    ],
    ids=stable_repr,
)
def test_crd_bounds(wrong):
    with pytest.raises(ValueError, match=f"Got {next(iter(wrong))}=.* expected"):
        CRD(**wrong).build([((6,), (9,))], LABELS)


@pytest.mark.parametrize(
    "labels", [[0, 0, 0], [0, 0, -1], [2, -1, -1], [-1], [0]], ids=stable_repr
)
def test_crd_needs_negatives(labels):
    with pytest.raises(
        ValueError, match=f"Got {len(labels)} training samples.* two classes"
    ):
        CRD().build([((6,), (9,))], torch.tensor(labels))


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2, 0, 1, 2, 0, 1],
        [3, 1, -1, 3, 3, -1, 1, 0],
        [-1, -1, -1, -1],
        [0, 1],
        [5, 5, -1, 0],
    ],
    ids=stable_repr,
)
def test_negatives_are_uniform_and_of_other_classes(labels):
    torch.manual_seed(0)
    labels = torch.tensor(labels)
    rows = torch.arange(len(labels)).flip(0)
    drawn = Negatives(labels).draw(rows, 4000)
    assert drawn.shape == (len(labels), 4000)
    for row, negatives in zip(rows, drawn, strict=True):
        if labels[row] < 0:
            allowed = torch.arange(len(labels)) != row
        else:
            allowed = (labels != labels[row]) & (labels >= 0)
        counts = torch.bincount(negatives, minlength=len(labels))
        assert counts[~allowed].sum() == 0
        if allowed.sum() > 1:
            assert chisquare(counts[allowed].numpy()).pvalue > 1e-4
