"""Cover a part of images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation
from skkd.augment._checks import check_count, check_fill, check_p, fill_for
from skkd.augment._seeds import chosen, whole


class RandomErasing(Augmentation):
    """Cover a square of the image, centred anywhere and clipped at the border.

    Parameters
    ----------
    size : int, default=8
        Side of the square, in pixels.
    fill : float, default=0
        Value of the square, in the units of the input.
    p : float, default=1.0
        Share of the images that get a square.

    References
    ----------
    DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with
    RandomErasing", 2017, section 3.2. https://arxiv.org/abs/1708.04552

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
        """Raise ValueError where a parameter is out of its range."""
        check_count(self, "size", 1)
        check_fill(self)
        check_p(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        rows = self._span(seeds, 0, x.shape[2])[:, None, :, None]  # (n, 1, H, 1)
        columns = self._span(seeds, 1, x.shape[3])[:, None, None, :]  # (n, 1, 1, W)
        covered = (rows & columns).to(x.device) & chosen(seeds, 2, self.p, x)
        fill = torch.full((), fill_for(self, x), dtype=x.dtype, device=x.device)
        return torch.where(covered, fill, x)

    def _span(self, seeds: np.ndarray, stream: int, length: int) -> Tensor:
        start = whole(seeds, stream, length)[:, None] - self.size // 2
        pixels = torch.arange(length, device="cpu")
        return (pixels >= start) & (pixels < start + self.size)  # (n, length)
