"""What the members of a stack drop: each what it would drop by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skkd._packed.member import Member, index_iterator
from skkd._utils.rng import preserved_rng


class StackedDropout:
    """The random numbers that members with dropout draw while they are trained.

    In a single fit one stream decides on the order of the samples and on what is
    dropped. Members that start from the same state, as those of a search that differ in
    temperature, share theirs. Without dropout nothing is drawn.

    Parameters
    ----------
    members : sequence of Member

    Attributes
    ----------
    is_used : bool
        Whether the members have dropout.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        modules = members[0].net.module_.modules()
        self.is_used = any(isinstance(module, nn.Dropout) for module in modules)
        starts = [(bytes(m.start.tolist()), len(m.y)) for m in members]
        keys = [*dict.fromkeys(starts)]
        self._first = [starts.index(key) for key in keys]  # member of each stream
        self._of_member = torch.tensor([keys.index(key) for key in starts])
        self._streams = [_Stream(members[i]) for i in self._first if self.is_used]
        self._sizes: list[int] = []

    def epoch(self, number: int) -> list[list[np.ndarray]]:
        """Return the batches of an epoch of each member; the epochs go in order."""
        if not self.is_used:
            return [member.batches[number] for member in self._members]
        drawn = [stream.draw_batches() for stream in self._streams]
        return [drawn[i] for i in self._of_member]

    def start_batch(self, sizes: Tensor) -> None:
        """Say how many samples the batches have; before that nothing is dropped."""
        self._sizes = sizes[self._first].tolist()

    def __call__(self, x: Tensor, p: float) -> Tensor:
        """Return x, ``(n_members, n, ...)``, with a fraction `p` of it set to zero."""
        if not self._sizes or p == 0:
            return x
        kept = x.new_zeros(len(self._streams), *x.shape[1:])
        for rows, n, stream in zip(kept, self._sizes, self._streams, strict=True):
            rows[:n].bernoulli_(1 - p, generator=stream.generator)
        return x * kept.div_(1 - p)[self._of_member]

    def finish(self) -> None:
        """Leave the members' random streams as their fits would."""
        seeds = [stream.draw_seed() for stream in self._streams]
        if self.is_used:
            for member, i in zip(self._members, self._of_member, strict=True):
                member.net.next_seed_ = seeds[i]


class _Stream:
    """The random numbers of one fit, from the start of its training."""

    def __init__(self, member: Member) -> None:
        self.generator = torch.Generator()
        self.generator.set_state(member.start)
        self._iterator: Any = index_iterator(member.net, len(member.y))

    def draw_batches(self) -> list[np.ndarray]:
        """Return the samples of the batches of the next epoch."""
        with preserved_rng():  # a DataLoader draws from the global generator
            torch.set_rng_state(self.generator.get_state())
            batches = [index.numpy() for _, index in self._iterator]
            self.generator.set_state(torch.get_rng_state())
        return batches

    def draw_seed(self) -> int:
        """Return what a fit keeps for the next one."""
        return int(torch.randint(2**31 - 1, (), generator=self.generator).item())
