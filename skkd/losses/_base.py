"""What every distillation loss shares. Think twice before adding to it."""

import math
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skkd._utils.checks import is_number


class DistillationLoss(BaseEstimator):
    """A distillation loss: a small callable object with parameters.

    Subclasses store their constructor arguments unchanged, as any scikit-learn
    estimator does, and define ``__call__``. ``get_params``, ``set_params``,
    ``clone`` and ``repr`` then come for free, so that a parameter ``beta`` can be
    searched as ``distillation__beta``.

    A loss that contains other losses says so by :meth:`weighted_parts` and
    :meth:`resolve_names`; nothing is concluded from the names of attributes.

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import DistillationLoss
    >>> class ScaledL1(DistillationLoss):
    ...     def __init__(self, beta=1.0):
    ...         self.beta = beta
    ...
    ...     def __call__(self, student_logits, teacher_logits, y, temperature):
    ...         gap = student_logits - teacher_logits.detach()
    ...         return self.beta * gap.abs().sum(dim=1)
    >>> loss = ScaledL1().set_params(beta=0.5)
    >>> loss
    ScaledL1(beta=0.5)
    >>> y = torch.tensor([0])
    >>> loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]]), y, 1.0)
    tensor([1.5000])
    """

    # What it needs of a teacher: "logits", "features" (of layers) or "nothing".
    needs: ClassVar[str] = "logits"

    def check(self) -> None:
        """Raise ValueError if a parameter is impossible; called before training."""

    def weighted_parts(self) -> list[tuple[float, Any]]:
        """Return the losses that this one adds, each with its weight.

        Returns
        -------
        list of (float, loss)
            By default the loss itself, of weight 1. They are computed one by one, so
            that losses on features can be among them.
        """
        return [(1.0, self)]

    def resolve_names(self) -> None:
        """Replace parameters that name a loss, such as ``"kd"``, by that loss.

        :func:`~skkd.losses.as_loss` calls it on its copy: the losses inside of a fit's
        loss are made once, and not for each batch. By default there is none.
        """

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        y: Tensor,
        temperature: float,
    ) -> Tensor:
        """Return the loss of each sample, or one loss for the batch.

        Parameters
        ----------
        student_logits : Tensor of shape (n_samples, n_classes)
            Finite; half precision is computed in float32. The gradient flows here.
        teacher_logits : Tensor of shape (n_samples, n_classes)
            Columns in the student's order; no gradient flows here. A loss that needs
            no teacher ignores it.
        y : int64 Tensor of shape (n_samples,)
            Column of each sample's class, -1 if it is unlabelled. Most losses ignore
            it and imitate the teacher alone.
        temperature : float
            Positive and finite; a loss without a temperature ignores it.

        Returns
        -------
        Tensor of shape (n_samples,), or a scalar for a loss defined over a batch
            In the student's dtype, float32 at least.

        Raises
        ------
        ValueError
            If the shapes differ, or the temperature is not positive and finite.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define __call__(student_logits, "
            "teacher_logits, y, temperature), which every DistillationLoss needs."
        )


def as_pair(student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Check both logits (n, n_classes) and convert them to one dtype.

    That is the student's, float32 at least. The teacher's are detached.
    """
    shape = tuple(student_logits.shape)
    if student_logits.ndim != 2 or shape != tuple(teacher_logits.shape):
        raise ValueError(
            f"Got student logits of shape {shape} and teacher logits of shape "
            f"{tuple(teacher_logits.shape)}; expected (n, n_classes) for both. Give "
            "the student one output and the teacher one column for each class."
        )
    # Half precision overflows at 65504 and rounds away small probabilities.
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    return student_logits.to(dtype), teacher_logits.detach().to(dtype)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is positive and finite."""
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"Got temperature={temperature!r}; expected a positive, finite number. "
            "Common values lie between 1 and 10."
        )


def check_finite(loss: DistillationLoss, *names: str) -> None:
    """Raise ValueError unless the parameters of these names are finite numbers."""
    for name in names:
        value = getattr(loss, name)
        if not is_number(value):
            raise ValueError(
                f"Got {name}={value!r} for {type(loss).__name__}; expected a finite "
                "number. 0 leaves the term out."
            )
