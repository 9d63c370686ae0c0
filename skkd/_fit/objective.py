"""The training loss of a batch: labels and teacher, weighed by alpha."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from skkd._data.keys import (
    HARD_WEIGHT,
    INDEX,
    INPUT,
    MIXUP_INDEX,
    MIXUP_LAM,
    SOFT_WEIGHT,
    TEACHER_LOGITS,
)
from skkd._fit.feature_terms import FeatureTerms
from skkd._fit.views import BatchViews
from skkd._utils.checks import check_number, is_number
from skkd._utils.modules import first_tensor, log_probabilities

# Fields that hold an index, never a value.
_INDICES = (MIXUP_INDEX, INDEX)


class Objective:
    """What a student is trained for, and all that is known of a fit in progress.

    ``(1 - alpha) * criterion(outputs, y) + alpha * loss(student, teacher, y, T)``

    Parameters
    ----------
    loss : callable
        Of ``(student_logits, teacher_logits, y, temperature)``.
    alpha, temperature : float
        May change from epoch to epoch.
    teacher_temperature : float, default=1.0
        Divides the teacher's logits: other than 1 for scores.
    needs : frozenset of {"logits", "features"}
        What the loss needs of a teacher.
    features : FeatureTerms or None, default=None
        Losses between layers; they bring the loss on logits with them.
    views : BatchViews or None, default=None
        What is done to a batch before the student sees it.
    gives_probabilities : bool, default=False
        Whether the student's outputs are probabilities, as NLLLoss of skorch wants.
    plain_labels : bool, default=False
        Whether encoded labels are the labels, for all samples.
    fit_params : mapping, default=None
        Further arguments of the student's ``forward``.
    """

    def __init__(
        self,
        loss: Any,
        *,
        alpha: float,
        temperature: float,
        teacher_temperature: float = 1.0,
        needs: frozenset[str] = frozenset({"logits"}),
        features: FeatureTerms | None = None,
        views: BatchViews | None = None,
        gives_probabilities: bool = False,
        plain_labels: bool = False,
        fit_params: Mapping[str, Any] | None = None,
    ) -> None:
        self.loss, self.needs, self.features, self.views = loss, needs, features, views
        self.alpha, self.temperature = alpha, temperature
        self.teacher_temperature = teacher_temperature
        self.gives_probabilities = gives_probabilities
        self.plain_labels = plain_labels
        self.fit_params = dict(fit_params or {})
        self.is_first_step = True  # until there are gradients
        self.dataset_train: Any = None  # the samples trained on, once they are split

    def recording(
        self, optimizer: torch.optim.Optimizer
    ) -> AbstractContextManager[None]:
        """Record the student's layers that are compared, while it trains."""
        if self.features is None:
            return nullcontext()
        return self.features.training(optimizer)

    def set_train_indices(self, index: Any) -> None:
        """Contrast samples with these alone, if others are held out."""
        if self.features is not None:
            self.features.set_train_indices(torch.as_tensor(index))

    def __call__(
        self,
        y_pred: Any,
        y: Tensor,
        fields: Mapping[str, Any],
        criterion: Callable[..., Tensor],
    ) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes), or tuple that starts with it
            Outputs of the student.
        y : Tensor of shape (n,), int64
            Encoded labels, -1 for unlabelled samples.
        fields : mapping of str to array of n rows
            The batch fields; an input among them does not count.
        criterion : callable
            Of ``(y_pred, y)`` and ``reduction``, "mean" or "none": the term of the
            labels.

        Returns
        -------
        Tensor of shape ()
        """
        student = y_pred if isinstance(y_pred, Tensor) else first_tensor(y_pred)
        dtype = torch.promote_types(student.dtype, torch.float32)
        batch = {}
        for key, value in fields.items():
            if key == INPUT:
                continue
            kind = None if key in _INDICES else dtype
            batch[key] = torch.as_tensor(value).to(device=student.device, dtype=kind)
        if self.alpha == 0 or not self._has_targets(batch):
            return _hard_loss(y_pred, y, batch, criterion)
        soft = self._soft_loss(student, y.to(student.device), batch)
        if self.alpha == 1:
            return soft
        hard = _hard_loss(y_pred, y, batch, criterion)
        return (1 - self.alpha) * hard + self.alpha * soft

    def _has_targets(self, batch: Mapping[str, Tensor]) -> bool:
        return TEACHER_LOGITS in batch or self.features is not None or not self.needs

    def _soft_loss(self, student: Tensor, y: Tensor, batch: Any) -> Tensor:
        if self.gives_probabilities:
            student = log_probabilities(student)
        if self.features is None:
            each = self._on_logits(self.loss, student, y, batch)
        else:
            each = self.features.total(
                lambda loss: self._on_logits(loss, student, y, batch), batch
            )
        if each.shape not in ((), (len(student),)):
            raise ValueError(
                f"distillation={self.loss!r} gives a loss of shape "
                f"{tuple(each.shape)}, expected ({len(student)},), one for each row "
                "of the batch, or a scalar: sum over the classes."
            )
        if student.requires_grad and not each.requires_grad:
            raise ValueError(
                f"distillation={self.loss!r} does not depend on the student's logits "
                "in a way that has a gradient, and teaches nothing: look for detach(), "
                "argmax() or no_grad() in it."
            )
        weight = batch.get(SOFT_WEIGHT)
        if weight is None:
            return each.mean()
        if each.ndim == 0:
            raise ValueError(_no_loss_by_sample(f"distillation={self.loss!r}"))
        return (weight * each).mean()

    def _on_logits(self, loss: Any, student: Tensor, y: Tensor, batch: Any) -> Tensor:
        teacher, lam = batch.get(TEACHER_LOGITS), batch.get(MIXUP_LAM)
        if self.teacher_temperature != 1:
            teacher = teacher / self.teacher_temperature
        own = loss(student, teacher, y, self.temperature)
        if lam is None:
            return own
        # A mixed sample has the labels of both, which some losses read.
        other = loss(student, teacher, y[batch[MIXUP_INDEX]], self.temperature)
        lam = lam if own.ndim else lam.mean()
        return lam * own + (1 - lam) * other


def _hard_loss(y_pred: Any, y: Tensor, batch: Any, criterion: Any) -> Tensor:
    weight, lam = batch.get(HARD_WEIGHT), batch.get(MIXUP_LAM)
    if weight is None and lam is None:
        return criterion(y_pred, y)
    weight = torch.ones_like(lam) if weight is None else weight
    own = criterion(y_pred, y, reduction="none")
    if lam is None:
        return (weight * own).mean()
    # A mixed sample has the labels of both, each with its share.
    index = batch[MIXUP_INDEX]
    other = criterion(y_pred, y[index.to(y.device)], reduction="none")
    return (lam * weight * own + (1 - lam) * weight[index] * other).mean()


def loss_by_sample(
    criterion: Any, compute: Callable[[Tensor], Tensor], y: Tensor
) -> Tensor:
    """Return the criterion's loss of each sample, whatever its label is.

    Parameters
    ----------
    criterion : torch.nn.Module
        Its ``reduction`` is "none" while `compute` calls it.
    compute : callable
        From encoded labels to the loss.
    y : Tensor of shape (n,)
        -1 for unlabelled samples, whose loss has no meaning.

    Returns
    -------
    Tensor of shape (n,)
    """
    name = f"criterion={type(criterion).__name__}"
    if getattr(criterion, "weight", None) is not None:
        raise ValueError(
            "criterion__weight divides by the weights of a batch's classes, which "
            "does not go together with weights of rows, unlabelled or mixed rows: "
            "give the weights of classes as class_weight={label: weight} instead."
        )
    if getattr(criterion, "reduction", None) != "mean":
        raise ValueError(_no_loss_by_sample(name))
    criterion.reduction = "none"
    try:
        each = compute(y.clamp(min=0))
    finally:
        criterion.reduction = "mean"
    if each.shape != y.shape[:1]:
        raise ValueError(_no_loss_by_sample(name))
    return each


def _no_loss_by_sample(part: str) -> str:
    return (
        f"{part} gives one loss for a batch, so its rows cannot be weighted: leave out "
        "sample_weight, class_weight and unlabelled rows, or use a loss that gives one "
        "for each row (a criterion: whose `reduction`, 'mean', is set to 'none')."
    )


def check_hyperparameters(temperature: Any, alpha: Any) -> None:
    """Raise if a value is outside what the loss is defined for."""
    check_number(
        "temperature",
        temperature,
        low=0,
        low_inclusive=False,
        hint="1 leaves the teacher's probabilities as they are, 2 to 8 soften them.",
    )
    if not 1e-6 <= temperature <= 1e6:
        raise ValueError(
            f"temperature={temperature!r}: expected a finite number above 0, from 1e-6 "
            "to 1e6. float32 has no room for its square beyond, or for logits over it."
        )
    if not is_number(alpha) or not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha={alpha!r}: expected a number in [0, 1], the weight of the "
            "teacher's term: 0 trains on the labels alone, 1 on the teacher alone."
        )
