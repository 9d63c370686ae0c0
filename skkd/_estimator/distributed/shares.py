"""The share that each process takes of a batch, and what it makes of all shares."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader

from skkd._data.keys import INPUT, MIXUP_INDEX


class Share(NamedTuple):
    """The rows of a batch of `n_rows` that one process of several takes.

    The batch is that of a fit in one process. It is cut into pieces that differ by a
    row at most, in their order. A process without a row runs on one all the same, as
    all have to take part in the exchange of gradients; it does not count.
    """

    n_rows: int
    rank: int
    n_processes: int

    @property
    def sizes(self) -> list[int]:
        """How many rows each process takes."""
        least, more = divmod(self.n_rows, self.n_processes)
        return [least + (rank < more) for rank in range(self.n_processes)]

    @property
    def size(self) -> int:
        """How many rows this process takes."""
        return self.sizes[self.rank]

    @property
    def start(self) -> int:
        """The place of its first row in the batch."""
        return sum(self.sizes[: self.rank])

    @property
    def rows(self) -> slice:
        """The rows that this process runs on, one at least."""
        start = min(self.start, self.n_rows - 1)
        return slice(start, start + max(self.size, 1))

    def gather(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the rows of all processes, in order, of each of these tensors.

        Of those that have a gradient it is that of a loss which all processes compute
        alike, times the number of processes: by it the gradients of weights are divided
        when they are averaged.
        """
        own = [tensor[: self.size] for tensor in tensors]
        raw = [_bytes(tensor.detach()) for tensor in own]
        width = [part.shape[1] for part in raw]
        sent = raw[0].new_zeros(max(self.sizes), sum(width))
        sent[: self.size] = torch.cat(raw, dim=1)
        got = [torch.empty_like(sent) for _ in range(self.n_processes)]
        dist.all_gather(got, sent)
        pieces = [part[:size] for part, size in zip(got, self.sizes, strict=True)]
        whole = torch.cat(pieces).split(width, dim=1)
        gathered = []
        for part, like in zip(whole, own, strict=True):
            shape = (self.n_rows, *like.shape[1:])
            raw_values = part.clone(memory_format=torch.contiguous_format).view(-1)
            values = raw_values.view(like.dtype).reshape(shape)
            if like.requires_grad:
                values = _WithGradient.apply(like, values, self.start, self.n_processes)
            gathered.append(values)
        return gathered

    def gather_tree(self, *trees: Any, device: torch.device) -> list[Any]:
        """Gather all tensors in tuples, lists and mappings at once."""
        tensors: list[Tensor] = []
        for tree in trees:
            _collect(tree, tensors)
        for tensor in tensors:
            if tensor.ndim == 0 or len(tensor) != max(self.size, 1):
                raise ValueError(
                    f"An output of the student has shape {tuple(tensor.shape)}, "
                    f"expected ({max(self.size, 1)}, ...), a row for each of the "
                    "batch: others cannot be gathered from several processes."
                )
        gathered = iter(self.gather([tensor.to(device) for tensor in tensors]))
        return [_rebuild(tree, gathered) for tree in trees]

    def gather_fields(self, X: Any, y: Tensor, y_pred: Any) -> tuple[Any, Tensor, Any]:
        """Return batch fields, labels and outputs of the whole batch.

        The input stays that of this process: no loss looks at it.
        """
        fields = {}
        if isinstance(X, Mapping) and INPUT in X:
            fields = {key: torch.as_tensor(X[key]) for key in X if key != INPUT}
        if MIXUP_INDEX in fields:  # a process mixes its own rows
            fields[MIXUP_INDEX] = fields[MIXUP_INDEX] + self.start
        device = _first(y_pred).device
        fields, y, y_pred = self.gather_tree(fields, y, y_pred, device=device)
        return ({INPUT: X[INPUT], **fields} if fields else X), y, y_pred


class _WithGradient(torch.autograd.Function):
    """Put rows that have a gradient among others that have none."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, whole: Tensor, start: int, scale: int) -> Tensor:
        ctx.rows, ctx.scale = slice(start, start + len(own)), scale
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0][ctx.rows] * ctx.scale, None, None, None


class SharedBatches:
    """The batches of a DataLoader, of each the rows that this process takes.

    All processes have to draw the same batches, from the same random stream.
    """

    def __init__(self, loader: Any, rank: int, n_processes: int) -> None:
        self._shares: deque[Share] = deque()
        self._place = rank, n_processes
        self.share: Share | None = None  # of the batch that is being looked at
        self._batches = loader.batch_sampler
        if self._batches is None:
            raise ValueError(
                "batch_size=None leaves batches to the dataset, and the processes "
                "divide batches of rows among them: pass a number."
            )
        self._loader = DataLoader(
            loader.dataset,
            batch_sampler=_Shares(self._batches, self._place, self._shares),
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=loader.generator,
            prefetch_factor=loader.prefetch_factor,
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        self._shares.clear()
        try:
            for batch in self._loader:
                self.share = self._shares.popleft()
                yield batch
        finally:
            self.share = None


class _Shares:
    """A batch sampler that passes on the rows of one process."""

    def __init__(
        self, batches: Any, place: tuple[int, int], shares: deque[Share]
    ) -> None:
        self._batches, self._place, self._shares = batches, place, shares

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches:
            index = [*batch]
            share = Share(len(index), *self._place)
            self._shares.append(share)  # a worker of the loader may be batches ahead
            yield index[share.rows]


def _bytes(tensor: Tensor) -> Tensor:
    """Return the bytes of each row, (n, n_bytes)."""
    width = prod(tensor.shape[1:])
    flat = tensor.contiguous().reshape(len(tensor), width)
    return flat.view(torch.uint8).reshape(len(tensor), width * tensor.element_size())


def _first(tree: Any) -> Tensor:
    tensors: list[Tensor] = []
    _collect(tree, tensors)
    return tensors[0]


def _collect(tree: Any, tensors: list[Tensor]) -> None:
    if isinstance(tree, Mapping):
        tree = [*tree.values()]
    if isinstance(tree, (tuple, list)):
        for part in tree:
            _collect(part, tensors)
    elif isinstance(tree, Tensor):
        tensors.append(tree)


def _rebuild(tree: Any, tensors: Iterator[Tensor]) -> Any:
    if isinstance(tree, Mapping):
        return {key: _rebuild(part, tensors) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [_rebuild(part, tensors) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(tensors) if isinstance(tree, Tensor) else tree
