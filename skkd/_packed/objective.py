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
# Of logits divided by T, at temperature 1, and times T squared, the loss is the same.
_BY_SCALED_LOGITS = (KD, DKD, JensenShannon)


class StackedObjective:
    """The objectives of several members, computed together.

    Members whose losses are equal are one call of the loss, those of most losses at
    whatever temperature.

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
        for term in self._terms:
            index = term.members
            teacher = fields[TEACHER_LOGITS][index] if term.has_teacher else None
            soft = term(logits[index], teacher, y[index])
            if soft.ndim == 2:
                if SOFT_WEIGHT in fields:
                    soft = fields[SOFT_WEIGHT][index] * soft
                soft = (mean[index] * soft).sum(1)
            loss[index] += self._alpha[index] * soft
        return loss

    def _hard(self, logits: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(
            logits.mT,  # classes before samples, as they lie in memory
            y.clamp(min=0),  # unlabelled samples have the weight 0
            reduction="none",
            label_smoothing=self._smoothing,
        )


class _Term:
    """The teacher's term of members that have the same one.

    Parameters
    ----------
    members : sequence of Member
    index : sequence of int
        Which of all members these are.
    n_members : int
        How many there are in all.
    """

    def __init__(
        self, members: Sequence[Member], index: Sequence[int], n_members: int
    ) -> None:
        first = members[0]
        device, dtype = first.net.device, next(first.net.module_.parameters()).dtype
        self.members: Any = torch.tensor(index, device=device)
        if [*index] == [*range(n_members)]:
            self.members = slice(None)  # without a copy
        self.loss = first.objective.loss
        self.has_teacher = TEACHER_LOGITS in first.fields
        self.is_by_sample = is_by_sample(self.loss)
        self._temperature = first.objective.temperature
        self._scale = None
        if type(self.loss) in _BY_SCALED_LOGITS:
            T = [float(member.objective.temperature) for member in members]
            self._scale = torch.tensor(T, device=device, dtype=dtype)[:, None]
            self._squared = self._scale**2
            self._temperature = 1.0

    def __call__(self, z_s: Tensor, z_t: Tensor | None, y: Tensor) -> Tensor:
        """Return the loss of each sample, or of each batch."""
        if self._scale is None:
            return self._unscaled(z_s, z_t, y)
        scale = self._scale[..., None]
        z_t = None if z_t is None else z_t / scale
        return self._squared * self._unscaled(z_s / scale, z_t, y)

    def _unscaled(self, z_s: Tensor, z_t: Tensor | None, y: Tensor) -> Tensor:
        if self.is_by_sample:
            flat = None if z_t is None else _flat(z_t)
            each = self.loss(_flat(z_s), flat, y.flatten(), self._temperature)
            return each.view(y.shape)
        in_dims = (0, None if z_t is None else 0, 0, None)
        return torch.vmap(self.loss, in_dims)(z_s, z_t, y, self._temperature)


def _flat(z: Tensor) -> Tensor:
    """Return (n_members, n, n_classes) as (n_members * n, n_classes).

    Classes come first in memory, as :class:`skkd.losses.KD` has them for its softmax.
    """
    return z.permute(2, 0, 1).flatten(1).t()


def is_by_sample(loss: Any) -> bool:
    """Tell whether the loss of a sample does not depend on the others of its batch."""
    if type(loss) is LogitStandardization:
        return is_by_sample(loss.loss)
    if type(loss) is WeightedSum:
        return all(is_by_sample(part) for _, part in loss.weighted_parts())
    return type(loss) in _BY_SAMPLE


def _terms(members: Sequence[Member]) -> list[_Term]:
    """Return the terms, each with the members that it is of."""
    found: dict[Any, list[int]] = {}
    for i, member in enumerate(members):
        if member.alpha > 0:
            found.setdefault(loss_key(member), []).append(i)
    return [
        _Term([members[i] for i in index], index, len(members))
        for index in found.values()
    ]


def loss_key(member: Member) -> Any:
    """Return what equal terms share, hashable."""
    loss, temperature = member.objective.loss, float(member.objective.temperature)
    if type(loss) in _BY_SCALED_LOGITS:
        temperature = 0.0  # that of each member is a factor
    has_params = hasattr(loss, "get_params")
    return type(loss), repr(loss) if has_params else id(loss), temperature
