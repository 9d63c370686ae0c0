"""What a fitted classifier costs: parameters, bytes, time."""

from __future__ import annotations

import io
import pickle
import time
from typing import Any

import numpy as np
import torch

from skkd._modules import count_parameters
from skkd.displays._asking import last_step, predictions
from skkd.teachers import as_teacher

COSTS = ("parameters", "bytes", "latency")


def cost_of(name: str, estimator: Any, X: Any, cost: str) -> float:
    """Return one of `COSTS` of a fitted classifier."""
    if cost == "parameters":
        return _parameters(name, estimator)
    return _bytes(estimator) if cost == "bytes" else _latency(name, estimator, X)


def _network(estimator: Any) -> torch.nn.Module | None:
    last = last_step(estimator)
    last = getattr(last, "student_", last)
    return getattr(last, "module_", None)


def _parameters(name: str, estimator: Any) -> float:
    network = _network(estimator)
    if network is not None:
        return count_parameters(network)
    count = as_teacher(last_step(estimator)).n_parameters
    if count is None:
        raise TypeError(
            f"{name} is a {type(last_step(estimator)).__name__}, whose parameters are "
            "not counted: take cost='bytes' or 'latency', or leave it out."
        )
    return count


def _bytes(estimator: Any) -> float:
    """Return the bytes of the weights of a network, or of the pickle of another."""
    network = _network(estimator)
    if network is None:
        return len(pickle.dumps(estimator))
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getbuffer().nbytes


def _latency(name: str, estimator: Any, X: Any, repeats: int = 21) -> float:
    """Return the median milliseconds to predict the first row, after one to warm up."""
    row = X[:1] if not hasattr(X, "iloc") else X.iloc[:1]
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        predictions(name, estimator, row)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[1:]))
