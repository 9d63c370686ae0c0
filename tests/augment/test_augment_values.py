"""Views by value, against a slow oracle in NumPy, one row at a time."""

import numpy as np
import pytest
import torch
from augment_cases import ROWWISE, as_seeds, images, numbers
from helpers import stable_repr
from scipy.ndimage import affine_transform
from torchvision.transforms import functional

from skkd.augment import (
    ColorJitter,
    Compose,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    uniform,
)
from skkd.augment._seeds import bits


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
