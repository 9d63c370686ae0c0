"""Similarity-preserving distillation (Tung and Mori, 2019)."""

from collections.abc import Sequence

from torch import Tensor

from skkd.losses._feature_base import FeatureLoss
from skkd.losses._features import as_rows, unit


class SimilarityPreserving(FeatureLoss):
    r"""Mean squared difference of the similarities within a batch.

    .. math:: \ell = \frac{1}{n^2} \, \| G_s - G_t \|_F^2,
              \quad G_i = \frac{(F F^\top)_i}{\| (F F^\top)_i \|_2}

    with the features :math:`F` of the batch, one sample a row, and the rows :math:`G_i`
    of :math:`G` at unit length. One number for a batch: samples cannot be weighted.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`. The paper takes the maps before
        they are averaged.
    weight : float, default=3000.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    The features of a sample are one vector: maps and tokens are flattened. The two
    layers may differ in size. Features of zeros have the similarity 0 with all samples,
    even with themselves, without gradient.

    References
    ----------
    Tung and Mori, "Similarity-Preserving Knowledge Distillation", 2019, eqs. 2-4.
    https://arxiv.org/abs/1907.09682

    Weight: https://github.com/HobbitLong/RepDistiller, scripts/run_cifar_distill.sh

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import SimilarityPreserving
    >>> student = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    >>> teacher = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> SimilarityPreserving().compare(student, teacher)
    tensor(0.3292)
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        weight: float = 3000.0,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        f_s, f_t = as_rows(student, teacher)

        g_s, g_t = unit(f_s @ f_s.T), unit(f_t @ f_t.T)  # (n, n)
        return (g_s - g_t).square().mean()
