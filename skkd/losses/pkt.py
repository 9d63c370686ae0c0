"""Probabilistic knowledge transfer (Passalis and Tefas, 2018)."""

from collections.abc import Sequence

from torch import Tensor

from skkd.losses._feature_base import FeatureLoss
from skkd.losses._features import as_rows, unit

# As published: the student's probability may be 0, and its logarithm infinite.
_EPS = 1e-7


class PKT(FeatureLoss):
    r"""Divergence of the similarities within a batch, taken as probabilities.

    .. math:: \ell = \frac{1}{n^2} \sum_{i,j}
              p^t_{j|i} \log \frac{p^t_{j|i} + \epsilon}{p^s_{j|i} + \epsilon},
              \quad p_{j|i} = \frac{K_{ij}}{\sum_k K_{ik}},
              \quad K_{ij} = \frac{1 + \cos(f_i, f_j)}{2}

    with the features :math:`f_i` of each sample, :math:`p^t` of the teacher,
    :math:`p^s` of the student, and :math:`\epsilon = 10^{-7}`. One number for a batch:
    samples cannot be weighted.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`.
    weight : float, default=30000.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    The features of a sample are one vector: maps and tokens are flattened. The two
    layers may differ in size. Features of zeros have the cosine 0 with all others,
    without gradient.

    The paper leaves out each sample's similarity with itself and takes the sum. Keeping
    it, and the mean, are the authors' code, to which RepDistiller's weight belongs.

    References
    ----------
    Passalis and Tefas, "Learning Deep Representations with Probabilistic Knowledge
    Transfer", 2018, section 3: conditional probabilities by the cosine kernel, and
    their Kullback-Leibler divergence. https://arxiv.org/abs/1803.10837

    Code: https://github.com/passalis/probabilistic_kt

    Weight: https://github.com/HobbitLong/RepDistiller, scripts/run_cifar_distill.sh

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import PKT
    >>> student = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    >>> teacher = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> PKT().compare(student, teacher)
    tensor(0.0283)
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        weight: float = 30000.0,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        f_s, f_t = as_rows(student, teacher)

        p_s, p_t = _neighbours(f_s), _neighbours(f_t)  # (n, n)
        return (p_t * ((p_t + _EPS) / (p_s + _EPS)).log()).mean()


def _neighbours(features: Tensor) -> Tensor:
    e = unit(features)
    # Rounding may leave a cosine a little below -1, and a logarithm undefined.
    kernel = ((1 + e @ e.T) / 2).clamp(min=0)
    # A row of the kernel adds to 1/2 at least: a row's cosine with itself is 1 or 0.
    return kernel / kernel.sum(dim=1, keepdim=True)
