"""Statistics of batch normalisation, computed anew where they lag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.dataset import get_len, unpack_data
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Subset

from skkd._data.batches import labelled_part, loader
from skkd._fit.views import BatchViews
from skkd._utils.rng import preserved_rng

# How many batches the two losses are compared on, and by how much that of evaluation
# may be the larger one: as a factor, and beyond it.
_N_BATCHES, _FACTOR, _MARGIN = 4, 1.5, 0.05


def correct_statistics(net: Any, fit_params: Mapping[str, Any]) -> bool:
    """Compute the statistics anew if they make the training loss clearly worse.

    In training each batch is normalised by its own statistics. If the running averages
    belong to earlier weights, the loss of the same samples is larger in evaluation.

    Returns
    -------
    bool
        Whether they were computed anew.
    """
    layers, dataset = tracking_layers(net), net._objective_.dataset_train
    if not layers or dataset is None:
        return False
    some = _shuffled(labelled_part(dataset))
    size = len(some) if net.batch_size == -1 else min(net.batch_size, len(some))
    if size < 2:
        return False
    some = Subset(some, range(min(len(some), _N_BATCHES * size) // size * size))
    with preserved_rng(net.device or "cpu"):
        net._set_training(False)
        in_evaluation = _loss(net, some, size, fit_params)
        with _own_statistics(layers):
            in_training = _loss(net, some, size, fit_params)
        net._set_training(True)
        if not in_evaluation > _FACTOR * in_training + _MARGIN:
            return False
        update_statistics(net, layers, dataset, net.augment, fit_params)
    return True


def tracking_layers(net: Any) -> list[_BatchNorm]:
    """Return the layers whose running averages training changes; the net trains."""
    net._set_training(True)
    return [
        layer
        for layer in net.module_.modules()
        if isinstance(layer, _BatchNorm)
        and layer.training
        and layer.track_running_stats
    ]


@torch.no_grad()
def update_statistics(
    net: Any,
    layers: list[_BatchNorm],
    dataset: Any,
    augment: Any,
    fit_params: Mapping[str, Any],
) -> None:
    """Set the running averages to the plain averages over all batches."""
    net._set_training(True)
    momenta = [layer.momentum for layer in layers]
    before = [(b, b.clone()) for layer in layers for b in layer.buffers()]
    size = len(dataset) if net.batch_size == -1 else net.batch_size
    n_batches = -(-len(dataset) // size)
    views = BatchViews(augment, None, "same")  # the teacher is not needed
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        # As even as possible: a small batch would count as much as a large one.
        for batch in loader(_shuffled(dataset), -(-len(dataset) // n_batches)):
            X = views(unpack_data(batch)[0], net.module_, net.device, len(net.history))
            if n_batches == 1 or get_len(X) > 1:  # one sample has no variance
                net.infer(X, **fit_params)
    except BaseException:  # half of the batches would be worse than none
        for buffer, value in before:
            buffer.copy_(value)
        raise
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _shuffled(dataset: Any) -> Any:
    """Return the samples in another order, the same each time.

    Those of one class often lie together, and vary less than all of them do.
    """
    order = np.random.default_rng(0).permutation(len(dataset))
    return Subset(dataset, order.tolist())


@contextmanager
def _own_statistics(layers: list[_BatchNorm]) -> Iterator[None]:
    """Normalise batches by their own statistics; the averages stay as they are."""
    averages = [(b, b.clone()) for layer in layers for b in layer.buffers()]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in averages:
                buffer.copy_(value)


@torch.no_grad()
def _loss(net: Any, dataset: Any, size: int, fit_params: Mapping[str, Any]) -> float:
    """Return the criterion's mean; layers stay in the mode that they are in."""
    losses = []
    for batch in loader(dataset, size):
        X, y = unpack_data(batch)
        losses.append(net.get_loss(net.infer(X, **fit_params), y, X=X, training=False))
    return float(torch.stack(losses).mean())
