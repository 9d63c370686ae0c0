"""Logits brought to one scale before they are compared (Sun et al., 2024)."""

import math
from typing import Any

from torch import Tensor

from skkd.losses._base import DistillationLoss, as_pair, check_temperature
from skkd.losses._registry import named_params, needs_of, resolve, resolve_deep
from skkd.losses._unit import unit_rows


class LogitStandardization(DistillationLoss):
    r"""Any loss on logits, called with the z-scores of both.

    .. math:: \ell = \mathrm{loss}(\mathcal{Z}(z_s), \mathcal{Z}(z_t), y, T),
              \quad \mathcal{Z}(z) = \frac{z - \mathrm{mean}(z)}{\mathrm{std}(z)}

    for each sample, with the population standard deviation. The student then learns
    how a sample's logits relate to each other, and neither their level nor their scale,
    which a small student may be unable to reach.

    Parameters
    ----------
    loss : str, DistillationLoss or callable, default="kd"
        The loss of the z-scores. Its parameters are set as ``loss__*``, in a search
        over the estimator as ``distillation__loss__*``.

    Notes
    -----
    Equal logits have no scale: their z-scores are 0, without gradient. The published
    code has the sample standard deviation, plus 1e-7. Z-scores need a lower temperature
    than logits of a large scale.

    The authors train with :math:`T = 2`, 0.1 times the labels' loss and 9 times this
    one, and until 2024-03-10 with 1 and 9. As a sum of losses the first is
    ``WeightedSum([("z", LogitStandardization())], weights=[10])`` at ``alpha=0.9``.

    References
    ----------
    Sun et al., "Logit Standardization in Knowledge Distillation", 2024, algorithm 1
    for the z-score, algorithm 2 for the loss. https://arxiv.org/abs/2403.01427

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import DKD, LogitStandardization
    >>> teacher = torch.tensor([[3.0, 1.0, -1.0]])
    >>> y = torch.tensor([0])
    >>> LogitStandardization()(5 * teacher + 2, teacher, y, temperature=2.0) < 1e-6
    tensor([True])
    >>> LogitStandardization(DKD()).set_params(loss__beta=2.0)
    LogitStandardization(loss=DKD(beta=2.0))
    """

    def __init__(self, loss: Any = "kd") -> None:
        self.loss = loss

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params = super().get_params(deep=deep)
        return {**named_params("loss", self.loss), **params} if deep else params

    def set_params(self, **params: Any) -> "LogitStandardization":
        self.loss = params.pop("loss", self.loss)
        if any(name.startswith("loss__") for name in params):
            self.loss = resolve(self.loss)  # a name has no parameters
        return super().set_params(**params)

    def check(self) -> None:
        inner = self._inner()
        if isinstance(inner, DistillationLoss):
            inner.check()

    def resolve_names(self) -> None:
        self.loss = resolve_deep(self.loss)

    def _inner(self) -> Any:
        loss = resolve(self.loss)
        if needs_of(loss) != {"logits"}:
            raise TypeError(
                f"Got loss={self.loss!r} for LogitStandardization; expected one that "
                "compares the teacher's logits with the student's, as 'kd' or DKD()."
            )
        return loss

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        check_temperature(temperature)
        z_s, z_t = as_pair(student_logits, teacher_logits)
        return self._inner()(_z_scores(z_s), _z_scores(z_t), y, temperature)


def _z_scores(z: Tensor) -> Tensor:
    return unit_rows(z) * math.sqrt(z.shape[1])
