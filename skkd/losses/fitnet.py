"""Hints: regression on the teacher's features (FitNets, Romero et al., 2015)."""

from collections.abc import Sequence

from torch import Tensor, nn

from skkd.losses._feature_base import FeatureLoss
from skkd.losses._features import as_floats, to_one_size


class FitNet(FeatureLoss):
    r"""Mean squared distance of regressed features from the teacher's features.

    .. math:: \ell = \frac{1}{d} \, \| r(f_s) - f_t \|_2^2

    for each sample, with the :math:`d` numbers of the teacher's layer :math:`f_t` and
    a linear regressor :math:`r` that is trained with the student: a convolution of
    size 1 for maps ``(C, H, W)``, a linear layer on the last axis for tokens ``(T, D)``
    and vectors ``(D,)``. There is one even if both layers have the same shape, because
    their channels have no common order.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`.
    weight : float, default=100.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    Maps of different height or width are averaged over cells, down to the smaller of
    both (adaptive average pooling).

    The paper takes half the sum instead of the mean, and trains on hints alone before
    it trains on labels. The mean and its weight are those of
    RepDistiller, whose regressor however has a batch normalisation and a rectifier,
    and a larger kernel if sizes differ.

    References
    ----------
    Romero et al., "FitNets: Hints for Thin Deep Nets", 2015, eq. 3.
    https://arxiv.org/abs/1412.6550

    Weight: https://github.com/HobbitLong/RepDistiller, scripts/run_cifar_distill.sh

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import FitNet
    >>> student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    >>> FitNet().compare(student, teacher)
    tensor([ 0.0000, 12.5000])
    >>> FitNet().adapter((16, 8, 8), (64, 4, 4))(torch.zeros(2, 16, 8, 8)).shape
    torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        weight: float = 100.0,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)

    def adapter(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
        kinds = len(student), len(teacher)
        if kinds == (3, 3):
            return _Regressor(nn.Conv2d(student[0], teacher[0], kernel_size=1))
        if kinds == (1, 1) or (kinds == (2, 2) and student[0] == teacher[0]):
            return _Regressor(nn.Linear(student[-1], teacher[-1]))
        raise ValueError(
            f"Got a student's layer of shape {student} and a teacher's of shape "
            f"{teacher}, without the batch axis; FitNet expected both to be (C, H, W), "
            "(T, D) with one T, or (D,). Name other layers by student_layer and "
            "teacher_layer."
        )

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        f_s, f_t = as_floats(student, teacher)
        if f_s.ndim == f_t.ndim == 4:
            f_s, f_t = to_one_size(f_s, f_t)
        if f_s.shape != f_t.shape:
            raise ValueError(
                f"Got features of shape {tuple(student.shape)} and "
                f"{tuple(teacher.shape)}; FitNet expected shapes that differ in height "
                "and width at most. Apply adapter(...) to the student's first."
            )

        return (f_s - f_t).square().flatten(1).mean(dim=1)


class _Regressor(nn.Module):
    """A linear layer that takes features of any precision."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features.to(self.layer.weight.dtype))
