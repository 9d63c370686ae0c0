"""Multiply-adds, by hand."""

import pytest
import torch
from torch import nn

from skkd._evaluate.costs import n_multiply_adds
from skkd._evaluate.parts import parts_of


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(12, 5), (12,), 12 * 5),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 12), 3 * 8 * 9 * 120),
        (nn.Conv2d(3, 8, 3, stride=2), (3, 11, 11), 3 * 8 * 9 * 25),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 10, 10), 6 * 9 * 100),
        (nn.Conv1d(2, 4, 5), (2, 20), 2 * 4 * 5 * 16),
    ],
)
def test_multiply_adds_by_hand(layer, shape, expected):
    module, x = nn.Sequential(layer), torch.zeros(1, *shape)
    assert n_multiply_adds(parts_of(module), lambda: module(x)) == expected


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(4, 4, batch_first=True),
        nn.TransformerEncoderLayer(4, 2, batch_first=True).eval(),
    ],
)
def test_what_cannot_be_counted_is_blank(layer):
    with torch.no_grad():
        counted = n_multiply_adds(parts_of(layer), lambda: layer(torch.zeros(1, 3, 4)))
    expected = sum(p.numel() for p in layer.parameters() if p.ndim > 1) * 3
    assert counted is None or counted >= expected
