"""Knowledge distillation by softened probabilities (Hinton et al., 2015)."""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from skkd.losses._base import DistillationLoss, as_pair, check_temperature

# On the CPU PyTorch's softmax along a last axis shorter than this takes ten times as
# long as along a first axis: for ten classes a third of the time of this loss.
_FEW = 32


class KD(DistillationLoss):
    r"""Kullback-Leibler divergence from the teacher's softened probabilities.

    .. math:: \ell = T^2 \, \mathrm{KL}(p_t \,\|\, p_s),
              \quad p_t = \mathrm{softmax}(z_t / T),
              \quad p_s = \mathrm{softmax}(z_s / T)

    for each sample, with the teacher's logits :math:`z_t` and the student's
    :math:`z_s`. The gradient with respect to :math:`z_s` is
    :math:`T (p_s - p_t)`: the factor :math:`T^2` keeps its size comparable across
    temperatures, because :math:`p_s - p_t` and the inner derivative each shrink
    like :math:`1 / T`.

    Notes
    -----
    The paper minimises the cross-entropy with the softened targets, which differs
    by the entropy of the teacher: a constant, so the gradients are the same. The
    divergence is zero if the student equals the teacher.

    References
    ----------
    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015,
    section 2, eq. 1 for the softened probabilities. https://arxiv.org/abs/1503.02531

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import KD
    >>> student = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    >>> teacher = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    >>> KD()(student, teacher, torch.tensor([0, 0]), temperature=1.0)
    tensor([0.3278, 0.0000])
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
        axis = 1
        if z_s.shape[1] < _FEW:
            z_s, z_t, axis = z_s.t(), z_t.t(), 0

        log_p_s = log_softmax(z_s / T, dim=axis)
        log_p_t = log_softmax(z_t / T, dim=axis)
        kl = kl_div(log_p_s, log_p_t, reduction="none", log_target=True).sum(dim=axis)
        return T**2 * kl
