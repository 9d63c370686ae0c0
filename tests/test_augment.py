"""Augmentations: a slow NumPy oracle, what a view depends on, Mixup, mistakes."""

import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import stable_repr
from scipy.ndimage import affine_transform
from sklearn.base import clone
from torchvision.transforms import functional

from skkd import DistilledClassifier
from skkd.augment import (
    Augmentation,
    ColorJitter,
    Compose,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    uniform,
)
from skkd.augment._seeds import bits, splitmix
from skkd.memory._fingerprint import fingerprint
from skkd.students import MLP

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


# --- an oracle: the pixels are moved by NumPy, one row at a time --------------------


def oracle(augment, x, seeds):
    """The view of each row; only the random numbers come from the code under test."""
    rows = [slow_row(augment, row, seed) for row, seed in zip(x, seeds, strict=True)]
    return np.stack(rows)


def slow_row(augment, row, seed):
    if isinstance(augment, Compose):
        for i, step in enumerate(augment.steps):
            row = slow_row(step, row, bits(np.array([seed]), i)[0])
        return row
    draw = [uniform(np.array([seed]), stream)[0] for stream in range(6)]
    return SLOW[type(augment)](augment, row, draw)


def slow_flip(augment, row, draw):
    return row[:, :, ::-1] if draw[0] < augment.p else row


def slow_shift_crop(augment, row, draw):
    m, (_, height, width) = augment.max_shift, row.shape
    dy, dx = (int(u * (2 * m + 1)) - m for u in draw[:2])
    out = np.full_like(row, augment.fill)
    for i in range(height):
        for j in range(width):
            if 0 <= i + dy < height and 0 <= j + dx < width:
                out[:, i, j] = row[:, i + dy, j + dx]
    return out


def slow_cutout(augment, row, draw):
    if draw[2] >= augment.p:
        return row
    (_, height, width), out, size = row.shape, row.copy(), augment.size
    top, left = int(draw[0] * height) - size // 2, int(draw[1] * width) - size // 2
    for i in range(top, top + size):
        for j in range(left, left + size):
            if 0 <= i < height and 0 <= j < width:
                out[:, i, j] = augment.fill
    return out


def slow_affine(augment, row, draw):
    """By SciPy, in float64: the forward map as it is documented, inverted."""
    if draw[0] >= augment.p:
        return row.astype(np.float64)
    _, height, width = row.shape
    scale = augment.scale
    low, high = scale if isinstance(scale, tuple) else (1 - scale, 1 + scale)
    angle = np.deg2rad((2 * draw[1] - 1) * augment.degrees)
    tilt = np.tan(np.deg2rad((2 * draw[3] - 1) * augment.shear))
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    forward = (low + (high - low) * draw[2]) * rotation @ np.array([[1, tilt], [0, 1]])
    shift = (2 * np.array(draw[4:6]) - 1) * augment.translate * [width, height]
    inverse = np.linalg.inv(forward)[::-1, ::-1]  # SciPy says (y, x)
    centre = (np.array([height, width]) - 1) / 2
    offset = centre - inverse @ (centre + shift[::-1])
    named = {"border": "nearest", "reflection": "reflect"}
    if isinstance(augment.fill, str):
        mode = {"mode": named[augment.fill]}
    else:
        mode = {"mode": "grid-constant", "cval": augment.fill}
    return np.stack(
        [
            affine_transform(plane, inverse, offset, order=1, **mode)
            for plane in row.astype(np.float64)
        ]
    )


SLOW = {
    **{
        RandomHorizontalFlip: slow_flip,
        RandomCrop: slow_shift_crop,
        RandomErasing: slow_cutout,
    },
    RandomAffine: slow_affine,
}
MOVING = [
    RandomAffine(degrees=180),
    RandomAffine(degrees=20, fill=7),
    RandomAffine(scale=0.5, fill="border"),
    RandomAffine(scale=(0.3, 0.4), fill="reflection"),
    RandomAffine(translate=0.4, fill="reflection"),
    RandomAffine(shear=40, fill="border"),
    RandomAffine(40, scale=(0.5, 2), translate=0.3, shear=30, p=0.7, fill=3),
    RandomAffine(40, scale=(0.5, 2), translate=0.3, shear=30, p=0.7, fill="reflection"),
]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("shape", [(3, 8, 10), (1, 9, 5), (2, 4, 4)])
@pytest.mark.parametrize(
    "augment",
    [
        *ROWWISE[:5],
        *(
            RandomHorizontalFlip(p=0),
            RandomHorizontalFlip(p=1),
            RandomCrop(max_shift=0),
        ),
        *(
            RandomErasing(size=1, p=0.5, fill=9),
            RandomErasing(size=4, p=0),
            RandomErasing(size=100),
        ),
    ],
    ids=stable_repr,
)
def test_views_match_the_oracle(augment, shape, dtype):
    x, seeds = images(40, shape, dtype), numbers(40)
    expected = oracle(augment, x.numpy(), as_seeds(seeds))
    np.testing.assert_array_equal(augment(x, seeds).numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 8, 10), (1, 9, 5), (2, 28, 28)])
@pytest.mark.parametrize("augment", MOVING, ids=stable_repr)
def test_affine_views_match_the_oracle(augment, shape, dtype):
    x, seeds = images(40, shape, dtype), numbers(40)
    expected = oracle(augment, x.numpy(), as_seeds(seeds))
    view = augment(x, seeds)
    # Half a level is a matter of the last digit.
    bound = {torch.uint8: 0.502, torch.float32: 5e-3, torch.float64: 1e-9}[dtype]
    assert np.abs(view.double().numpy() - expected).max() < bound
    if dtype == torch.uint8:  # rounded, not cut off
        assert abs((view.double().numpy() - expected).mean()) < 0.02


def test_affine_draws_what_it_says():
    """Where a centre and two points beside it go, of many seeds."""
    seeds = np.arange(4000)
    augment = RandomAffine(degrees=30, scale=(0.5, 2), translate=0.25, shear=20)
    inverse, _ = augment._draw(as_seeds(seeds), 40, 80)
    forward = np.linalg.inv(inverse[:, :, :2])
    shift = -(forward @ inverse[:, :, 2:])[:, :, 0]
    zoom = np.hypot(forward[:, 0, 0], forward[:, 1, 0])
    angle = np.degrees(np.arctan2(forward[:, 1, 0], forward[:, 0, 0]))
    upright = np.degrees(np.arctan2(forward[:, 0, 1], forward[:, 1, 1])) + angle
    for drawn, low, high in [
        (angle, -30, 30),
        (zoom, 0.5, 2),
        (shift[:, 0], -20, 20),
        (shift[:, 1], -10, 10),
        (upright, -20, 20),
    ]:
        assert low <= drawn.min() < low + 0.01 * (high - low)
        assert high >= drawn.max() > high - 0.01 * (high - low)
        lam = np.histogram(drawn, bins=8, range=(low, high))[0] / 4000
        assert np.abs(lam - 1 / 8).max() < 5 * np.sqrt(1 / 8 * 7 / 8 / 4000)


def test_affine_leaves_alone_what_does_not_move():
    x = torch.randn(32, 3, 8, 10)
    assert torch.equal(RandomAffine()(x), x)
    assert torch.equal(RandomAffine(20, scale=0.1, translate=0.1, shear=10, p=0)(x), x)
    half = RandomAffine(20, scale=0.1, translate=0.1, shear=10, p=0.5)(x, numbers())
    same_rows = (half == x).flatten(1).all(dim=1)
    assert 5 < same_rows.sum() < 27


def test_affine_views_do_not_depend_on_the_block(monkeypatch):
    x, seeds = images(300, dtype=torch.float32), numbers(300)
    augment = RandomAffine(30, scale=0.2, translate=0.1, shear=10, fill="reflection")
    expected = augment(x, seeds)
    monkeypatch.setattr("skkd.augment.random_affine._BLOCK", 7 * 80)
    assert torch.equal(augment(x, seeds), expected)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 47), (3, 96, 96)])
@pytest.mark.parametrize("fill", [0, 9, "border", "reflection"])
def test_affine_views_alone_and_in_a_batch(shape, fill):
    x, seeds = images(70, shape, torch.float32), numbers(70)
    augment = RandomAffine(30, scale=0.2, translate=0.1, shear=10, fill=fill)
    views = augment(x, seeds)
    for i in range(0, 70, 3):
        assert torch.equal(augment(x[i : i + 1], seeds[i : i + 1])[0], views[i])


JITTERING = [
    ColorJitter(),
    ColorJitter(brightness=1, contrast=0),
    ColorJitter(brightness=0, contrast=(0, 3)),
    ColorJitter(0, 0, saturation=1),
    ColorJitter((0.2, 2), [0.5, 1.5], (0, 3)),
]


def slow_color_jitter(augment, row, draw, white):
    """One change after the other, as they are named, in float64."""
    factors = []
    for u, spread in zip(
        draw,
        (augment.brightness, augment.contrast, augment.saturation),
        strict=False,
    ):
        pair = isinstance(spread, tuple | list)
        low, high = spread if pair else (1 - spread, 1 + spread)
        factors.append(low + (high - low) * u)
    brightness, contrast, saturation = factors

    def gray(image):
        if len(image) == 1:
            return image
        return np.tensordot([0.299, 0.587, 0.114], image, axes=1)[None]

    row = row.astype(np.float64) * brightness
    row = contrast * row + (1 - contrast) * gray(row).mean()
    row = saturation * row + (1 - saturation) * gray(row)
    return row.clip(0, white)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 8, 10), (1, 9, 5), (3, 40, 33)])
@pytest.mark.parametrize("augment", JITTERING, ids=stable_repr)
def test_jittered_colors_match_the_oracle(augment, shape, dtype):
    x, white = images(40, shape, torch.uint8), 255
    if dtype.is_floating_point:
        x, white = x.to(dtype) / 255, 1
    seeds = numbers(40)
    draws = [uniform(as_seeds(seeds), stream) for stream in range(3)]
    expected = np.stack(
        [
            slow_color_jitter(augment, row, draw, white)
            for row, draw in zip(x.numpy(), np.transpose(draws), strict=True)
        ]
    )
    view = augment(x, seeds)
    only_saturation = augment is JITTERING[3]
    assert torch.equal(view, x) == (only_saturation and shape[0] == 1)
    bound = {torch.uint8: 0.501, torch.float32: 1e-6, torch.float64: 1e-9}[dtype]
    assert np.abs(view.double().numpy() - expected).max() < bound
    if dtype == torch.uint8:  # rounded, not cut off
        assert abs((view.double().numpy() - expected).mean()) < 0.02


def test_jittered_colors_are_those_of_torchvision():
    x = 0.3 + 0.2 * torch.rand(4, 3, 9, 7)
    for name, change in {
        "brightness": functional.adjust_brightness,
        "contrast": functional.adjust_contrast,
        "saturation": functional.adjust_saturation,
    }.items():
        settings = {"brightness": 0, "contrast": 0, "saturation": 0, name: (1.7, 1.7)}
        expected = torch.stack([change(row, 1.7) for row in x])
        # torchvision's weights of the gray image have four digits.
        torch.testing.assert_close(
            ColorJitter(**settings)(x), expected, atol=2e-4, rtol=0
        )


def test_nothing_to_jitter():
    x = torch.rand(5, 3, 4, 4)
    assert torch.equal(ColorJitter(0, 0, 0)(x), x)
    assert torch.equal(ColorJitter(0, 0, 0)(images()), images())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 47), (3, 96, 96)])
def test_jittered_colors_alone_and_in_a_batch(shape):
    generator = torch.Generator().manual_seed(0)
    x, seeds = torch.rand((30, *shape), generator=generator), numbers(30)
    augment = ColorJitter(0.3, 0.9, 0.5)
    views = augment(x, seeds)
    for i in range(0, 30, 3):
        assert torch.equal(augment(x[i : i + 1], seeds[i : i + 1])[0], views[i])


@pytest.mark.parametrize(
    ("x", "augment", "message"),
    [
        (
            images(dtype=torch.float32),
            ColorJitter(),
            r"white=None\) got values from 0 to",
        ),
        (
            torch.randn(9, 3, 4, 4),
            ColorJitter(),
            r"expected those from 0, black, to 1, w",
        ),
        (
            torch.randn(9, 1, 4, 4),
            ColorJitter(white=3),
            r"before they are standardised",
        ),
        (
            images(dtype=torch.int16) * 9,
            ColorJitter(),
            r"images of torch.int16; .* 255",
        ),
        (torch.full((1, 3, 2, 2), torch.nan), ColorJitter(), r"values from nan to nan"),
        (torch.zeros(2, 4, 5, 5), ColorJitter(), r"4 channels and torch.float32; exp"),
    ],
    ids=["0 to 255", "standardised", "below 0", "16 bits", "nan", "4 channels"],
)
def test_values_that_are_no_colors_are_refused(x, augment, message):
    with pytest.raises(ValueError, match=message):
        augment(x)


def test_floats_a_digit_beyond_white_are_taken():
    x = torch.tensor([-1e-7, 0.5, 1 + 1e-6]).reshape(1, 1, 1, 3)
    assert ColorJitter(0, 0)(x).flatten().tolist() == [0, 0.5, 1]


def test_white_of_16_bits():
    x = images(dtype=torch.int32) * 257
    view = ColorJitter((1.5, 1.5), 0, white=65535)(x)
    expected = (x * 1.5).round().clamp(max=65535).to(torch.int32)
    assert torch.equal(view, expected)


# --- the random numbers -------------------------------------------------------------


def test_the_hash_is_splitmix64():
    # The published first outputs from the state 1234567.
    state = 1234567 + np.arange(1, 6, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    expected = [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423),
        *(4593380528125082431, 16408922859458223821),
    ]
    assert splitmix(state).tolist() == expected


def test_the_hash_is_as_documented():
    mask, seed, stream = 2**64 - 1, -5, 3

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    state = mix(seed & mask) + (stream + 1) * 0x9E3779B97F4A7C15 & mask
    assert uniform(np.array([seed]), stream)[0] == (mix(state) >> 11) / 2**53


@pytest.mark.parametrize(
    "seeds",
    [
        np.arange(100_000),
        np.arange(100_000) * 2**40,
        np.arange(100_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        numbers(100_000),
    ],
    ids=["neighbours", "upper bits", "multiples of the increment", "random"],
)
def test_numbers_are_uniform_and_streams_independent(seeds):
    u = np.stack([uniform(seeds, stream) for stream in range(4)])
    assert u.dtype == np.float64
    assert u.min() >= 0
    assert u.max() < 1
    # Chi-squared of 63 degrees of freedom, at five standard deviations.
    bound = 63 + 5 * np.sqrt(2 * 63)
    for row in u:
        counts = np.bincount((row * 64).astype(int), minlength=64)
        assert ((counts - 100_000 / 64) ** 2 / (100_000 / 64)).sum() < bound
    for a, b in [(0, 1), (0, 2), (1, 3), (2, 3)]:
        cells = (u[a] * 8).astype(int) * 8 + (u[b] * 8).astype(int)
        counts = np.bincount(cells, minlength=64)
        assert ((counts - 100_000 / 64) ** 2 / (100_000 / 64)).sum() < bound
    neighbours = np.corrcoef(u[0, 1:], u[0, :-1])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(100_000)


def test_the_steps_of_a_composition_are_independent():
    row = torch.arange(3.0).reshape(1, 1, 1, 3)
    seeds = np.arange(4000)
    x = row.expand(4000, 1, 1, 3)
    twice = Compose([RandomHorizontalFlip(), RandomHorizontalFlip()])(x, seeds)
    back = (twice == x).flatten(1).all(dim=1).double().mean()
    assert abs(back - 0.5) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("p", "augment"),
    [(0.3, RandomHorizontalFlip(0.3)), (0.8, RandomErasing(1, 9, 0.8))],
)
def test_the_share_of_changed_rows(p, augment):
    x = torch.arange(2.0).expand(5000, 1, 1, 2)
    changed = (augment(x, np.arange(5000)) != x).flatten(1).any(dim=1)
    assert abs(changed.double().mean() - p) < 5 * np.sqrt(p * (1 - p) / 5000)


def test_every_shift_and_every_centre_comes_up():
    x = torch.zeros(3000, 1, 5, 5)
    x[:, :, 2, 2] = 1
    moved = RandomCrop(max_shift=2)(x, np.arange(3000)).sum(dim=(0, 1))
    assert (moved > 3000 / 25 * 0.6).all()
    centres = RandomErasing(size=1, fill=1)(torch.zeros(3000, 1, 5, 5), np.arange(3000))
    assert (centres.sum(dim=(0, 1)) > 3000 / 25 * 0.6).all()


# --- what a view depends on, and what it leaves alone -------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("augment", ROWWISE, ids=stable_repr)
def test_a_view_depends_on_its_row_and_seed_alone(augment, dtype, device):
    x, seeds = images(dtype=dtype), numbers()
    views = augment(x, seeds)
    assert not torch.equal(views, x)
    order = np.random.default_rng(2).permutation(len(x))
    moved = x.to(device)
    assert same(augment(moved[order], seeds[order]), views[order])
    assert same(augment(moved, torch.from_numpy(seeds).to(device)), views)
    for i in (0, 7, 31):
        assert same(augment(moved[i : i + 1], seeds[i : i + 1]), views[i : i + 1])
    assert not torch.equal(augment(x, seeds + 1), views)


@pytest.mark.parametrize("layout", ["channels_last", "a slice", "expanded"])
@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_the_layout_in_memory_does_not_matter(augment, layout):
    x, seeds = images(dtype=torch.float32), numbers()
    other = {
        "channels_last": x.to(memory_format=torch.channels_last),
        "a slice": torch.stack([x, x], dim=4)[..., 0],
        "expanded": x[:, :1].expand_as(x),
    }[layout]
    assert same(augment(other, seeds), augment(other.clone().contiguous(), seeds))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_shape_and_dtype_are_kept_and_the_input_too(augment, dtype):
    x = images(dtype=dtype)
    if "ColorJitter" in repr(augment) and dtype == torch.bool:
        with pytest.raises(ValueError, match=r"3 channels and torch.bool; expected 1"):
            augment(x)
        return
    before, version = x.clone(), x._version
    view = augment(x, numbers())
    assert (view.shape, view.dtype, view.device) == (x.shape, dtype, x.device)
    assert torch.equal(x, before)
    assert x._version == version
    view.zero_()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "augment",
    [RandomHorizontalFlip(p=0), RandomCrop(max_shift=0), RandomErasing(p=0)],
    ids=stable_repr,
)
def test_a_view_is_new_where_nothing_changes(augment):
    x = images()
    view = augment(x)
    assert torch.equal(view, x)
    assert view.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_an_empty_batch(augment):
    assert augment(images(0)).shape == (0, 3, 8, 10)


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_seeds_leave_the_global_generators_alone(augment):
    def states():
        return (
            random.getstate(),
            [np.array(part).tolist() for part in np.random.get_state()],
            torch.get_rng_state().tolist(),
        )

    before = states()
    augment(images(), numbers())
    assert states() == before


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_without_seeds_torch_draws_them(augment):
    x = images()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, second = augment(x), augment(x)
        torch.manual_seed(3)
        assert torch.equal(augment(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.uint64, list, "tensor"])
def test_seeds_of_any_integer_type(dtype):
    x, seeds = images(), np.arange(32)
    expected = ROWWISE[3](x, seeds)
    if dtype == "tensor":
        given = torch.from_numpy(seeds)
    else:
        given = seeds.tolist() if dtype is list else seeds.astype(dtype)
    assert torch.equal(ROWWISE[3](x, given), expected)


# --- Mixup --------------------------------------------------------------------------


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


# --- scikit-learn's manners ---------------------------------------------------------


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_copies_make_the_same_views(augment):
    x, seeds = images(), numbers()
    for twin in (clone(augment), pickle.loads(pickle.dumps(augment))):
        assert twin is not augment
        assert repr(twin) == repr(augment)
        assert torch.equal(twin(x, seeds), augment(x, seeds))


def test_parameters():
    assert RandomHorizontalFlip().get_params() == {"p": 0.5}
    assert RandomCrop().get_params() == {"max_shift": 4, "fill": 0}
    assert RandomErasing().get_params() == {"size": 8, "fill": 0, "p": 1.0}
    assert Mixup().get_params() == {"alpha": 1.0}
    assert RandomAffine(degrees=9).get_params() == {
        **{"degrees": 9, "scale": 0, "translate": 0, "shear": 0, "p": 1.0, "fill": 0}
    }
    steps = [RandomHorizontalFlip(), Mixup()]
    assert Compose(steps).get_params()["steps"] is steps
    assert ColorJitter().get_params() == {
        **{"brightness": 0.2, "contrast": 0.2, "saturation": 0, "white": None}
    }
    assert RandomHorizontalFlip().set_params(p=1).p == 1
    assert (
        repr(Compose([RandomHorizontalFlip(p=0.1)]))
        == "Compose(steps=[RandomHorizontalFlip(p=0.1)])"
    )
    # Whatever is wrong is said by check, not when the object is made.
    assert RandomHorizontalFlip(p="often").p == "often"


@pytest.mark.parametrize("views", [{}, {"n_views": 2}, {"teacher_view": "clean"}])
# The teacher merely has to say something.
@pytest.mark.filterwarnings(r"ignore:\[constant-output\]:skkd.TeacherWarning")
def test_a_student_is_trained_on_views(views):
    x, y = images(24, (1, 8, 8)).numpy(), np.arange(24) % 2
    student = DistilledClassifier(
        teacher=lambda X: np.zeros((len(X), 2)),
        augment=Compose(
            [
                RandomHorizontalFlip(),
                RandomCrop(max_shift=1),
                RandomAffine(9),
                ColorJitter(),
            ]
        ),
        **views,
        max_epochs=2,
        random_state=0,
        memory=False,
    )
    first = student.fit(x, y).predict_proba(x)
    np.testing.assert_array_equal(clone(student).fit(x, y).predict_proba(x), first)


@pytest.mark.parametrize(
    ("augment", "other"),
    [
        (RandomAffine(9), RandomAffine(8)),
        (RandomAffine(9), RandomAffine(9, fill="border")),
        (ColorJitter(0.1), ColorJitter(0.2)),
    ],
    ids=stable_repr,
)
def test_what_a_teacher_said_of_views_is_remembered_by_augmentation(augment, other):
    assert fingerprint(clone(augment)) == fingerprint(augment) != fingerprint(other)
    x, y = images(24, (3, 8, 8)).numpy(), np.arange(24) % 2
    torch.manual_seed(0)
    teacher = MLP(2, (3, 8, 8)).eval()
    student = DistilledClassifier(
        MLP, module__hidden=4, teacher=teacher, augment=augment, n_views=2, max_epochs=1
    )
    assert student.fit(x, y).cache_info_.misses == 48
    assert clone(student).fit(x, y).cache_info_.hits == 48
    assert clone(student).set_params(augment=other).fit(x, y).cache_info_.hits == 0


# --- mistakes -----------------------------------------------------------------------


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
