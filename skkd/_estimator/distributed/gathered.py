"""Predictions of which each process computes a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from skkd._data.rows import len_of, pick
from skkd._estimator.distributed.processes import OtherProcessError, Processes
from skkd._estimator.distributed.same_fit import checksum
from skkd._estimator.distributed.shares import Share


def gathered_outputs(
    net: Any, X: Any, processes: Processes, outputs_of: Callable[..., Iterator[Any]]
) -> Any:
    """Return the student's outputs for all rows, in order, in each process.

    Parameters
    ----------
    net : AcceleratedClassifier
    X : rows
        The same in all processes.
    processes : Processes
    outputs_of : callable
        Yields the outputs for rows, batch by batch, on a device.

    Raises
    ------
    OtherProcessError
        If the processes do not predict the same rows by the same student.
    """
    _check_same_rows(net, X, processes)
    share = Share(len_of(X), processes.rank, processes.n_processes)
    part = pick(X, np.arange(len_of(X))[share.rows])
    own = [*outputs_of(part, device=processes.device)]
    return share.gather_tree(_concatenated(own), device=processes.device)[0]


def _check_same_rows(net: Any, X: Any, processes: Processes) -> None:
    try:
        met = processes.meet("a prediction", (len_of(X), checksum(net.module_)))
    except OtherProcessError as error:
        error.add_note(
            "With gather_predictions=True all processes have to predict the same "
            "rows: set_params(gather_predictions=False) predicts in each alone."
        )
        raise
    if any(one != met[0] for one in met):
        raise OtherProcessError(
            "The processes predict different rows, or with different students "
            f"(rows: {[n for n, _ in met]}): fit in all of them, and predict the "
            "same rows, or set gather_predictions=False."
        )


def _concatenated(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], Mapping):
        return {key: _concatenated([o[key] for o in outputs]) for key in outputs[0]}
    if isinstance(outputs[0], tuple):
        return tuple(_concatenated([*parts]) for parts in zip(*outputs, strict=True))
    return torch.cat(outputs)
