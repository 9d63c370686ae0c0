"""Teachers' logits remembered on disk."""

from __future__ import annotations

import functools
import os
import types
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from joblib.hashing import Hasher, NumpyHasher
from sklearn.utils.validation import check_memory
from skorch import NeuralNet

from skkd.teachers import Teacher
from skkd.teachers._sklearn import CallableTeacher

# What pickle writes as a name, whatever it does.
_NAMED_ONLY = (types.FunctionType, types.BuiltinFunctionType, functools.partial)
# What made a skorch net, and has no say in its outputs any more.
_PAST = {
    *("module", "criterion", "optimizer", "callbacks"),
    *("optimizer_", "callbacks_", "history_"),
}


def remembered_logits(
    memory: Any, adapter: Teacher, X: Any, classes: np.ndarray
) -> np.ndarray:
    """Return ``adapter.logits(X, classes)``, from `memory` where it was asked before.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
    adapter : Teacher
    X : array-like of n rows
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of shape (n, n_classes)

    Raises
    ------
    ValueError
        If the teacher is a function, or cannot be pickled.
    """
    if memory is None:
        return adapter.logits(X, classes)
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    cached = check_memory(memory).cache(_logits, ignore=["adapter", "X"])
    return cached(adapter, X, classes, fingerprint((adapter, X)))


def fingerprint(content: Any) -> str:
    """Return a hash that changes with the content: weights, rows, settings."""
    try:
        return _ContentHasher(hash_name="md5").hash(content)
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise ValueError(
            f"memory= cannot tell one teacher or X from another: {error}. Give it what "
            "can be pickled, its classes defined at the top level of a module, or "
            "leave out memory=."
        ) from error


class _ContentHasher(NumpyHasher):
    """joblib's, which would tell tensors apart by their place in memory."""

    def __init__(self, hash_name: str) -> None:
        super().__init__(hash_name=hash_name)

    def save(self, obj: Any) -> None:
        if isinstance(obj, CallableTeacher) and isinstance(obj.model, _NAMED_ONLY):
            raise ValueError(
                f"{obj!r} is a function, known by its name whatever it does; an object "
                "with __call__ is known by its attributes"
            )
        if isinstance(obj, torch.Tensor):
            raw = obj.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            obj = ("tensor", str(obj.dtype), tuple(obj.shape), raw)
        elif isinstance(obj, NeuralNet):  # its own way to pickle is one of torch
            state = {k: v for k, v in vars(obj).items() if k not in _PAST}
            obj = ("net", type(obj), state)
        super().save(obj)

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        # joblib takes a TypeError of a value for one of the sorting of the keys, and
        # would leave the rest of the content out of the hash.
        items = list(items)
        try:
            items.sort(key=itemgetter(0))
        except TypeError:
            items.sort(key=lambda item: repr(item[0]))
        super(Hasher, self)._batch_setitems(iter(items), *args)


def _logits(adapter: Teacher, X: Any, classes: np.ndarray, key: str) -> np.ndarray:
    # A function of the module, so that joblib finds it again.
    return adapter.logits(X, classes)
