"""Attention transfer (Zagoruyko and Komodakis, 2017)."""

from collections.abc import Sequence

from torch import Tensor, nn

from skkd.losses._feature_base import FeatureLoss
from skkd.losses._features import as_floats, to_one_size, unit


class AttentionTransfer(FeatureLoss):
    r"""Mean squared distance between the attention maps of the two networks.

    .. math:: \ell = \frac{1}{H W} \, \left\|
              \frac{Q_s}{\|Q_s\|_2} - \frac{Q_t}{\|Q_t\|_2} \right\|_2^2,
              \quad Q = \sum_c A_c^2

    for each sample, with the channels :math:`A_c` of a layer, squared element by
    element. The numbers of channels may differ. A map of zeros stays one of zeros.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`, with maps ``(C, H, W)``. The
        input of the last ``nn.Linear``, which None takes, is seldom a map.
    weight : float, default=1000.0
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    Features of different height or width are averaged over cells before they are
    squared, down to the smaller of both (adaptive average pooling).

    The paper writes the distance with the power 1 and the factor
    :math:`\beta / 2`; the code of its authors and RepDistiller, whose weight is the
    default, take the mean of the squares.

    References
    ----------
    Zagoruyko and Komodakis, "Paying More Attention to Attention", 2017, eq. 2 with
    :math:`p = 2`, and :math:`F_\mathrm{sum}^2` of section 3.1 for the maps.
    https://arxiv.org/abs/1612.03928

    Weight: https://github.com/HobbitLong/RepDistiller, scripts/run_cifar_distill.sh

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import AttentionTransfer
    >>> student = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])  # (2, 1, 1, 2)
    >>> teacher = torch.tensor([[[[5.0, 0.0]]], [[[0.0, 5.0]]]])
    >>> AttentionTransfer().compare(student, teacher)
    tensor([0., 1.])
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        weight: float = 1000.0,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)

    def adapter(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
        if len(student) != 3 or len(teacher) != 3:
            raise _no_maps(student, teacher, "(C, H, W), without the batch axis")
        return nn.Identity()

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        if student.ndim != 4 or teacher.ndim != 4:
            raise _no_maps(tuple(student.shape), tuple(teacher.shape), "(n, C, H, W)")
        a_s, a_t = to_one_size(*as_floats(student, teacher))

        q_s, q_t = _attention(a_s), _attention(a_t)  # (n, H * W)
        return (q_s - q_t).square().mean(dim=1)


def _attention(maps: Tensor) -> Tensor:
    # The mean, not the sum: unit length makes them the same.
    return unit(maps.square().mean(dim=1).flatten(1))


def _no_maps(
    student: tuple[int, ...], teacher: tuple[int, ...], expected: str
) -> ValueError:
    return ValueError(
        f"Got a student's layer of shape {student} and a teacher's of shape {teacher}; "
        f"AttentionTransfer expected {expected}, of both. Name layers that give maps, "
        "such as convolutions, by student_layer and teacher_layer."
    )
