"""A prediction of arrays in memory: a few large pieces, without a DataLoader.

To a small network a batch costs more than its arithmetic, and a DataLoader several
times that. So arrays are cut into slices of as many rows as memory suggests. A trial,
once a network, measures its activations and sees that a row gets the same answer
whatever is beside it. Else, and where the sizes of batches may be seen or matter more
than to the last digits, a slice has ``batch_size`` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from scipy.sparse import issparse
from skorch.dataset import Dataset, get_len
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from skkd._data.mapped import check_mapped
from skkd._estimator.compute import device_of, resolve_precision
from skkd._utils.modules import uncompiled

# How many bytes the largest activation of a piece may take: what a core has of cache.
# A GPU has more, and launches each of its kernels.
_N_BYTES, _N_BYTES_OF_GPU = 2**20, 2**25
# With how many rows a trial begins.
_N_ROWS = 2
# What a user may replace to have predictions made in another way.
_STEPS = ("get_dataset", "get_iterator", "evaluation_step", "infer")
_steps_of = attrgetter(*_STEPS)
# The rows of a piece, by network and by what else they depend on.
_known_rows: WeakKeyDictionary[nn.Module, dict[Any, int]] = WeakKeyDictionary()


def has_plain_steps(net: Any, base: type) -> bool:
    """Tell whether a built net predicts as `base` does, in no way of a user's own.

    Parameters
    ----------
    net : SkorchClassifier
    base : type
        The class of `net` whose steps are known.
    """
    state = vars(net)
    # All at once: one by one they take as long as a small network.
    names = " ".join(state)
    return (
        "module_" in state  # or skorch's error
        and net.iterator_valid is DataLoader
        and net.dataset is Dataset
        and "iterator_valid__" not in names
        and "dataset__" not in names
        and isinstance(net.batch_size, (int, np.integer))
        and state.keys().isdisjoint(_STEPS)
        and _steps_of(type(net)) == _steps_of(base)
    )


def lies_in_arrays(X: Any) -> bool:
    """Tell whether X is an array in memory, or a mapping of such."""
    return all(map(_is_array, _parts(X)))


def evaluate_in_pieces(net: Any, X: Any) -> Iterator[Any]:
    """Yield the outputs of the student of `net`, in eval mode, for X piece by piece."""
    n = X.shape[0] if hasattr(X, "shape") else get_len(X)
    size = _rows_of_a_piece(net, X, n)
    for start in range(0, n, size):
        yield _evaluate(net, _take(X, slice(start, start + size)))


def _evaluate(net: Any, inputs: Any) -> Any:
    # Not `inference_mode`: a student may keep a tensor of its forward pass, such as a
    # mask or a table of positions, which could not be trained with afterwards.
    with torch.no_grad():
        net._set_training(False)
        return net.infer(inputs)


def _take(X: Any, rows: slice) -> Any:
    """Copy rows as tensors: a student may work in place, and not on the user's data."""
    if _is_mapping(X):
        return {key: _take(value, rows) for key, value in X.items()}
    if getattr(X, "base", None) is not None:  # a view, maybe of a file
        check_mapped(X)
    part = X[rows]
    if isinstance(part, Tensor):
        return part.detach().clone()
    dense = part.toarray() if issparse(part) else np.array(part, order="C")
    return torch.from_numpy(dense)


def _rows_of_a_piece(net: Any, X: Any, n: int) -> int:
    size = int(net.batch_size)
    if size == -1:  # all, as in skorch
        return max(n, 1)
    if n <= size or not _may_differ_in_size(net):
        return size
    shapes = tuple((str(part.dtype), *part.shape[1:]) for part in _parts(X))
    key = size, str(device_of(net)), shapes
    known = _known_rows.setdefault(net.module_, {})
    if key not in known:
        known[key] = _try(net, X, n, size)
    return known[key]


def _may_differ_in_size(net: Any) -> bool:
    """Tell whether no hook sees the batches, and float32 is computed in.

    Networks that were compiled would be compiled again for another size.
    """
    module = net.module_
    return (
        uncompiled(module) is module
        and resolve_precision(net.precision, device_of(net).type) == "fp32"
        and not any(
            isinstance(part, torch.jit.ScriptModule)
            or part._forward_hooks
            or part._forward_pre_hooks
            for part in module.modules()
        )
    )


def _try(net: Any, X: Any, n: int, size: int) -> int:
    """Return the rows of a piece: more than `size` if memory and network allow it."""
    try:
        inputs = _take(X, slice(_N_ROWS))
        with _LargestTensor() as largest:
            few = _tensors(_evaluate(net, inputs))
        n_bytes = max([largest.n_bytes, *(x.nbytes for x in _tensors(inputs))])
        budget = _N_BYTES if device_of(net).type == "cpu" else _N_BYTES_OF_GPU
        larger = budget * _N_ROWS // n_bytes
        if larger <= size:
            return size
        many = _tensors(_evaluate(net, _take(X, slice(min(larger, n)))))
    except Exception:  # whatever a student says of another number of rows
        return size
    return larger if all(map(_begin_alike, few, many)) else size


def _begin_alike(few: Tensor, many: Tensor) -> bool:
    """Tell whether rows got the same answers beside others, but for the last digits."""
    head = many[: len(few)]
    if few.shape != head.shape or few.dtype.itemsize < 4:
        return False
    scale = max(1.0, few.abs().max().item())
    return torch.allclose(few, head, rtol=0, atol=1e-6 * scale)


class _LargestTensor(TorchDispatchMode):
    """Measures the largest tensor that is computed in this thread; refuses to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise RuntimeError(f"{func} draws from a stream that is the user's")
        outputs = func(*args, **(kwargs or {}))
        if not func.is_view:  # as transposed weights are
            sizes = [part.nbytes for part in _tensors(outputs)]
            self.n_bytes = max([self.n_bytes, *sizes])
        return outputs


def _tensors(outputs: Any) -> list[Tensor]:
    outputs = [*outputs.values()] if isinstance(outputs, Mapping) else outputs
    parts = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return [part for part in parts if isinstance(part, Tensor)]


def _parts(X: Any) -> list[Any]:
    return [*X.values()] if _is_mapping(X) else [X]


def _is_mapping(X: Any) -> bool:
    if isinstance(X, np.ndarray):  # known sooner
        return False
    return isinstance(X, Mapping) and not issparse(X)  # scipy's DOK is a dict


def _is_array(part: Any) -> bool:
    if isinstance(part, (np.ndarray, Tensor)):
        return True
    return issparse(part) and part.format == "csr"
