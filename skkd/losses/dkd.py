"""Decoupled knowledge distillation (Zhao et al., 2022)."""

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, logsigmoid

from skkd.losses._base import DistillationLoss, as_pair, check_finite, check_temperature


class DKD(DistillationLoss):
    r"""Knowledge distillation in two parts, each with its own weight.

    .. math:: \ell = T^2 \, (\alpha \, \mathrm{TCKD} + \beta \, \mathrm{NCKD})

    for each sample, with the softened probabilities :math:`p_t`, :math:`p_s` and the
    sample's class :math:`y`, where

    .. math:: \mathrm{TCKD} = \mathrm{KL}\left( (p_t(y), 1 - p_t(y)) \,\|\,
              (p_s(y), 1 - p_s(y)) \right)

    and NCKD is the divergence between the probabilities of the other classes, each
    divided by their sum. :class:`KD` is
    :math:`T^2 \, (\mathrm{TCKD} + (1 - p_t(y)) \, \mathrm{NCKD})`: the more
    confident the teacher, the less weight the other classes have, which is undone here.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of TCKD. It is not the estimator's ``alpha``.
    beta : float, default=8.0
        Weight of NCKD. The paper's values lie between 0.5 and 10, larger for a more
        confident teacher. With two classes NCKD is zero.

    Notes
    -----
    The class of an unlabelled sample, y = -1, is the teacher's prediction. There must
    be two classes at least. The paper's temperature is 4 on CIFAR-100 and 1 on
    ImageNet.

    References
    ----------
    Zhao et al., "Decoupled Knowledge Distillation", 2022, eq. 6 for the two parts,
    eq. 7 for the loss. https://arxiv.org/abs/2203.08679

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import DKD
    >>> student = torch.tensor([[2.0, 0.0, 0.0]])
    >>> teacher = torch.tensor([[2.0, 1.0, 0.0]])
    >>> DKD()(student, teacher, torch.tensor([0]), temperature=1.0)
    tensor([0.9271])
    >>> DKD(beta=0)(student, teacher, torch.tensor([0]), temperature=1.0)
    tensor([0.0395])
    """

    def __init__(self, alpha: float = 1.0, beta: float = 8.0) -> None:
        self.alpha = alpha
        self.beta = beta

    def check(self) -> None:
        check_finite(self, "alpha", "beta")

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
        if z_s.shape[1] < 2:
            raise ValueError(
                "Got logits of one class; expected two at least, since DKD divides "
                "them into the sample's class and the others. Use KD."
            )
        y = torch.where(y < 0, z_t.argmax(dim=1), y)

        odds_s, others_s = _decouple(z_s / T, y)
        odds_t, others_t = _decouple(z_t / T, y)
        return T**2 * (
            self.alpha * _binary_kl(odds_t, odds_s)
            + self.beta * _kl(others_t, others_s)
        )


def _decouple(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-odds of class y, (n,), and the other logits, (n, n_classes - 1).

    The class is taken out and not masked: a mask would need an infinity, which becomes
    NaN in a gradient.
    """
    y = y.unsqueeze(1)  # (n, 1)
    columns = torch.arange(z.shape[1] - 1, device=z.device).expand(len(z), -1)
    others = z.gather(1, columns + (columns >= y))
    return z.gather(1, y).squeeze(1) - others.logsumexp(dim=1), others


def _binary_kl(odds_t: Tensor, odds_s: Tensor) -> Tensor:
    yes = logsigmoid(odds_t).exp() * (logsigmoid(odds_t) - logsigmoid(odds_s))
    no = logsigmoid(-odds_t).exp() * (logsigmoid(-odds_t) - logsigmoid(-odds_s))
    return yes + no


def _kl(z_t: Tensor, z_s: Tensor) -> Tensor:
    log_p_s, log_p_t = log_softmax(z_s, dim=1), log_softmax(z_t, dim=1)
    return kl_div(log_p_s, log_p_t, reduction="none", log_target=True).sum(dim=1)
