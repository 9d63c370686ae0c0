"""random_state: what follows it, and what is left alone."""

import random

import numpy as np
import pytest
import torch
from estimator_helpers import N, Noise, Seeing, distil, equal, quiet_teachers, state
from sklearn.base import clone
from skorch.dataset import ValidSplit

from skkd.students import MLP

pytestmark = quiet_teachers


def test_the_same_fit_twice_is_bit_equal(X, y, forest):
    net = distil(teacher=forest, module__dropout=0.2, augment=Noise())
    one, other = state(net.fit(X, y)), state(net.fit(X, y))
    assert equal(one, other)
    assert equal(one, state(clone(net).fit(X, y)))


def test_another_random_state_is_another_fit(X, y):
    one, other = (distil(random_state=i).fit(X, y) for i in range(2))
    assert not equal(state(one), state(other))


def draw():
    return torch.rand(1).item(), np.random.rand(), random.random()


def seeded():
    torch.manual_seed(7), np.random.seed(7), random.seed(7)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)])
def test_fit_and_predict_leave_the_global_generators_alone(X, y, forest, random_state):
    seeded()
    expected = draw()
    seeded()
    net = distil(
        teacher=forest,
        random_state=random_state,
        augment=Noise(),
        module__dropout=0.5,
        train_split=ValidSplit(3),
    )
    net.fit(X, y).partial_fit(X, y)
    net.predict(X), net.predict_proba(X), net.score(X, y)
    assert draw() == expected


def test_a_fit_that_raises_leaves_the_global_generators_alone(X, y):
    def bad(view):
        torch.rand(3), np.random.rand(3), random.random()
        raise RuntimeError("stop")

    seeded()
    expected = draw()
    seeded()
    with pytest.raises(RuntimeError, match="stop"):
        distil(augment=bad).fit(X, y)
    assert draw() == expected


def test_initialize_follows_random_state():
    nets = []
    for seed in range(2):
        torch.manual_seed(seed)
        net = distil(module=MLP, module__n_classes=2, module__input_shape=(3,))
        nets.append(net.initialize())
        assert torch.initial_seed() == seed
    assert equal(state(nets[0]), state(nets[1]))


def test_a_fit_on_the_cpu_seeds_no_other_device(X, y, monkeypatch):
    def forbidden(*args):
        raise AssertionError("seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", forbidden)
    distil().fit(X, y)


def test_random_state_none_follows_torch(X, y):
    fits = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        fits.append(state(distil(random_state=None).fit(X, y)))
    assert equal(fits[0], fits[1])
    assert not equal(fits[0], fits[2])


def test_predict_leaves_the_global_generators_alone_if_random_state_is_none(X, y):
    net = distil(random_state=None).fit(X, y)
    seeded()
    expected = draw()
    seeded()
    net.predict(X), net.score(X, y)
    assert draw() == expected


def test_a_random_state_instance_moves_on_from_fit_to_fit(X, y):
    net = distil(random_state=np.random.RandomState(0))
    one, other = state(net.fit(X, y)), state(net.fit(X, y))
    assert not equal(one, other)
    again = distil(random_state=np.random.RandomState(0))
    assert equal(one, state(again.fit(X, y)))


def test_partial_fit_continues_the_random_stream(X, y):
    def orders():
        log = []
        net = distil(module=Seeing, module__log=log, max_epochs=1, batch_size=N)
        for _ in range(3):
            net.partial_fit(X, y)
        return [x[:, 0].tolist() for x in net.module_.log if len(x) == N]

    one, other, third = orders()
    assert sorted(one) == sorted(other)
    assert one != other != third != one
    assert orders() == [one, other, third]
