"""The augmented view of a batch that the student sees, and targets that fit to it."""

from __future__ import annotations

import inspect
from numbers import Integral
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
from skkd._utils.checks import is_number
from skkd._utils.modules import cast_floats
from skkd.augment import Augmentation


class BatchViews:
    """Augments training batches, and adds a live teacher's targets for the views.

    With ``teacher_view="clean"`` the teacher gets the samples without augmentation.
    """

    def __init__(
        self, augment: Any, live: LiveTeacher | None, teacher_view: str
    ) -> None:
        self.augment, self.live, self.teacher_view = augment, live, teacher_view

    def __call__(self, X: Any, module: torch.nn.Module, device: Any, epoch: int) -> Any:
        """Return the X of a batch as the student is to see it, with batch fields."""
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
        if not mixes_rows(self.augment):
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


def mixes_rows(augment: Any) -> bool:
    """Tell whether a view is made of several samples, and so are its labels."""
    return isinstance(augment, Augmentation) and augment.mixes_rows


def check_augment(
    augment: Any,
    n_views: Any,
    teacher_view: Any,
    teacher_cv: Any,
    teacher_logits: Any,
    teacher_X: Any,
) -> None:
    """Refuse soft targets of clean inputs for augmented ones, unless that is meant."""
    if teacher_view not in ("same", "clean"):
        raise ValueError(
            f"teacher_view={teacher_view!r}: expected 'same', the augmented view "
            "that the student sees, or 'clean', the sample without augmentation."
        )
    clean = teacher_view == "clean"
    if augment is None:
        if n_views is not None or clean:
            given = "teacher_view= is of" if clean else f"n_views={n_views!r} are"
            raise ValueError(
                f"{given} views that augment= makes: pass augment=, for instance "
                "skkd.augment.RandomHorizontalFlip(), or leave it out."
            )
        return
    if not callable(augment):
        raise TypeError(
            f"augment={augment!r}: expected a callable, tensor to tensor, or None."
        )
    if isinstance(augment, Augmentation):
        augment.check()
    _check_n_views(augment, n_views, clean)
    if clean:
        if mixes_rows(augment):
            raise ValueError(
                f"augment={augment!r} mixes the rows of a batch, and the teacher "
                "can only run on a batch once there is one: leave out "
                "teacher_view='clean', which teaches its logits of single rows."
            )
        return
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            "augment= changes the inputs, and teacher_logits= or teacher_X= are about "
            "the unchanged ones. Leave out one of the two, or pass "
            "teacher_view='clean' if this is meant."
        )
    if teacher_cv is not None and not isinstance(teacher_cv, str):
        raise ValueError(
            "augment= runs one teacher on every view, and with "
            f"teacher_cv={teacher_cv!r} each fold has its own: use 'prefit' or None, "
            "or teacher_view='clean', which runs it on the unchanged inputs."
        )


def _check_n_views(augment: Any, n_views: Any, clean: bool) -> None:
    if n_views is None:
        return
    if not is_number(n_views, Integral) or n_views < 1:
        raise ValueError(
            f"n_views={n_views!r}: expected None, a whole number of fixed views of "
            "each row."
        )
    if clean:
        raise ValueError(
            f"n_views={n_views} runs the teacher on that many views of each "
            "row, and teacher_view='clean' about the row itself: use one of the two."
        )
    if mixes_rows(augment):
        raise ValueError(
            f"augment={augment!r} mixes the rows of a batch, and n_views={n_views!r} "
            "runs the teacher before there are batches. Leave out n_views: the teacher "
            "then runs on every batch."
        )
    if not _takes_seeds(augment):
        raise ValueError(
            f"n_views={n_views} needs views that can be drawn again from a seed, and "
            f"augment={augment!r} takes no `seeds`: use an object of skkd.augment, or "
            "leave out n_views."
        )


def _takes_seeds(augment: Any) -> bool:
    try:
        return "seeds" in inspect.signature(augment).parameters
    except ValueError:  # some functions written in C have no signature
        return False
