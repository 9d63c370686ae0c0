"""Mixup: images, the images they are mixed with, and the weights."""

import numpy as np
import pytest
import torch
from augment_cases import DTYPES, MIXING, ROWWISE, as_seeds, images, numbers
from helpers import stable_repr

from skkd.augment import (
    Compose,
    Mixup,
    RandomCrop,
    RandomHorizontalFlip,
)
from skkd.augment._seeds import bits


def mix_oracle(x, index, lam):
    x, lam = x.astype(np.float64), lam.astype(np.float64)[:, None, None, None]
    return lam * x + (1 - lam) * x[index]


@pytest.mark.parametrize("dtype", DTYPES)
def test_mixup_by_value(dtype):
    x, seeds = images(dtype=dtype), numbers()
    view, index, lam = Mixup(alpha=0.7).mix(x, seeds)
    assert (index.dtype, lam.dtype) == (torch.int64, torch.float32)
    assert (view.dtype, view.shape) == (dtype, x.shape)
    expected = mix_oracle(x.double().numpy(), index.numpy(), lam.numpy())
    exact = {torch.float64: 1e-12, torch.float32: 1e-4, torch.float16: 0.13}
    tolerance = exact.get(dtype, 1.0 if dtype == torch.bfloat16 else 0.5 + 1e-4)
    gap = np.abs(view.double().numpy() - expected).max()
    assert gap <= tolerance


@pytest.mark.parametrize("augment", MIXING, ids=stable_repr)
def test_mix_and_call_say_the_same(augment):
    x, seeds = images(), numbers()
    first, again = augment.mix(x, seeds), augment.mix(x, torch.from_numpy(seeds))
    assert all(map(torch.equal, first, again))
    assert torch.equal(augment(x, seeds), first[0])
    other = augment.mix(x, seeds + 1)
    assert not any(map(torch.equal, first, other))


def test_partners_are_a_permutation_and_shares_are_beta():
    x = torch.zeros(2000, 1, 1, 1)
    for alpha in (0.2, 1.0, 4.0):
        _, index, lam = Mixup(alpha).mix(x, np.arange(2000))
        assert sorted(index.tolist()) == list(range(2000))
        assert lam.min() >= 0
        assert lam.max() <= 1
        variance = 1 / (4 * (2 * alpha + 1))
        assert abs(lam.mean() - 0.5) < 5 * np.sqrt(variance / 2000)
        assert abs(lam.var() / variance - 1) < 0.1


def test_every_seed_of_the_batch_counts():
    x, seeds = images(), numbers()
    _, index, lam = Mixup().mix(x, seeds)
    seeds[-1] += 1
    _, other_partner, other_share = Mixup().mix(x, seeds)
    assert not torch.equal(index, other_partner)
    assert not torch.equal(lam, other_share)


def test_a_tiny_alpha_leaves_images_alone():
    x = images(dtype=torch.float32)
    view, index, lam = Mixup(alpha=1e-6).mix(x, numbers())
    assert ((lam == 0) | (lam == 1)).all()
    assert torch.equal(view, torch.where((lam == 1)[:, None, None, None], x, x[index]))


def test_mixing_comes_after_the_other_steps():
    x, seeds = images(dtype=torch.float64), numbers()
    augment = Compose([RandomCrop(max_shift=2), Mixup()])
    view, index, lam = augment.mix(x, seeds)
    shifted = RandomCrop(max_shift=2).view(x, bits(as_seeds(seeds), 0)).numpy()
    expected = mix_oracle(shifted, index.numpy(), lam.numpy())
    np.testing.assert_allclose(view.numpy(), expected)


def test_who_mixes_rows():
    assert not any(augment.mixes_rows for augment in ROWWISE)
    assert all(augment.mixes_rows for augment in MIXING)
    assert Compose([RandomHorizontalFlip(), MIXING[1]]).mixes_rows
    assert Compose([RandomHorizontalFlip(), MIXING[1]]).mix(images())[0].shape == (
        32,
        3,
        8,
        10,
    )
