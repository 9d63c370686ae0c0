"""Distillation by the Jensen-Shannon divergence (Lin, 1991)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from skkd.losses._base import DistillationLoss, as_pair, check_temperature


class JensenShannon(DistillationLoss):
    r"""Jensen-Shannon divergence of the softened probabilities.

    .. math:: \ell = T^2 \left( \tfrac{1}{2} \mathrm{KL}(p_t \,\|\, m)
              + \tfrac{1}{2} \mathrm{KL}(p_s \,\|\, m) \right),
              \quad m = \tfrac{1}{2} (p_t + p_s)

    for each sample, with :math:`p_t = \mathrm{softmax}(z_t / T)` and
    :math:`p_s = \mathrm{softmax}(z_s / T)`. It is symmetric and never larger than
    :math:`T^2 \log 2`: a student that is far off, or a wrong teacher, counts less than
    in :class:`KD`. Close to the teacher it is a quarter of KD.

    References
    ----------
    Lin, "Divergence Measures Based on the Shannon Entropy", 1991, eq. 4.1 with equal
    weights. https://doi.org/10.1109/18.61115

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import JensenShannon
    >>> student = torch.tensor([[0.0, 0.0], [-99.0, 99.0]])
    >>> teacher = torch.tensor([[2.0, 0.0], [99.0, -99.0]])
    >>> JensenShannon()(student, teacher, torch.tensor([0, 0]), temperature=1.0)
    tensor([0.0895, 0.6931])
    """

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        T = temperature
        check_temperature(T)
        z_s, z_t = as_pair(student_logits, teacher_logits)
        log_p_s, log_p_t = log_softmax(z_s / T, dim=1), log_softmax(z_t / T, dim=1)

        # Logarithms throughout: a probability of 0 has none, but a finite logit.
        log_m = torch.logaddexp(log_p_s, log_p_t) - math.log(2)
        kl_t = (log_p_t.exp() * (log_p_t - log_m)).sum(dim=1)
        kl_s = (log_p_s.exp() * (log_p_s - log_m)).sum(dim=1)
        return T**2 * (kl_t + kl_s) / 2
