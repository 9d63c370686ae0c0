"""Shift images by whole pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from skkd.augment._base import Augmentation
from skkd.augment._checks import check_count, check_fill, fill_for
from skkd.augment._seeds import whole


class RandomCrop(Augmentation):
    """Pad an image on all sides and crop it at random to its own size.

    Parameters
    ----------
    max_shift : int, default=4
        Pixels padded on each side: the largest shift, below height and width.
    fill : float, default=0
        Value of the padding, in the units of the input.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2, where 32x32 images are padded by 4. https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import RandomCrop
    >>> x = torch.tensor([[1, 2, 3], [4, 5, 6]]).expand(1, 1, 2, 3)
    >>> RandomCrop(max_shift=1, fill=9)(x, seeds=torch.tensor([0]))
    tensor([[[[4, 5, 6],
              [9, 9, 9]]]])
    """

    def __init__(self, max_shift: int = 4, fill: float = 0) -> None:
        self.max_shift = max_shift
        self.fill = fill

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        check_count(self, "max_shift", 0)
        check_fill(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        m, (height, width) = int(self.max_shift), x.shape[2:]
        if m and m >= min(height, width):
            raise ValueError(
                f"Got max_shift={m} for images of {height}x{width} pixels, which could "
                "be shifted out of sight; expected less than height and width. Set "
                "max_shift to an eighth of them, which is common."
            )
        padded = pad(x, (m, m, m, m), value=fill_for(self, x))
        # Every crop there is, as a view that takes no memory: (n, C, dy, dx, H, W)
        crops = padded.unfold(2, height, 1).unfold(3, width, 1)
        dy = whole(seeds, 0, 2 * m + 1).to(x.device)
        dx = whole(seeds, 1, 2 * m + 1).to(x.device)
        return crops[torch.arange(len(x), device=x.device), :, dy, dx]
