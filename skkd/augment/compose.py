"""Several augmentations, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from skkd.augment._base import Augmentation, check_batch
from skkd.augment._checks import error
from skkd.augment._seeds import bits


class Compose(Augmentation):
    """Apply several augmentations in order, each with its own random numbers.

    As torchvision's Compose, for steps of this module.

    Parameters
    ----------
    steps : sequence of Augmentation
        At least one. :class:`Mixup` can only be the last.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Compose, RandomHorizontalFlip, RandomCrop
    >>> augment = Compose([RandomHorizontalFlip(), RandomCrop(max_shift=2)])
    >>> augment(torch.zeros(5, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([5, 3, 32, 32])
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = steps

    @property
    def mixes_rows(self) -> bool:
        """Whether the last step mixes images."""
        return any(step.mixes_rows for step in self.steps)

    def check(self) -> None:
        """Raise ValueError if a step, or the order of the steps, is wrong."""
        steps = self.steps if isinstance(self.steps, Sequence) else ()
        if not steps or not all(isinstance(step, Augmentation) for step in steps):
            hint = "For a step of your own, subclass Augmentation."
            raise error(self, "steps", "a list of at least one Augmentation", hint)
        for step in steps:
            step.check()
        if any(step.mixes_rows for step in steps[:-1]):
            expected = "no step after one that mixes images"
            raise error(self, "steps", expected, "Move it to the end.")

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        return self._run(self.steps, x, seeds)

    def mix(self, x: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Apply the steps; return view, index and lam of :meth:`Mixup.mix`, the last.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        seeds : ndarray or Tensor of shape (n,), int64, default=None

        Returns
        -------
        view, index, lam : Tensor
            The last step mixes the images that the other steps return.
        """
        self.check()
        last: Any = self.steps[-1]
        if not last.mixes_rows:
            raise ValueError(
                f"Got mix() of {self!r}, whose last step mixes no images; expected one "
                "that does. Call the object itself, or add Mixup() at the end."
            )
        seeds = check_batch(self, x, seeds)
        x = self._run(self.steps[:-1], x, seeds)
        return last.mix(x, bits(seeds, len(self.steps) - 1))

    def _run(
        self, steps: Sequence[Augmentation], x: Tensor, seeds: np.ndarray
    ) -> Tensor:
        for number, step in enumerate(steps):
            x = step.view(x, bits(seeds, number))
        return x
