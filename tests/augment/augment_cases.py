"""Augmentations, images and seeds that the tests of this folder share."""

import numpy as np
import pytest
import torch

from skkd.augment import (
    ColorJitter,
    Compose,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)

DTYPES = [
    *(torch.bool, torch.uint8, torch.int16, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
]
ROWWISE = [
    RandomHorizontalFlip(),
    RandomCrop(max_shift=2, fill=1),
    RandomErasing(size=3, fill=1, p=0.7),
    Compose(
        [RandomCrop(max_shift=2), RandomHorizontalFlip(), RandomErasing(size=4, fill=1)]
    ),
    Compose(
        [
            Compose([RandomHorizontalFlip(), RandomCrop(max_shift=1)]),
            RandomHorizontalFlip(p=0.3),
        ]
    ),
    RandomAffine(30, scale=0.2, translate=0.1, shear=15, p=0.8, fill=1),
    RandomAffine(180, scale=(0.5, 3), fill="reflection"),
    Compose([RandomAffine(10, fill="border"), RandomHorizontalFlip()]),
    ColorJitter(0.3, 0.3, 0.5, white=255),
    Compose(
        [RandomAffine(10), ColorJitter((0.5, 2), 0, white=255), RandomErasing(size=2)]
    ),
]
MIXING = [
    Mixup(),
    Compose([RandomCrop(max_shift=2), RandomHorizontalFlip(), Mixup(alpha=0.4)]),
]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    ),
]


def images(n=32, shape=(3, 8, 10), dtype=torch.uint8, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, size=(n, *shape))
    return torch.tensor(values).to(dtype)


def numbers(n=32, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(-(2**63), 2**63, size=n, dtype=np.int64)


def as_seeds(seeds):
    return np.asarray(seeds).astype(np.uint64)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.cpu(), b.cpu())
