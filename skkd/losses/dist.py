"""Distillation of correlations from a stronger teacher (Huang et al., 2022)."""

from torch import Tensor
from torch.nn.functional import softmax

from skkd.losses._base import DistillationLoss, as_pair, check_finite, check_temperature
from skkd.losses._unit import unit_rows


class DIST(DistillationLoss):
    r"""Correlation of the student's and the teacher's softened probabilities.

    .. math:: \ell = T^2 \, (\beta \, \ell_\text{inter} + \gamma \, \ell_\text{intra})

    with one minus Pearson's correlation, averaged over the samples of the batch (inter:
    the classes of one sample) and over its classes (intra: the samples for one class).
    A student of less capacity may be less confident than its teacher: it learns only
    the relations, not the probabilities themselves. One number for a batch: samples
    cannot be weighted.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the relations between classes.
    gamma : float, default=1.0
        Weight of the relations between the samples of a batch, class by class.

    Notes
    -----
    The correlation of a constant row or column is undefined: it counts as 0, as in the
    published code, without gradient. In a batch of one sample the intra part is 0. The
    published code adds 1e-8 to the product of the norms; here nothing is added.

    The paper's temperature is 1 on ImageNet and 4 on CIFAR-100.

    References
    ----------
    Huang et al., "Knowledge Distillation from A Stronger Teacher", 2022, section 3;
    the factor :math:`T^2` and the default weights are those of the published code.
    https://arxiv.org/abs/2205.10536

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import DIST
    >>> teacher = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    >>> y = torch.tensor([0, 1])
    >>> DIST()(teacher.flip(1), teacher, y, temperature=1.0)
    tensor(2.2735)
    >>> DIST(gamma=0)(teacher, teacher, y, temperature=1.0) < 1e-6
    tensor(True)
    """

    def __init__(self, beta: float = 1.0, gamma: float = 1.0) -> None:
        self.beta = beta
        self.gamma = gamma

    def check(self) -> None:
        check_finite(self, "beta", "gamma")

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
        p_s, p_t = softmax(z_s / T, dim=1), softmax(z_t / T, dim=1)

        loss = self.beta * _distance(p_s, p_t)
        if len(p_s) > 1:
            loss = loss + self.gamma * _distance(p_s.t(), p_t.t())
        return T**2 * loss


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return one minus the mean correlation of the rows."""
    return 1 - (unit_rows(a) * unit_rows(b)).sum(dim=1).mean()
