"""Mirror images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation
from skkd.augment._checks import check_p
from skkd.augment._seeds import chosen


class RandomHorizontalFlip(Augmentation):
    """Mirror an image, left to right, at random.

    As torchvision's RandomHorizontalFlip, for each image of the batch by itself.

    Parameters
    ----------
    p : float, default=0.5
        Fraction of the images mirrored.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import RandomHorizontalFlip
    >>> RandomHorizontalFlip(p=1.0)(torch.arange(3).reshape(1, 1, 1, 3))
    tensor([[[[2, 1, 0]]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def check(self) -> None:
        check_p(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        return torch.where(chosen(seeds, 0, self.p, x), x.flip(3), x)
