"""Distillation from a teacher that is computed from the labels (Yuan et al., 2020)."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from skkd._utils.checks import is_number
from skkd.losses._base import DistillationLoss, as_pair
from skkd.losses.kd import KD


class VirtualTeacher(DistillationLoss):
    r"""Distillation from a teacher that is always right; needs no real one.

    .. math:: \ell = T^2 \, \mathrm{KL}(p_d^T \,\|\, p_s^T), \quad
              p_d(k) = \begin{cases} a & k = y \\ (1 - a) / (K - 1) & k \ne y
              \end{cases}

    for each sample, with K classes; both are softened by T, :math:`p_d` to
    :math:`p_d^{1/T}` divided by its sum. The paper calls it Tf-KD_reg. A baseline: a
    teacher should do better.

    Parameters
    ----------
    correct : float, default=0.99
        Probability a of the sample's class, above 1 / K and below 1.

    Notes
    -----
    The paper takes a >= 0.9 and a high temperature, 20 or 40; the published code has
    a = 0.99. That code softens differently from the paper's equation: the student not
    at all, and :math:`p_d` by another softmax. This is the equation, times
    :math:`T^2` as in :class:`KD`.

    References
    ----------
    Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing
    Regularization", 2020, eq. 8 and 9. https://arxiv.org/abs/1909.11723

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import VirtualTeacher
    >>> student = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    >>> VirtualTeacher()(student, None, torch.tensor([0, 0]), temperature=20.0)
    tensor([0.0099, 9.1742])
    """

    needs: ClassVar[str] = "nothing"

    def __init__(self, correct: float = 0.99) -> None:
        self.correct = correct

    def check(self) -> None:
        if not is_number(self.correct) or not 0 < self.correct < 1:
            raise self._not_a_teacher("between 0 and 1")

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        self.check()
        z_s, _ = as_pair(student_logits, student_logits)
        n_classes = z_s.shape[1]
        if self.correct * n_classes <= 1:
            raise self._not_a_teacher(f"above 1 / {n_classes}, the rate of a guess")
        if (y < 0).any():
            raise ValueError(
                f"Got {int((y < 0).sum())} unlabelled samples; expected none, since a "
                "virtual teacher is computed from the labels. Leave them out, or use "
                "a loss that needs a teacher."
            )

        others = (1 - self.correct) / (n_classes - 1)
        z_d = torch.full_like(z_s, math.log(others))
        z_d.scatter_(1, y.unsqueeze(1), math.log(self.correct))
        return KD()(z_s, z_d, y, temperature)

    def _not_a_teacher(self, expected: str) -> ValueError:
        return ValueError(
            f"Got correct={self.correct!r} for VirtualTeacher; expected a number "
            f"{expected}. The paper takes 0.99."
        )
