"""The training losses of several students at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skkd._data.keys import HARD_WEIGHT, SOFT_WEIGHT, TEACHER_LOGITS
from skkd._packed.member import Member
from skkd.losses import (
    DKD,
    KD,
    HardLabel,
    JensenShannon,
    LabelSmoothing,
    LogitMSE,
    LogitStandardization,
    VirtualTeacher,
    WeightedSum,
)

# The loss of a sample does not depend on the samples beside it.
_BY_SAMPLE = (
    KD,
    HardLabel,
    LogitMSE,
    DKD,
    JensenShannon,
    LabelSmoothing,
    VirtualTeacher,
)


class StackedObjective:
    """The objectives of several members, computed together.

    Members whose losses and temperatures are equal are one call of the loss.

    Parameters
    ----------
    members : sequence of Member
    """

    def __init__(self, members: Sequence[Member]) -> None:
        net = members[0].net
        dtype = next(net.module_.parameters()).dtype
        self._smoothing = net.criterion_.label_smoothing
        self._alpha = torch.tensor([m.alpha for m in members], dtype=dtype)
        self._alpha = self._alpha.to(net.device)
        self._terms = _terms(members)

    def __call__(
        self, logits: Tensor, y: Tensor, fields: Mapping[str, Tensor], sizes: Tensor
    ) -> Tensor:
        """Return the loss of each member's batch, of shape (n_members,).

        Parameters
        ----------
        logits : Tensor of shape (n_members, n, n_classes)
        y : Tensor of shape (n_members, n), int64
        fields : mapping of str to Tensor of shape (n_members, n, ...)
        sizes : Tensor of shape (n_members,)
            How many samples of each batch count: the first ones.
        """
        counts = torch.arange(logits.shape[1], device=logits.device) < sizes[:, None]
        mean = (counts / sizes[:, None]).to(logits.dtype)
        hard = self._hard(logits, y)
        if HARD_WEIGHT in fields:
            hard = fields[HARD_WEIGHT] * hard
        loss = (1 - self._alpha) * (mean * hard).sum(1)
        for members, term in self._terms:
            teacher = fields[TEACHER_LOGITS][members] if term.has_teacher else None
            soft = term(logits[members], teacher, y[members])
            if soft.ndim == 2:
                if SOFT_WEIGHT in fields:
                    soft = fields[SOFT_WEIGHT][members] * soft
                soft = (mean[members] * soft).sum(1)
            loss = loss.index_add(0, members, self._alpha[members] * soft)
        return loss

    def _hard(self, logits: Tensor, y: Tensor) -> Tensor:
        # Classes before samples: on CPUs a softmax over a short last axis is slow.
        each = cross_entropy(
            logits.flatten(0, 1).t()[None],
            y.flatten().clamp(min=0)[None],  # unlabelled samples have the weight 0
            reduction="none",
            label_smoothing=self._smoothing,
        )
        return each.view(y.shape)


class _Term:
    """The teacher's term of members that have the same one."""

    def __init__(self, member: Member) -> None:
        self.loss = member.objective.loss
        self.temperature = member.objective.temperature
        self.has_teacher = TEACHER_LOGITS in member.fields
        self.is_by_sample = is_by_sample(self.loss)

    def __call__(self, z_s: Tensor, z_t: Tensor | None, y: Tensor) -> Tensor:
        """Return the loss of each sample, or of each batch."""
        if self.is_by_sample:
            flat = None if z_t is None else z_t.flatten(0, 1)
            each = self.loss(z_s.flatten(0, 1), flat, y.flatten(), self.temperature)
            return each.view(y.shape)
        in_dims = (0, None if z_t is None else 0, 0, None)
        return torch.vmap(self.loss, in_dims)(z_s, z_t, y, self.temperature)


def is_by_sample(loss: Any) -> bool:
    """Tell whether the loss of a sample does not depend on the others of its batch."""
    if type(loss) is LogitStandardization:
        return is_by_sample(loss.loss)
    if type(loss) is WeightedSum:
        return all(is_by_sample(part) for _, part in loss.weighted_parts())
    return type(loss) in _BY_SAMPLE


def _terms(members: Sequence[Member]) -> list[tuple[Tensor, _Term]]:
    """Return the terms, each with the members that it is of."""
    found: dict[Any, list[int]] = {}
    for i, member in enumerate(members):
        if member.alpha > 0:
            found.setdefault(loss_key(member), []).append(i)
    device = members[0].net.device
    return [
        (torch.tensor(index, device=device), _Term(members[index[0]]))
        for index in found.values()
    ]


def loss_key(member: Member) -> Any:
    """Return what equal terms share, hashable."""
    loss, temperature = member.objective.loss, float(member.objective.temperature)
    has_params = hasattr(loss, "get_params")
    return type(loss), repr(loss) if has_params else id(loss), temperature
