"""Statistics of batch normalisation, computed anew where they lag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.dataset import get_len, unpack_data
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Subset

from skkd._data.batches import labelled_part, loader
from skkd._fit.views import BatchViews
from skkd._utils.modules import first_tensor
from skkd._utils.rng import preserved_rng

# How many batches the two modes are compared on, and by how much that of evaluation may
# be the worse one: the loss as a factor and beyond it, the accuracy.
_N_BATCHES, _FACTOR, _MARGIN, _ACCURACY = 4, 1.2, 0.02, 0.04
# Statistics of more samples are hardly better, and an epoch may have millions.
_N_SAMPLES = 10_000


def correct_statistics(net: Any, fit_params: Mapping[str, Any]) -> bool:
    """Compute the statistics anew if they make the training samples clearly worse.

    In training each batch is normalised by its own statistics. If the running averages
    belong to earlier weights, the loss of the same samples is larger in evaluation, or,
    early in training where all losses are alike, fewer of them are right.

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
        loss, accuracy = _quality(net, some, size, fit_params)
        with _own_statistics(layers):
            best, most = _quality(net, some, size, fit_params)
        net._set_training(True)
        lags = loss > _FACTOR * best + _MARGIN or accuracy < most - _ACCURACY
        if lags:
            update_statistics(net, layers, dataset, net.augment, fit_params, _N_SAMPLES)
    return lags


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
    n_samples: int | None = None,
) -> None:
    """Set the running averages to the plain averages over all batches.

    With `n_samples`, over those of so many samples, drawn at random.
    """
    dataset = _shuffled(dataset, n_samples)
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
        for batch in loader(dataset, -(-len(dataset) // n_batches)):
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


def _shuffled(dataset: Any, n_samples: int | None = None) -> Any:
    """Return the samples, or some of them, in another order, the same each time.

    Those of one class often lie together, and vary less than all of them do.
    """
    order = np.random.default_rng(0).permutation(len(dataset))[:n_samples]
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
def _quality(
    net: Any, dataset: Any, size: int, fit_params: Mapping[str, Any]
) -> tuple[float, float]:
    """Return loss and accuracy; layers stay in the mode that they are in."""
    losses, right = [], []
    for batch in loader(dataset, size):
        X, y = unpack_data(batch)
        outputs = net.infer(X, **fit_params)
        losses.append(net.get_loss(outputs, y, X=X, training=False))
        logits = outputs if isinstance(outputs, Tensor) else first_tensor(outputs)
        right.append((logits.argmax(1).cpu() == torch.as_tensor(y).cpu()).float())
    return float(torch.stack(losses).mean()), float(torch.cat(right).mean())
