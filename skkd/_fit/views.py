"""The augmented view of a batch that the student sees, and targets that fit to it."""

from __future__ import annotations

from typing import Any

import torch
from skorch.utils import to_tensor

from skkd._data.keys import (
    INPUT,
    MIXUP_INDEX,
    MIXUP_LAM,
    TEACHER_FEATURES,
    TEACHER_LOGITS,
    VIEW_SEEDS,
    split_inputs,
)
from skkd._fit.live_teacher import LiveTeacher
from skkd._utils.modules import cast_floats


class BatchViews:
    """Augments training batches, and asks a live teacher about what came out.

    Parameters
    ----------
    augment : callable or None
    live : LiveTeacher or None
        Asked about every batch.
    teacher_view : {"same", "clean"}
        Whether it is asked about the view that the student sees.
    """

    def __init__(
        self, augment: Any, live: LiveTeacher | None, teacher_view: str
    ) -> None:
        self.augment, self.live, self.teacher_view = augment, live, teacher_view

    def __call__(self, X: Any, module: torch.nn.Module, device: Any, epoch: int) -> Any:
        """Return the X of a batch as the student is to see it, with batch fields.

        Parameters
        ----------
        X : object
            Of a batch, with its fields.
        module : torch.nn.Module
            The student, whose floating-point type counts.
        device : str, torch.device or None
        epoch : int
            Counts which of several fixed views is the turn of.
        """
        inputs, fields = split_inputs(X)
        view = inputs
        if self.augment is not None:
            view = to_tensor(cast_floats(inputs, module), device=device)
            view = self.augmented(view, fields, epoch)
        if self.live is not None:
            seen = inputs if self.teacher_view == "clean" else view
            fields.update(self.live.targets(seen))
        return {INPUT: view, **fields} if fields else view

    def augmented(
        self, inputs: torch.Tensor, fields: dict[str, torch.Tensor], epoch: int
    ) -> Any:
        """Return a view of a batch; `fields` are changed to those of the view."""
        if VIEW_SEEDS in fields:
            return self.augment(inputs, _pick_view(fields, epoch))
        if not getattr(self.augment, "mixes_rows", False):
            return self.augment(inputs)
        view, index, lam = self.augment.mix(inputs)
        fields.update({MIXUP_INDEX: index.cpu(), MIXUP_LAM: lam})
        return view


def _pick_view(fields: dict[str, torch.Tensor], epoch: int) -> torch.Tensor:
    """Choose one of the fixed views of each sample, and the targets of that view."""
    seeds = fields.pop(VIEW_SEEDS)  # (n, n_views)
    samples = torch.arange(len(seeds))
    # Each in its turn: all views of a sample count alike, and a batch has several.
    picked = (epoch + seeds[:, 0]) % seeds.shape[1]
    for key in {TEACHER_LOGITS, TEACHER_FEATURES} & fields.keys():
        fields[key] = fields[key][samples, picked]
    return seeds[samples, picked]
