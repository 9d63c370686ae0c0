"""Shift images at random by whole pixels."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from skkd.augment._base import Augmentation
from skkd.augment._checks import check, check_fill, fill_for
from skkd.augment._seeds import whole


class RandomCrop(Augmentation):
    """Pad an image on all sides and crop it at random to its own size.

    As torchvision's RandomCrop with the size of the image and ``padding=max_shift``:
    the first parameter is not the size of the output, which is that of the input.

    Parameters
    ----------
    max_shift : int, default=4
        Pixels padded on each side: the largest shift, at most half of the height and
        of the width.
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
        hint = "It is the largest shift in pixels."
        check(self, "max_shift", Integral, low=0, hint=hint)
        check_fill(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        m, (height, width) = int(self.max_shift), x.shape[2:]
        if 2 * m > min(height, width):
            raise ValueError(
                f"Got max_shift={m} for images of {height}x{width} pixels; expected at "
                "most half of height and width. It is the largest shift, not the size "
                "of the output: an eighth of the height is common."
            )
        padded = pad(x, (m, m, m, m), value=fill_for(self, x))
        # All possible crops, as a view without memory of its own: (n, C, dy, dx, H, W)
        crops = padded.unfold(2, height, 1).unfold(3, width, 1)
        dy = whole(seeds, 0, 2 * m + 1).to(x.device)
        dx = whole(seeds, 1, 2 * m + 1).to(x.device)
        return crops[torch.arange(len(x), device=x.device), :, dy, dx]
