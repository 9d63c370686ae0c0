"""Regression on the teacher's logits (Ba and Caruana, 2014)."""

from torch import Tensor

from skkd.losses._base import DistillationLoss, as_pair


class LogitMSE(DistillationLoss):
    r"""Half the squared distance between the student's and the teacher's logits.

    .. math:: \ell = \tfrac{1}{2} \, \| z_s - z_t \|_2^2

    for each sample, as published: the logits are not centred, so that a constant added
    to all logits of a sample is learnt too. The temperature is ignored.

    References
    ----------
    Ba and Caruana, "Do Deep Nets Really Need to be Deep?", 2014, eq. 1.
    https://arxiv.org/abs/1312.6184

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import LogitMSE
    >>> student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    >>> LogitMSE()(student, teacher, torch.tensor([0, 0]), temperature=1.0)
    tensor([ 0.0000, 12.5000])
    """

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        z_s, z_t = as_pair(student_logits, teacher_logits)

        return 0.5 * (z_s - z_t).square().sum(dim=1)
