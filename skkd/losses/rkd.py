"""Relational knowledge distillation (Park et al., 2019)."""

from collections.abc import Sequence

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import smooth_l1_loss

from skkd.losses._base import check_finite
from skkd.losses._feature_base import FeatureLoss
from skkd.losses._features import as_rows, one_for_zero


class RKD(FeatureLoss):
    r"""Difference of the distances and of the angles among the samples of a batch.

    .. math:: \ell = \frac{\lambda_D}{n^2} \sum_{i,j}
              h\!\left(\frac{d_{ij}^s}{\mu_s}, \frac{d_{ij}^t}{\mu_t}\right)
              + \frac{\lambda_A}{n^3} \sum_{i,j,k}
              h\!\left(\cos \angle^s_{ijk}, \cos \angle^t_{ijk}\right)

    with Huber's :math:`h(a, b)` (half the square up to a gap of 1, linear beyond), the
    Euclidean distances :math:`d_{ij}` divided by their mean :math:`\mu` over
    :math:`i \neq j`, and the angles at sample :math:`j` between samples
    :math:`i` and :math:`k`. One number for a batch: samples cannot be weighted.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`.
    distance : float, default=25.0
        :math:`\lambda_D`; with 0 the distances are not computed.
    angle : float, default=50.0
        :math:`\lambda_A`; with 0 the angles are not computed.
    weight : float, default=1.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    The features of a sample are one vector: maps and tokens are flattened. The two
    layers may differ in size. A batch needs memory for :math:`n^2 d` numbers, and for
    :math:`n^3` more if there are angles: little for n=64, 64 MiB a tensor for n=256.

    Two equal samples have distance 0, and the cosine of any angle with them counts as
    0, both without gradient. The loss of one sample is 0; that of two as well, because
    each distance is the mean, unless they are equal in one of the networks.

    The paper adds over pairs and triplets of distinct samples. The means over all
    :math:`n^2` and :math:`n^3`, to which repeated samples add nothing, are those of
    RepDistiller, which has these weights.

    References
    ----------
    Park, Kim, Lu, Cho, "Relational Knowledge Distillation", 2019, section 3.2: the
    losses RKD-D and RKD-A. https://arxiv.org/abs/1904.05068

    Weights: https://github.com/HobbitLong/RepDistiller, distiller_zoo/RKD.py

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import RKD
    >>> teacher = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> RKD().compare(4 * teacher, teacher)
    tensor(0.)
    >>> bent = torch.tensor([[0.0, 0.0], [3.0, 0.0], [6.0, 0.0]])
    >>> RKD(distance=0.0).compare(bent, teacher)
    tensor(6.)
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        distance: float = 25.0,
        angle: float = 50.0,
        weight: float = 1.0,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)
        self.distance = distance
        self.angle = angle

    def check(self) -> None:
        check_finite(self, "weight", "distance", "angle")

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        f_s, f_t = as_rows(student, teacher)
        gaps_s, gaps_t = _gaps(f_s), _gaps(f_t)  # (n, n, d)
        # The gradient of a length is zero at zero.
        d_s, d_t = vector_norm(gaps_s, dim=-1), vector_norm(gaps_t, dim=-1)  # (n, n)

        loss = f_s.new_zeros(())
        if self.distance:
            loss = loss + self.distance * smooth_l1_loss(_by_mean(d_s), _by_mean(d_t))
        if self.angle:
            cos_s, cos_t = _cosines(gaps_s, d_s), _cosines(gaps_t, d_t)
            loss = loss + self.angle * smooth_l1_loss(cos_s, cos_t)
        return loss


def _gaps(features: Tensor) -> Tensor:
    # Not by products of samples: near ones would lose all their digits.
    return features.unsqueeze(0) - features.unsqueeze(1)


def _by_mean(d: Tensor) -> Tensor:
    n = len(d)
    return d / one_for_zero(d.sum() / max(1, n * (n - 1)))


def _cosines(gaps: Tensor, d: Tensor) -> Tensor:
    inverse = (1 / one_for_zero(d)).where(d > 0, 0)
    products = gaps @ gaps.transpose(1, 2)  # (n, n, n), the corner first
    return products * inverse.unsqueeze(1) * inverse.unsqueeze(2)
