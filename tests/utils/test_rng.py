"""Random generators: preserved, seeded, nested."""

import numpy as np
import pytest
import torch

from skkd._utils.rng import preserved_rng, seeded_rng


def test_preserved_rng_restores_the_generators():
    torch.manual_seed(1), np.random.seed(1)
    expected = torch.rand(2).tolist(), np.random.rand(2).tolist()
    torch.manual_seed(1), np.random.seed(1)
    with pytest.raises(KeyError), preserved_rng():
        torch.rand(1), np.random.rand(1)
        raise KeyError
    assert (torch.rand(2).tolist(), np.random.rand(2).tolist()) == expected


def test_seeded_rng_gives_the_same_numbers():
    draws = []
    for _ in range(2):
        with seeded_rng(3):
            draws.append((torch.rand(2).tolist(), np.random.rand(2).tolist()))
    assert draws[0] == draws[1]


def test_seeded_rng_can_be_nested():
    with seeded_rng(3):
        expected = torch.rand(2).tolist()
    with seeded_rng(3):
        with seeded_rng(4):
            torch.rand(1)
        assert torch.rand(2).tolist() == expected


def test_seeded_rng_of_none_changes_nothing():
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    with seeded_rng(None):
        assert torch.rand(2).tolist() == expected
