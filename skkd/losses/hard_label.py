"""Distillation through the teacher's predictions (DeiT, Touvron et al., 2021)."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from skkd.losses._base import DistillationLoss, as_pair


class HardLabel(DistillationLoss):
    r"""Cross-entropy of the student with the class that the teacher predicts.

    .. math:: \ell = \mathrm{CE}(\mathrm{softmax}(z_s), y_t),
              \quad y_t = \mathrm{argmax}_c \, z_t(c)

    for each sample. Only the teacher's prediction is used, not its confidence; among
    equal logits the first class wins. The temperature is ignored, as in the paper.

    References
    ----------
    Touvron et al., "Training data-efficient image transformers & distillation
    through attention", 2021, eq. 3 (the half that holds the teacher's label; the
    other half, with weight 1/2, is the criterion at ``alpha=0.5``).
    https://arxiv.org/abs/2012.12877

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import HardLabel
    >>> student = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    >>> teacher = torch.tensor([[0.1, 0.0], [0.0, 9.0]])
    >>> HardLabel()(student, teacher, torch.tensor([0, 0]), temperature=1.0)
    tensor([0.1269, 2.1269])
    """

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        z_s, z_t = as_pair(student_logits, teacher_logits)

        y_t = z_t.argmax(dim=1)
        return cross_entropy(z_s, y_t, reduction="none")
