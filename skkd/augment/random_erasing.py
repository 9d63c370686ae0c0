"""Erase a part of images."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation
from skkd.augment._checks import check, check_fill, check_p, fill_for
from skkd.augment._seeds import chosen, whole


class RandomErasing(Augmentation):
    """Erase a square of the image, centred anywhere and clipped at the border.

    This is Cutout of DeVries and Taylor. torchvision's RandomErasing differs: there the
    first parameter is `p`, and size and aspect ratio of the rectangle are random.

    Parameters
    ----------
    size : int, default=8
        Side of the square, in pixels. A square of the size of the image, centred in the
        image, erases all of it.
    fill : float, default=0
        Value of the square, in the units of the input.
    p : float, default=1.0
        Fraction of the images in which a square is erased.

    References
    ----------
    DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", 2017, section 3.2. https://arxiv.org/abs/1708.04552

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import RandomErasing
    >>> RandomErasing(size=2)(torch.ones(1, 1, 3, 4), seeds=torch.tensor([7]))
    tensor([[[[0., 0., 1., 1.],
              [0., 0., 1., 1.],
              [1., 1., 1., 1.]]]])
    """

    def __init__(self, size: int = 8, fill: float = 0, p: float = 1.0) -> None:
        self.size = size
        self.fill = fill
        self.p = p

    def check(self) -> None:
        hint = "It is the side of the square in pixels."
        check(self, "size", Integral, low=1, hint=hint)
        check_fill(self)
        check_p(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        rows = self._span(seeds, 0, x.shape[2])[:, None, :, None]  # (n, 1, H, 1)
        columns = self._span(seeds, 1, x.shape[3])[:, None, None, :]  # (n, 1, 1, W)
        erased = (rows & columns).to(x.device) & chosen(seeds, 2, self.p, x)
        fill = torch.full((), fill_for(self, x), dtype=x.dtype, device=x.device)
        return torch.where(erased, fill, x)

    def _span(self, seeds: np.ndarray, stream: int, length: int) -> Tensor:
        start = whole(seeds, stream, length)[:, None] - self.size // 2
        pixels = torch.arange(length, device="cpu")
        return (pixels >= start) & (pixels < start + self.size)  # (n, length)
