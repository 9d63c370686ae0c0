"""Label smoothing: distillation from the uniform distribution."""

import math
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import log_softmax

from skkd.losses._base import DistillationLoss, as_pair


class LabelSmoothing(DistillationLoss):
    r"""Divergence of the student from the uniform distribution; needs no teacher.

    .. math:: \ell = \mathrm{KL}(u \,\|\, \mathrm{softmax}(z_s)), \quad u = 1 / K

    for each sample, with K classes. With the criterion it makes label smoothing,
    ``(1 - alpha) * CE + alpha * LabelSmoothing``, which is
    ``torch.nn.CrossEntropyLoss(label_smoothing=alpha)`` but for the constant
    ``alpha * log(K)``. A baseline: a teacher should do better.

    References
    ----------
    Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing
    Regularization", 2020, eq. 2 and 3. https://arxiv.org/abs/1909.11723

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import LabelSmoothing
    >>> student = torch.tensor([[2.0, 2.0], [2.0, 0.0]])
    >>> LabelSmoothing()(student, None, torch.tensor([0, 0]), temperature=1.0)
    tensor([0.0000, 0.4338])
    """

    needs: ClassVar[str] = "nothing"

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        z_s, _ = as_pair(student_logits, student_logits)

        log_p_s = log_softmax(z_s, dim=1)
        return -math.log(z_s.shape[1]) - log_p_s.mean(dim=1)
