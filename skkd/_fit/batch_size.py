"""Batches that are too small to train on."""

from __future__ import annotations

from typing import Any

import torch
from skorch.dataset import get_len, unpack_data
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from skkd._data.batches import batch_of
from skkd._data.keys import split_inputs
from skkd._utils.modules import describe
from skkd._utils.rng import preserved_rng

# What torch says of one value for each channel.
_ONE_VALUE = "Expected more than 1 value per channel"


def merges_last_row(net: Any, dataset: Any, kwargs: dict[str, Any]) -> bool:
    """Tell whether a last batch of one row is to join the one before.

    Only if the student cannot be trained on it, as with batch normalisation of vectors
    or of maps of one pixel.
    """
    if not len(dataset):
        raise no_step(net)
    if kwargs.get("drop_last") or "batch_sampler" in kwargs or len(dataset) == 1:
        return False
    size, sampler = kwargs["batch_size"], kwargs.get("sampler", dataset)
    if net.iterator_train is not DataLoader or size is None or size < 2:
        return False
    if hasattr(sampler, "__len__") and len(sampler) % size != 1:
        return False
    return not _takes_one_row(net, dataset)


def _takes_one_row(net: Any, dataset: Any) -> bool:
    """Try it, and leave random streams, buffers and modes as they were."""
    if not any(isinstance(layer, _BatchNorm) for layer in net.module_.modules()):
        return True
    inputs, fit_params = split_inputs(batch_of(dataset, [0])[0])[0], {}
    if net._objective_ is not None:
        fit_params = net._objective_.fit_params
    buffers = [(buffer, buffer.clone()) for buffer in net.module_.buffers()]
    with preserved_rng(net.device or "cpu"), torch.no_grad():
        net._set_training(True)
        try:
            net.infer(inputs, **fit_params)
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            return False
        finally:
            for buffer, value in buffers:
                buffer.copy_(value)
    return True


def explained(net: Any, batch: Any, error: ValueError) -> ValueError:
    """Return an error that says what to do, if a batch of one row is the reason."""
    if _ONE_VALUE not in str(error) or get_len(unpack_data(batch)[0]) > 1:
        return error
    name = describe(net.module_)
    if net.batch_size == 1:
        remedy = "pass batch_size=2 or more"
    elif net.iterator_train is not DataLoader or net.get_params_for("iterator_train"):
        remedy = "pass iterator_train__drop_last=True, or another batch_size"
    else:
        remedy = "fit it on more than one row"
    return ValueError(
        f"Got a batch of one row, and the batch normalisation of the student {name} "
        f"needs two at least to compute a variance: {remedy}."
    )


def no_step(net: Any) -> ValueError:
    """Return the error of an epoch without a batch."""
    params = net.get_params_for("iterator_train")
    settings = {"batch_size": net.batch_size, **params}
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    remedy = "check train_split, or the sampler of iterator_train"
    if params.get("drop_last"):
        remedy = "leave out drop_last=True, or pass a smaller batch_size"
    return ValueError(
        f"An epoch has no batch to train on, so that nothing is learnt ({given}): "
        f"{remedy}."
    )
