"""Mix images of a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation, check_batch
from skkd.augment._checks import error, is_number, working_dtype


class Mixup(Augmentation):
    r"""Mix each image with another of the batch.

    .. math:: \tilde x_i = \lambda_i x_i + (1 - \lambda_i) x_{j(i)},
              \quad \lambda_i \sim \mathrm{Beta}(\alpha, \alpha)

    with a random permutation :math:`j` of the batch. The loss on labels is to be
    mixed alike, which :class:`~skkd.DistilledClassifier` does.

    Parameters
    ----------
    alpha : float, default=1.0
        Above 0. Near 0 an image stays almost alone, 1 makes every share as likely.

    Notes
    -----
    A view depends on the whole batch. The permutation, then the shares, one for each
    row, come from ``numpy.random.default_rng(seeds)``, with the seeds as uint64 and
    in their order. The paper's own code draws one share for a batch.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
    ICLR 2018, section 2. https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Mixup
    >>> x = torch.tensor([0.0, 1.0, 2.0]).reshape(3, 1, 1, 1)
    >>> view, partner, share = Mixup().mix(x, seeds=torch.tensor([0, 1, 2]))
    >>> partner
    tensor([1, 0, 2])
    >>> mixed = share * x.flatten() + (1 - share) * x.flatten()[partner]
    >>> torch.equal(view.flatten(), mixed)
    True
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    @property
    def mixes_rows(self) -> bool:
        """True: a view is made of several rows of the batch."""
        return True

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        if not (is_number(self.alpha) and 0 < self.alpha < math.inf):
            remedy = "0.2 mixes a little, 1 much; leave Mixup out to mix nothing."
            raise error(self, "alpha", "a finite number above 0", remedy)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        return self.mix(x, seeds)[0]

    def mix(self, x: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return a view of each row, and what it was mixed of.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        seeds : ndarray or Tensor of shape (n,), int64, default=None
            None draws them from torch's global generator of the CPU.

        Returns
        -------
        view : Tensor of shape (n, C, H, W)
            ``share * x + (1 - share) * x[partner]``, rounded where `x` is of integers.
        partner : Tensor of shape (n,), int64
            Number of the row that each is mixed with, now and then itself.
        share : Tensor of shape (n,), float32
            Weight of the row itself. It and `partner` are on the device of `x`.
        """
        self.check()
        rng = np.random.default_rng(check_batch(self, x, seeds))
        partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        drawn = rng.beta(self.alpha, self.alpha, size=len(x)).astype(np.float32)
        share = torch.from_numpy(drawn).to(x.device)

        dtype = working_dtype(x)
        values, weight = x.to(dtype), share.to(dtype)[:, None, None, None]
        view = weight * values + (1 - weight) * values[partner]
        view = view if x.is_floating_point() else view.round()
        return view.to(x.dtype), partner, share
