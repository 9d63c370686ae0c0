"""The base class of augmentations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor


class Augmentation(BaseEstimator):
    """A random change of images: a small callable object with parameters.

    Subclasses store their constructor arguments unchanged, as any scikit-learn
    estimator does, define ``view``, and override ``check`` if they have parameters.
    They inherit ``get_params``, ``repr`` and support for ``clone``.

    The view of an image depends on its pixels and its seed alone: not on the rest of
    the batch, its position there, or the device. :class:`Mixup` is the exception. An
    object has no random state, so that threads can share it.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Augmentation, uniform
    >>> class Invert(Augmentation):
    ...     def __init__(self, p=0.5):
    ...         self.p = p
    ...
    ...     def view(self, x, seeds):
    ...         chosen = torch.from_numpy(uniform(seeds, stream=0) < self.p)
    ...         return torch.where(chosen.to(x.device)[:, None, None, None], 255 - x, x)
    >>> x = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    >>> Invert(p=0.3)(x, seeds=torch.tensor([0, 1, 2]))[:, 0, 0, 0]
    tensor([  0,   0, 255], dtype=torch.uint8)
    """

    @property
    def mixes_rows(self) -> bool:
        """Whether a view is made of several images of the batch, and so are its labels.

        If so, there is a method ``mix``, see :class:`Mixup`.
        """
        return False

    def __call__(self, x: Tensor, seeds: Any = None) -> Tensor:
        """Return a view of each image.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Any dtype, on any device. Never changed.
        seeds : ndarray or Tensor of shape (n,), int64, default=None
            The same seed gives the same view. None draws them from torch's global
            generator of the CPU.

        Returns
        -------
        Tensor of shape (n, C, H, W)
            New, with dtype and device of `x`.

        Raises
        ------
        ValueError
            If a parameter, the shape of `x` or the seeds do not fit.
        """
        self.check()
        return self.view(x, check_batch(self, x, seeds))

    def check(self) -> None:
        """Raise ValueError if a parameter is out of its range."""

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor; to be defined by subclasses.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Not to be changed.
        seeds : ndarray of shape (n,), uint64
            For :func:`uniform`; no other object uses these seeds.

        Returns
        -------
        Tensor of shape (n, C, H, W)
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define view(x, seeds), which every "
            "Augmentation needs."
        )


def check_batch(augment: Augmentation, x: Any, seeds: Any) -> np.ndarray:
    """Return the seeds of the images `x`, as uint64."""
    name = type(augment).__name__
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} got {type(x).__name__}; expected a Tensor of shape (n, C, H, W). "
            "Pass torch.from_numpy(x)."
        )
    if x.ndim != 4:
        raise ValueError(
            f"{name} got a tensor of shape {tuple(x.shape)}; expected images (n, C, H, "
            "W). Add a batch axis with x[None], a channel axis with x[:, None]; there "
            "is no augmentation for tables."
        )
    if seeds is None:
        # Not the default device, so that a fit draws the same seeds on every machine.
        seeds = torch.randint(-(2**63), 2**63 - 1, (len(x),), device="cpu")
    seeds = np.asarray(seeds.cpu() if isinstance(seeds, Tensor) else seeds)
    if seeds.shape != (len(x),) or seeds.dtype.kind not in "iu":
        raise ValueError(
            f"{name} got seeds of shape {seeds.shape} and dtype {seeds.dtype} for "
            f"{len(x)} rows; expected ({len(x)},) and int64. Pass one seed for each "
            "image, or None to draw them."
        )
    return seeds.astype(np.uint64)
