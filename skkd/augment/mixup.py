"""Mix the images of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation, check_batch
from skkd.augment._checks import check, working_dtype


class Mixup(Augmentation):
    r"""Mix each image with another of the batch.

    .. math:: \tilde x_i = \lambda_i x_i + (1 - \lambda_i) x_{j(i)},
              \quad \lambda_i \sim \mathrm{Beta}(\alpha, \alpha)

    with a random permutation :math:`j` of the batch. :class:`~skkd.DistilledClassifier`
    mixes the loss on labels in the same way. Unlike torchvision's MixUp, each image has
    a weight of its own, and labels are not changed here.

    Parameters
    ----------
    alpha : float, default=1.0
        Above 0. Near 0 images are hardly mixed, with 1 all weights are equally likely.

    Notes
    -----
    A view depends on the whole batch. The permutation, then the weights, one for each
    image, come from ``numpy.random.default_rng(seeds)``, with the seeds as uint64 in
    their order. The paper's own code draws one weight for a batch.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
    ICLR 2018, section 2. https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Mixup
    >>> x = torch.tensor([0.0, 1.0, 2.0]).reshape(3, 1, 1, 1)
    >>> view, index, lam = Mixup().mix(x, seeds=torch.tensor([0, 1, 2]))
    >>> index
    tensor([1, 0, 2])
    >>> mixed = lam * x.flatten() + (1 - lam) * x.flatten()[index]
    >>> torch.equal(view.flatten(), mixed)
    True
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    @property
    def mixes_rows(self) -> bool:
        """True: a view is made of several images of the batch."""
        return True

    def check(self) -> None:
        hint = "0.2 mixes a little, 1 much; leave Mixup out to mix nothing."
        check(self, "alpha", low=0, low_inclusive=False, hint=hint)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        return self.mix(x, seeds)[0]

    def mix(self, x: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return a view of each image, and what it was mixed of.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        seeds : ndarray or Tensor of shape (n,), int64, default=None
            None draws them from torch's global generator of the CPU.

        Returns
        -------
        view : Tensor of shape (n, C, H, W)
            ``lam * x + (1 - lam) * x[index]``, rounded if `x` has an integer dtype.
        index : Tensor of shape (n,), int64
            Index of the image that each is mixed with, which may be the image itself.
        lam : Tensor of shape (n,), float32
            Weight of the image itself. It and `index` are on the device of `x`.
        """
        self.check()
        rng = np.random.default_rng(check_batch(self, x, seeds))
        index = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        drawn = rng.beta(self.alpha, self.alpha, size=len(x)).astype(np.float32)
        lam = torch.from_numpy(drawn).to(x.device)

        dtype = working_dtype(x)
        values, weight = x.to(dtype), lam.to(dtype)[:, None, None, None]
        view = weight * values + (1 - weight) * values[index]
        view = view if x.is_floating_point() else view.round()
        return view.to(x.dtype), index, lam
