"""What the student is trained for: the loss of a batch, on the view it was given."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from skorch.dataset import unpack_data
from skorch.utils import to_tensor

from skkd._data.batches import unwrap
from skkd._data.keys import (
    HARD_WEIGHT,
    INDEX,
    INPUT,
    MIXUP_INDEX,
    MIXUP_LAM,
    SOFT_WEIGHT,
    TEACHER_FEATURES,
    TEACHER_LOGITS,
    VIEW_SEEDS,
    split_inputs,
)
from skkd._estimator.skorch_classifier import SklearnNet
from skkd._fit.feature_terms import FeatureTerms
from skkd._utils.modules import (
    cast_floats,
    first_tensor,
    log_probabilities,
    uncompiled,
)

# What is a number of a row, never a value.
_NUMBERS = (MIXUP_INDEX, INDEX)


class DistillationNet(SklearnNet):
    """A net whose training loss also follows the logits that lie beside its input."""

    temperature: float
    alpha: float
    distillation: Any
    augment: Any
    views: Any
    live_teacher_: Any = None
    # What the loss of this fit needs of a teacher.
    needs_: frozenset[str] = frozenset({"logits"})
    # What is compared between layers, in a fit.
    features_: FeatureTerms | None = None
    # What a callback sets for the epoch: parameters themselves stay as they were given.
    scheduled_: Mapping[str, float] = MappingProxyType({})

    def _now(self, name: str) -> float:
        """Return temperature or alpha as it is in this epoch."""
        return self.scheduled_.get(name, getattr(self, name))

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as ``train_split`` says, and contrast training rows with these only."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        rows = unwrap(train)[1]
        if self.features_ is not None and rows is not None:
            self.features_.restrict(torch.as_tensor(rows))
        return train, valid

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Augment the batch, ask a live teacher about the very same view, and train."""
        if self.augment is not None or self.live_teacher_ is not None:
            batch = self._prepared(*unpack_data(batch))
        return super().train_step(batch, **fit_params)

    def _prepared(self, X: Any, y: Any) -> tuple[Any, Any]:
        inputs, batch_fields = split_inputs(X)
        view = inputs if self.augment is None else self._augmented(inputs, batch_fields)
        if self.live_teacher_ is not None:
            plain = isinstance(self.views, str)
            with self._precise():
                batch_fields.update(
                    self.live_teacher_.targets(inputs if plain else view)
                )
        return ({INPUT: view, **batch_fields} if batch_fields else view), y

    def _augmented(self, inputs: Any, batch_fields: dict[str, torch.Tensor]) -> Any:
        inputs = to_tensor(cast_floats(inputs, self.module_), device=self.device)
        if VIEW_SEEDS in batch_fields:
            return self.augment(inputs, self._pick_view(batch_fields))
        if not getattr(self.augment, "mixes_rows", False):
            return self.augment(inputs)
        view, partner, share = self.augment.mix(inputs)
        batch_fields.update({MIXUP_INDEX: partner.cpu(), MIXUP_LAM: share})
        return view

    def _pick_view(self, batch_fields: dict[str, torch.Tensor]) -> torch.Tensor:
        """Choose one of the fixed views of each row, and what was said of it."""
        seeds = batch_fields.pop(VIEW_SEEDS)  # (n, n_views)
        rows = torch.arange(len(seeds))
        # Each in its turn: all views of a row count alike, and a batch has several.
        picked = (len(self.history) + seeds[:, 0]) % seeds.shape[1]
        for key in {TEACHER_LOGITS, TEACHER_FEATURES} & batch_fields.keys():
            batch_fields[key] = batch_fields[key][rows, picked]
        return seeds[rows, picked]

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor of shape (n, n_classes)
            Outputs of the student.
        y_true : Tensor of shape (n,), int64
            Column of each row's class, -1 where it has no label.
        X : object, default=None
            The batch's inputs, with the teacher's logits beside them.
        training : bool, default=False
            False gives the plain criterion, whatever the teacher says.

        Returns
        -------
        Tensor of shape ()
        """
        if not training:
            return super().get_loss(y_pred, y_true, X=X, training=False)
        like = first_tensor(y_pred)
        dtype = torch.promote_types(like.dtype, torch.float32)
        batch_fields = {
            key: torch.as_tensor(value).to(
                device=like.device, dtype=None if key in _NUMBERS else dtype
            )
            for key, value in split_inputs(X)[1].items()
        }
        alpha = self._now("alpha")
        if alpha == 0 or not self._is_taught(batch_fields):
            return self._hard_loss(y_pred, y_true, batch_fields)
        soft = self._soft_loss(y_pred, y_true, batch_fields)
        if alpha == 1:
            return soft
        hard = self._hard_loss(y_pred, y_true, batch_fields)
        return (1 - alpha) * hard + alpha * soft

    def _is_taught(self, batch_fields: Any) -> bool:
        """Tell whether a batch has anything to learn from but its labels."""
        return (
            TEACHER_LOGITS in batch_fields
            or self.features_ is not None
            or not self.needs_
        )

    def _hard_loss(self, y_pred: Any, y: Any, batch_fields: Any) -> torch.Tensor:
        weight, share = batch_fields.get(HARD_WEIGHT), batch_fields.get(MIXUP_LAM)
        if weight is None and share is None:
            return super().get_loss(y_pred, y, training=True)
        weight = torch.ones_like(share) if weight is None else weight
        if share is None:
            return (weight * self._each_hard_loss(y_pred, y)).mean()
        # A mixed row has the labels of both, each with its share.
        other = batch_fields[MIXUP_INDEX]
        own = share * weight * self._each_hard_loss(y_pred, y)
        others = (1 - share) * weight[other]
        return (
            own + others * self._each_hard_loss(y_pred, y[other.to(y.device)])
        ).mean()

    def _each_hard_loss(self, y_pred: Any, y: Any) -> torch.Tensor:
        criterion = uncompiled(self.criterion_)
        if getattr(criterion, "weight", None) is not None:
            raise ValueError(
                "criterion__weight divides by the weights of a batch's classes, which "
                "does not go together with weights of rows, unlabelled or mixed rows: "
                "give the weights of classes as class_weight={label: weight} instead."
            )
        if getattr(criterion, "reduction", None) != "mean":
            raise ValueError(_not_by_row(f"criterion={type(criterion).__name__}"))
        # Asked not to reduce, a criterion gives one loss for each row.
        criterion.reduction = "none"
        try:
            each = super().get_loss(y_pred, y.clamp(min=0), training=True)
        finally:
            criterion.reduction = "mean"
        if each.shape != y.shape[:1]:
            raise ValueError(_not_by_row(f"criterion={type(criterion).__name__}"))
        return each

    def _soft_loss(self, y_pred: Any, y: Any, batch_fields: Any) -> torch.Tensor:
        student = first_tensor(y_pred)
        if isinstance(uncompiled(self.criterion_), torch.nn.NLLLoss):
            student = log_probabilities(student)
        y = to_tensor(y, device=self.device)
        logits, temperature = batch_fields.get(TEACHER_LOGITS), self._now("temperature")
        share, other = batch_fields.get(MIXUP_LAM), batch_fields.get(MIXUP_INDEX)

        def on_logits(loss: Any) -> torch.Tensor:
            own = loss(student, logits, y, temperature)
            if share is None:
                return own
            # A mixed row has the labels of both, which some losses read.
            others = loss(student, logits, y[other], temperature)
            part = share if own.ndim else share.mean()
            return part * own + (1 - part) * others

        if self.features_ is None:
            each = on_logits(self.distillation_)
        else:
            each = self.features_.total(on_logits, batch_fields)
        weight = batch_fields.get(SOFT_WEIGHT)
        if each.shape not in ((), (len(student),)):
            raise ValueError(
                f"distillation={self.distillation!r} gives a loss of shape "
                f"{tuple(each.shape)}, expected ({len(student)},), one for each row "
                "of the batch, or a scalar: sum over the classes."
            )
        if weight is None:
            return each.mean()
        if each.ndim == 0:
            raise ValueError(_not_by_row(f"distillation={self.distillation!r}"))
        return (weight * each).mean()


def _not_by_row(part: str) -> str:
    return (
        f"{part} gives one loss for a batch, so its rows cannot be weighted: leave out "
        "sample_weight, class_weight and unlabelled rows, or use a loss that gives one "
        "for each row (a criterion: where its `reduction`, 'mean', is set to 'none')."
    )
