"""Training of students in the groups that can be trained as one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from skkd._packed.groups import groups_of, split
from skkd._packed.member import Member
from skkd._packed.refusal import CannotBePacked
from skkd._packed.train import train
from skkd._utils.modules import count_parameters

# Of the parameters of a stack, their gradients and the optimizer's two moments.
_MAX_BYTES, _COPIES = 2**29, 4
Key = TypeVar("Key")


class Packing(NamedTuple):
    """How the fits of a search were trained.

    Attributes
    ----------
    n_packed : int
        Fits that were trained together with others.
    n_groups : int
        Stacks of these.
    n_alone : dict of str to int
        How many were trained by themselves, by the reason.
    n_loaded : int
        How many were trained before, and loaded from a checkpoint.
    """

    n_packed: int
    n_groups: int
    n_alone: dict[str, int]
    n_loaded: int = 0

    def __str__(self) -> str:
        n = self.n_packed + sum(self.n_alone.values()) + self.n_loaded
        groups = f"{self.n_groups} group{'s' * (self.n_groups != 1)}"
        parts = [f"{self.n_packed} of {n} fits trained together, in {groups}"]
        parts += [f"{n} by themselves ({reason})" for reason, n in self.n_alone.items()]
        if self.n_loaded:
            parts.append(f"{self.n_loaded} loaded from a checkpoint")
        return "; ".join(parts)


class Trained(NamedTuple):
    """What came of students that were to be trained together.

    Attributes
    ----------
    seconds : dict of key to float
        Of those that were trained: equal shares of a group's time.
    reasons : dict of key to str
        Why each of the others is to be trained by itself.
    n_groups : int
    """

    seconds: dict
    reasons: dict
    n_groups: int


def train_together(
    members: Mapping[Key, Member], max_members: int | None = None
) -> Trained:
    """Train students in the groups that can be trained as one.

    Parameters
    ----------
    members : mapping of key to Member
    max_members : int or None
        Of a group; None is chosen by the size of the student.

    Returns
    -------
    Trained
    """
    keys = {id(member): key for key, member in members.items()}
    seconds: dict[Key, float] = {}
    reasons: dict[Key, str] = {}
    n_groups = 0
    for whole_group in groups_of([*members.values()]):
        for group in split(whole_group, max_members or _size_of(whole_group[0])):
            start = time.perf_counter()
            own = [keys[id(member)] for member in group]
            try:
                if len(group) == 1:
                    raise CannotBePacked("no other is like it")
                train(group)
            except CannotBePacked as reason:
                reasons |= dict.fromkeys(own, str(reason))
                continue
            share = (time.perf_counter() - start) / len(group)
            seconds |= dict.fromkeys(own, share)
            n_groups += 1
    return Trained(seconds, reasons, n_groups)


def _size_of(member: Member) -> int:
    n_bytes = _COPIES * 4 * count_parameters(member.net.module_)
    return max(1, _MAX_BYTES // max(n_bytes, 1))
