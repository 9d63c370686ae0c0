"""The samples of several students: one batch of each, gathered at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Of rows that are copied, in order to lie in one tensor.
_MAX_BYTES = 2**28


class StackedRows:
    """Rows of one tensor for each member, of which most are the same tensor.

    Parameters
    ----------
    tensors : sequence of Tensor of shape (n_i, ...)
        Alike but for their first axis; equal ones are kept once.
    device : str or torch.device
        That of the batches.
    """

    def __init__(self, tensors: Sequence[Tensor], device: Any) -> None:
        kept: list[Tensor] = []
        owners: list[list[int]] = []
        for i, tensor in enumerate(tensors):
            for known, members in zip(kept, owners, strict=True):
                if is_equal(known, tensor):
                    members.append(i)
                    break
            else:
                kept.append(tensor)
                owners.append([i])
        start = torch.zeros(len(tensors), 1, dtype=torch.int64)
        if sum(tensor.nbytes for tensor in kept) <= _MAX_BYTES:
            # Behind one another, and gathered at once.
            sizes = [0, *np.cumsum([len(tensor) for tensor in kept])]
            for first, members in zip(sizes, owners, strict=False):
                start[members] = int(first)
            kept, owners = [torch.cat(kept)], [[*range(len(tensors))]]
        self._start = start
        self._parts = [*zip(kept, map(torch.tensor, owners), strict=True)]
        order = [i for members in owners for i in members]
        is_sorted = order == sorted(order)
        self._back = None if is_sorted else torch.as_tensor(np.argsort(order))
        self._device = device

    def take(self, index: Tensor) -> Tensor:
        """Return the rows ``(n_members, n, ...)`` of an index ``(n_members, n)``."""
        index = index + self._start
        if len(self._parts) == 1:
            rows = _rows(self._parts[0][0], index)
        else:
            parts = [_rows(part, index[members]) for part, members in self._parts]
            rows = torch.cat(parts)
        rows = rows if self._back is None else rows[self._back]
        return rows.to(self._device)


def _rows(tensor: Tensor, index: Tensor) -> Tensor:
    """Return ``tensor[index]``, five times as fast as torch's indexing."""
    rows = tensor.index_select(0, index.flatten())
    return rows.view(*index.shape, *tensor.shape[1:])


def batch_indices(batches: Sequence[list[np.ndarray]]) -> list[tuple[Tensor, Tensor]]:
    """Return, of an epoch, the samples of each step, and how many they are.

    Parameters
    ----------
    batches : sequence of list of ndarray of int
        For each member its batches; as many for each.

    Returns
    -------
    list of (Tensor of shape (n_members, n), Tensor of shape (n_members,))
        Shorter batches are filled up with the sample 0.
    """
    steps = []
    for step in zip(*batches, strict=True):
        sizes = [*map(len, step)]
        index = np.zeros((len(step), max(sizes)), dtype=np.int64)
        for row, batch in zip(index, step, strict=True):
            row[: len(batch)] = batch
        steps.append((torch.as_tensor(index), torch.as_tensor(sizes)))
    return steps


def is_equal(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors hold the same, at once if they are the same memory."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    is_same = a.data_ptr() == b.data_ptr() and a.stride() == b.stride()
    return is_same or torch.equal(a, b)
