"""A training step over several processes: what is exchanged, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from skkd._estimator.distributed.batch_norm import whole_batch_statistics
from skkd._estimator.distributed.processes import Processes
from skkd._estimator.distributed.shares import Share, SharedBatches
from skkd._utils.rng import SecondStream

# Whether buffers are sent before each pass: the name is another one from torch 2.14 on.
_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters
    else "broadcast_buffers"
)


class SharedTraining:
    """The training of a student by several processes.

    All processes draw the same batches, and each runs the student on its share. The
    loss is computed by all of them, from the outputs for the whole batch: so it is that
    of one process, whatever it does with the rows of a batch. Gradients are averaged
    by torch's DistributedDataParallel.

    Parameters
    ----------
    processes : Processes
    accelerator : accelerate.Accelerator

    Attributes
    ----------
    batches : SharedBatches or None
        What is iterated over.
    whole : tuple or None
        Labels and outputs of the last batch, of all processes.
    """

    def __init__(self, processes: Processes, accelerator: Any) -> None:
        self.processes = processes
        self.handler = accelerator.ddp_handler
        self.batches: SharedBatches | None = None
        self.whole: tuple[Any, Any] | None = None
        self._parallel: DistributedDataParallel | None = None
        self._of: list[Any] = []  # the parameters that it exchanges the gradients of
        self._is_first_pass = False
        self.own_stream = SecondStream(0)

    def begin(self) -> None:
        """Start the stream of what this process draws for its own rows.

        Its seed is made of that of the fit, and nothing is drawn for it: all processes
        draw the batches of a fit in one.
        """
        entropy = [torch.initial_seed() % 2**63, self.processes.rank]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        self.own_stream = SecondStream(seed, self.processes.device)

    @property
    def share(self) -> Share | None:
        """The share of the batch that is being looked at."""
        return None if self.batches is None else self.batches.share

    @contextmanager
    def sharing(self, loader: Any) -> Iterator[SharedBatches]:
        """Divide the batches of a DataLoader, in this block."""
        place = self.processes.rank, self.processes.n_processes
        self.batches = SharedBatches(loader, *place)
        try:
            yield self.batches
        finally:
            self.batches = self.whole = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Let the first forward pass of this block be that of a training step."""
        self._is_first_pass = True
        try:
            yield
        finally:
            self._is_first_pass = False

    @contextmanager
    def forward_pass(self, net: Any) -> Iterator[None]:
        """Exchange gradients, and statistics of the batch, if this is for training."""
        if not self._is_first_pass or self.share is None:
            yield
            return
        self._is_first_pass = False
        module, device = net.module_, self.processes.device
        parallel = self._parallel_of(module)
        vars(net)["module_"] = parallel
        try:
            with whole_batch_statistics(module, self.share, device):
                yield
        finally:
            vars(net)["module_"] = module

    def _parallel_of(self, module: torch.nn.Module) -> DistributedDataParallel:
        trained = [p for p in module.parameters() if p.requires_grad]
        same = len(trained) == len(self._of) and all(
            a is b for a, b in zip(trained, self._of, strict=True)
        )
        if self._parallel is None or not same:  # callbacks may freeze some, or thaw
            on_gpu = self.processes.device.type == "cuda"
            kwargs: dict[str, Any] = {}
            if self.handler is not None:
                kwargs = self.handler.to_kwargs()
            kwargs.pop("broadcast_buffers", None)
            # Those of batch normalisation are equal, and there are no others.
            kwargs[_BUFFERS] = False
            self._parallel = DistributedDataParallel(
                module,
                device_ids=[self.processes.device] if on_gpu else None,
                **kwargs,
            )
            if self.handler is not None:
                self.handler.register_comm_hook(self._parallel)
            self._of = trained
        return self._parallel

    def check_gradients(self, module: torch.nn.Module) -> None:
        """Raise if a parameter had no gradient, so that others' were not averaged."""
        names = [
            name
            for name, p in module.named_parameters()
            if p.requires_grad and p.grad is None
        ]
        if names and not getattr(self.handler, "find_unused_parameters", False):
            raise ValueError(
                f"The training loss does not depend on {', '.join(names[:4])}, and the "
                "processes wait for these gradients: call requires_grad_(False) on "
                "what is not to be trained, or, if layers are left out at random, "
                "write Accelerator(kwargs_handlers=[DistributedDataParallelKwargs("
                "find_unused_parameters=True)])."
            )

    def gather_features(self, features: list[Tensor]) -> list[Tensor]:
        """Return features of layers for the whole batch."""
        if self.share is None:
            return features
        return self.share.gather(features)

    def gather_batch(self, y_pred: Any, y: Any, X: Any) -> tuple[Any, Any, Any]:
        """Return outputs, labels and batch fields of the whole batch."""
        if self.share is None:
            return y_pred, y, X
        y = torch.as_tensor(y)
        X, y, y_pred = self.share.gather_fields(X, y, y_pred)
        self.whole = y, y_pred
        return y_pred, y, X

    def whole_batch(self, X: Any) -> tuple[Any, Any]:
        """Return the last batch, of all processes; X of None stays None."""
        y, _ = self.whole  # type: ignore[misc]
        if X is None:
            return None, y
        device = self.processes.device
        return self.share.gather_tree(X, device=device)[0], y  # type: ignore[union-attr]
