"""Wrong parameters and inputs of augmentations, and their messages."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from augment_cases import (
    MIXING,
    ROWWISE,
    images,
    numbers,
)
from helpers import stable_repr

from skkd.augment import (
    Augmentation,
    ColorJitter,
    Compose,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            RandomHorizontalFlip(p=1.5),
            r"RandomHorizontalFlip.p=1.5: expected a finite number in \[0, 1\]. It is",
        ),
        (RandomHorizontalFlip(p=None), r"p=None"),
        (RandomHorizontalFlip(p=True), r"p=True"),
        (RandomHorizontalFlip(p=float("nan")), r"p=nan"),
        (RandomCrop(max_shift=-1), r"max_shift=-1: expected an int of at least 0"),
        (RandomCrop(max_shift=1.0), r"max_shift=1.0: expected an int"),
        (RandomCrop(max_shift=True), r"max_shift=True"),
        (RandomCrop(fill="mean"), r"fill='mean': expected a finite number. Give"),
        (RandomCrop(fill=float("inf")), r"fill=inf"),
        (
            RandomErasing(size=0),
            r"size=0: expected an int of at least 1. It is the side",
        ),
        (RandomErasing(fill=[0, 0, 0]), r"RandomErasing.fill=\[0, 0, 0\]: "),
        (RandomErasing(p=-0.1), r"RandomErasing.p=-0.1: "),
        (
            RandomAffine(degrees=-1),
            r"degrees=-1: expected a finite number in \[0, 180\]. It",
        ),
        (RandomAffine(degrees=(1, 2)), r"degrees=\(1, 2\)"),
        (
            RandomAffine(scale=1),
            r"scale=1: expected a number in \[0, 1\), or \(lowest, hi",
        ),
        (
            RandomAffine(scale=(0, 1)),
            r"scale=\(0, 1\): .* 0 < lowest <= highest. scale=",
        ),
        (RandomAffine(scale=(2, 1)), r"scale=\(2, 1\)"),
        (RandomAffine(scale=(1, float("inf"))), r"scale=\(1, inf\)"),
        (RandomAffine(scale=(1, 2, 3)), r"scale=\(1, 2, 3\)"),
        (RandomAffine(scale=("1", 2)), r"scale=\('1', 2\)"),
        (RandomAffine(scale=-0.1), r"scale=-0.1"),
        (RandomAffine(scale=float("nan")), r"scale=nan"),
        (
            RandomAffine(translate=1),
            r"translate=1: expected a finite number in \[0, 1\). It is a",
        ),
        (RandomAffine(translate=4), r"translate=4"),
        (
            RandomAffine(shear=90),
            r"shear=90: expected a finite number in \[0, 90\). It is an",
        ),
        (RandomAffine(p=2), r"RandomAffine.p=2: "),
        (
            RandomAffine(fill="mirror"),
            r"a finite number or 'border' or 'reflection'. Give",
        ),
        (ColorJitter(brightness=1.1), r"=1.1: expected a number in \[0, 1\], or \(l"),
        (
            ColorJitter(contrast=(-1, 1)),
            r"contrast=\(-1, 1\): .* 0 <= lowest <= high",
        ),
        (ColorJitter(saturation="much"), r"saturation='much'"),
        (ColorJitter(saturation=None), r"saturation=None"),
        (
            ColorJitter(white=0),
            r"white=0: expected a finite number above 0. Set .* None",
        ),
        (ColorJitter(white=True), r"white=True"),
        (Mixup(alpha=0), r"alpha=0: expected a finite number above 0. 0.2 mixes"),
        (Mixup(alpha="1"), r"alpha='1'"),
        (Compose([]), r"steps=\[\]: expected a list of at least one Augmentation"),
        (Compose(None), r"steps=None"),
        (Compose(RandomHorizontalFlip()), r"steps=RandomHorizontalFlip\(\)"),
        (Compose("flip"), r"steps='flip'"),
        (
            Compose([RandomHorizontalFlip(), torch.abs]),
            r"expected a list of at least one Augmentation",
        ),
        (
            Compose([RandomHorizontalFlip]),
            r"expected a list of at least one Augmentation",
        ),
        (Compose([RandomHorizontalFlip(p=2)]), r"RandomHorizontalFlip.p=2: "),
        (
            Compose([Mixup(), RandomHorizontalFlip()]),
            r"no step after one that mixes images. Move it",
        ),
        (
            Compose([MIXING[1], RandomHorizontalFlip()]),
            r"no step after one that mixes images",
        ),
    ],
    ids=stable_repr,
)
def test_parameters_are_checked(augment, message):
    with pytest.raises(ValueError, match=message):
        augment.check()
    with pytest.raises(ValueError, match=message):
        augment(images())


def test_numpy_parameters_are_taken():
    x, seeds = images(), numbers()
    for plain, other in [
        (RandomCrop(2, 1), RandomCrop(np.int64(2), np.float32(1))),
        (
            RandomErasing(3, 0, 0.5),
            RandomErasing(np.int32(3), np.uint8(0), np.float64(0.5)),
        ),
        (
            RandomAffine(3, scale=0.5, fill=2),
            RandomAffine(np.int32(3), scale=np.float64(0.5), fill=np.uint8(2)),
        ),
    ]:
        assert torch.equal(other(x, seeds), plain(x, seeds))


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
@pytest.mark.parametrize("shape", [(4,), (4, 3), (3, 8, 8), (4, 1, 3, 8, 8)])
def test_only_images_are_taken(augment, shape):
    with pytest.raises(
        ValueError, match=r"expected images \(n, C, H, W\). Add a batch"
    ):
        augment(torch.zeros(shape))


def test_only_tensors_are_taken():
    with pytest.raises(
        TypeError, match=r"RandomHorizontalFlip got ndarray; .* Pass torch.from_numpy"
    ):
        RandomHorizontalFlip()(np.zeros((1, 3, 8, 8)))


@pytest.mark.parametrize(
    "seeds",
    [
        numbers(31),
        numbers(32)[:, None],
        np.int64(3),
        np.zeros(32),
        torch.zeros(32, dtype=torch.bool),
        ["a"] * 32,
    ],
    ids=["too few", "two axes", "one number", "float", "bool", "text"],
)
@pytest.mark.parametrize("augment", [RandomHorizontalFlip(), *MIXING], ids=stable_repr)
def test_seeds_are_checked(augment, seeds):
    with pytest.raises(
        ValueError, match=r"got seeds of .* for 32 rows; expected \(32,\) and int64. P"
    ):
        augment(images(), seeds)


@pytest.mark.parametrize("cls", [RandomCrop, RandomErasing, RandomAffine])
@pytest.mark.parametrize(
    ("fill", "dtype", "message"),
    [
        (0.5, torch.uint8, r"a whole number from 0 to 255. Give .* torch.uint8"),
        (-1, torch.uint8, r"fill=-1: expected a whole number from 0 to 255"),
        (256, torch.uint8, r"fill=256"),
        (200, torch.int8, r"from -128 to 127"),
        (2, torch.bool, r"from 0 to 1"),
        (1e6, torch.float16, r"a number from -65504 to 65504"),
    ],
)
def test_fill_has_to_fit_the_dtype(cls, fill, dtype, message):
    with pytest.raises(ValueError, match=message):
        cls(2, fill=fill)(images().to(dtype))


def test_an_image_is_not_shifted_out_of_sight():
    with pytest.raises(ValueError, match=r"max_shift=4 for images of 4x9 pixels"):
        RandomCrop()(torch.zeros(2, 1, 4, 9))
    assert RandomCrop(max_shift=0)(torch.zeros(2, 1, 1, 1)).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("size", [32, 28, 24, 17])
def test_a_max_shift_that_is_meant_as_an_output_size_is_refused(size):
    with pytest.raises(ValueError, match=r"not the size of the output"):
        RandomCrop(size)(images(2, (3, 32, 32)))
    RandomCrop(16)(images(2, (3, 32, 32)))


def test_parameters_in_the_order_of_torchvision_are_refused():
    with pytest.raises(TypeError, match="positional"):
        RandomAffine(10, (0.1, 0.1))  # there, translate comes before scale
    with pytest.raises(TypeError, match="positional"):
        ColorJitter(0.1, 0.1, 0.1, 0.1)  # there, hue is the fourth
    with pytest.raises(ValueError, match=r"RandomErasing.size=0.5: expected an int"):
        RandomErasing(0.5)(images())  # there, p is the first


def test_threads_share_an_augmentation():
    """It has no random state: each view is that of its own seeds."""
    augment, x = ROWWISE[-1], images()
    batches = [numbers(seed=seed) for seed in range(16)]
    expected = [augment(x, seeds) for seeds in batches]
    with ThreadPoolExecutor(8) as threads:
        views = list(threads.map(lambda seeds: augment(x, seeds), batches))
    for view, alone in zip(views, expected, strict=True):
        assert torch.equal(view, alone)


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_seeds_may_be_read_only(augment):
    x, seeds = images(), numbers()
    expected, seeds = augment(x, seeds), np.array(seeds)
    seeds.flags.writeable = False
    assert torch.equal(augment(x, seeds), expected)


def test_mix_needs_a_step_that_mixes():
    with pytest.raises(
        ValueError, match=r"whose last step mixes no images; .* add Mixup"
    ):
        Compose([RandomHorizontalFlip()]).mix(images())
    assert not hasattr(RandomHorizontalFlip(), "mix")


def test_a_subclass_has_to_define_view():
    with pytest.raises(NotImplementedError, match=r"does not define view\(x, seeds\)"):
        Augmentation()(images())
