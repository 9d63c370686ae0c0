"""Batches of a fit: whole slices of arrays, with the fields of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from skorch.helper import SliceDataset
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
    default_collate,
)

from skkd._data.keys import HARD_WEIGHT, INPUT, SOFT_WEIGHT
from skkd._data.mapped import check_mapped, in_memory
from skkd._data.rows import pair_of
from skkd._data.weights import of_mean_1


class TrainingSet(Dataset):
    """The samples of a fit: input, encoded label and batch fields.

    Parameters
    ----------
    base : torch.utils.data.Dataset
        Gives ``(input, target)`` of a sample.
    X, y : array-like
        The samples and labels as the user gave them: what callbacks see.
    y_encoded : ndarray of shape (n,), int64
        Column of each sample's class; -1 marks an unlabelled sample.
    batch_fields : dict of str to ndarray of n rows
        What else a batch holds, such as the teacher's logits.
    groups : ndarray of shape (n,), default=None
        For ``train_split``.
    split : Split, default=None
        Where it is known which samples are for training.
    """

    def __init__(
        self,
        base: torch.utils.data.Dataset,
        *,
        X: Any,
        y: np.ndarray,
        y_encoded: Any,
        batch_fields: dict[str, Any] | None = None,
        groups: np.ndarray | None = None,
        split: Any = None,
    ) -> None:
        self.base, self.X, self.y, self.y_encoded = base, X, y, y_encoded
        self.batch_fields, self.groups = batch_fields or {}, groups
        self.split = split
        self._arrays = arrays_of(base)

    def __len__(self) -> int:
        return len(self.y_encoded)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        inputs, _ = pair_of(self.base, i)
        if self.batch_fields:
            # Copies, since torch warns of views of read-only arrays.
            check_mapped(self.batch_fields)
            fields = {k: np.array(v[i]) for k, v in self.batch_fields.items()}
            inputs = {INPUT: inputs, **{k: torch.as_tensor(fields[k]) for k in fields}}
        return inputs, self.y_encoded[i]

    def to(self, device: Any) -> TrainingSet:
        """Return the same samples with all arrays on `device`."""
        return TrainingSet(
            Dataset(_to(self._arrays, device)),
            X=self.X,
            y=self.y,
            y_encoded=torch.as_tensor(self.y_encoded).to(device),
            batch_fields=_to(self.batch_fields, device),
        )

    def arrays(self) -> Any:
        """Return the array(s) behind the samples, or None if items are made."""
        return self._arrays

    def batch(self, index: np.ndarray) -> tuple[Any, torch.Tensor]:
        """Return inputs with batch fields, and encoded labels, of many samples."""
        X = take(self._arrays, index)
        if self.batch_fields:
            X = {INPUT: X}
            for key, values in self.batch_fields.items():
                if getattr(values, "base", None) is not None:
                    check_mapped(values)
                X[key] = torch.as_tensor(values[index])
        return X, torch.as_tensor(self.y_encoded[index])


class WholeBatches(torch.utils.data.Dataset):
    """Samples of arrays for a DataLoader, fetched a batch at a time.

    A DataLoader that collates single items spends most of an epoch of a small
    network on that; one indexing operation a batch takes almost nothing.

    Parameters
    ----------
    dataset : TrainingSet or skorch.dataset.Dataset
        With arrays behind it.
    index : ndarray of int
        Of the samples in `dataset`.
    is_resident : bool, default=False
        Whether the samples lie on the device that will use them.
    """

    def __init__(
        self, dataset: Any, index: np.ndarray, is_resident: bool = False
    ) -> None:
        self.dataset, self.index = dataset, index
        self.is_resident = is_resident

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Any, torch.Tensor]:
        index = self.index[np.asarray(indices)]
        if isinstance(self.dataset, TrainingSet):
            return self.dataset.batch(index)
        inputs, y = take(arrays_of(self.dataset), index), self.dataset.y
        if y is None:
            return inputs, torch.zeros(len(index))
        # Labels of a dataset to predict may be names, which no tensor holds.
        named = getattr(y.dtype, "kind", None) in ("O", "S", "U")
        return inputs, y[index] if named else take(y, index)


def whole_batches(dataset: Any, device: Any = "cpu") -> WholeBatches | None:
    """Wrap `dataset` if its samples lie in arrays; None if they do not.

    The samples of a fit move to `device` once, if they fit; others batch by batch.
    """
    base, index = unwrap(dataset)
    if arrays_of(base) is None:
        return None
    index = np.arange(len(base)) if index is None else index
    moves = isinstance(base, TrainingSet) and _has_room(device, base)
    return WholeBatches(base.to(device) if moves else base, index, moves)


def make_iterator(
    iterator: type,
    dataset: Any,
    *,
    device: Any,
    fitting: bool,
    merge_last: bool = False,
    **kwargs: Any,
) -> Any:
    """Return a DataLoader of `dataset` that fetches whole batches if it can.

    Parameters
    ----------
    iterator : type
        ``iterator_train`` or ``iterator_valid`` of the net.
    dataset : torch.utils.data.Dataset
    device : str or torch.device
        That of the net.
    fitting : bool
        Whether the batches are for training: shuffled unless `kwargs` say otherwise.
    merge_last : bool, default=False
        Whether the last batch, of one sample, joins the one before.
    **kwargs
        Of the iterator.
    """
    if kwargs["batch_size"] == -1:
        kwargs["batch_size"] = len(dataset)
    if iterator is not DataLoader:
        return iterator(dataset, **kwargs)
    if isinstance(kwargs["batch_size"], np.integer):  # torch takes Python's own
        kwargs["batch_size"] = int(kwargs["batch_size"])
    if "batch_sampler" in kwargs:
        del kwargs["batch_size"]
    if not fitting:
        # Without its own, a DataLoader draws from the global generator.
        kwargs.setdefault("generator", torch.Generator())
    elif not {"shuffle", "sampler", "batch_sampler"} & kwargs.keys():
        kwargs["shuffle"] = True
    if merge_last:
        kwargs["batch_sampler"] = _MergedLast(dataset, kwargs)
    on_cuda = device is not None and torch.device(device).type == "cuda"
    target = device if fitting and on_cuda else "cpu"
    whole = None if "collate_fn" in kwargs else whole_batches(dataset, target)
    if on_cuda and not (whole is not None and whole.is_resident):
        kwargs.setdefault("pin_memory", True)
    if whole is None:
        return DataLoader(dataset, **kwargs)
    return DataLoader(whole, collate_fn=as_is, **kwargs)


class _MergedLast(BatchSampler):
    """The batches of a DataLoader, the last one joined to the one before.

    It takes the place of those arguments that describe the batches.
    """

    def __init__(self, dataset: Any, kwargs: dict[str, Any]) -> None:
        sampler, shuffle = kwargs.pop("sampler", None), kwargs.pop("shuffle", False)
        if sampler is None and shuffle:
            sampler = RandomSampler(dataset, generator=kwargs.get("generator"))
        sampler = SequentialSampler(dataset) if sampler is None else sampler
        kwargs.pop("drop_last", None)
        super().__init__(sampler, kwargs.pop("batch_size"), drop_last=False)

    def __iter__(self) -> Iterator[list[int]]:
        before: list[int] = []
        for batch in super().__iter__():
            if len(batch) == 1:
                batch, before = before + batch, []
            if before:
                yield before
            before = batch
        yield before

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return super().__len__() - (n % self.batch_size == 1)


def loader(dataset: Any, batch_size: int) -> DataLoader:
    """Iterate over `dataset` in order, without drawing from a global generator."""
    whole = whole_batches(dataset)
    return DataLoader(
        whole if whole is not None else dataset,
        batch_size=batch_size,
        collate_fn=as_is if whole is not None else default_collate,
        generator=torch.Generator(),
    )


def batch_of(dataset: Any, index: Sequence[int]) -> Any:
    """Return the samples of this index as one batch, in their order."""
    index = [*index]
    return next(iter(loader(Subset(dataset, index), len(index))))


def as_is(batch: Any) -> Any:
    """Collate nothing: the batch is one already."""
    return batch


def take(X: Any, index: np.ndarray) -> Any:
    """Copy samples out of an array, or out of each array of a mapping, as tensors.

    Those of a sparse array become dense, and no others.
    """
    if isinstance(X, Mapping):
        return {key: take(value, index) for key, value in X.items()}
    if getattr(X, "base", None) is not None:  # a view, maybe of a file
        check_mapped(X)
    reads_batches = isinstance(X, SliceDataset) and hasattr(X, "__getitems__")
    rows = X.__getitems__(index) if reads_batches else X[index]
    return torch.as_tensor(rows.toarray() if hasattr(rows, "toarray") else rows)


def arrays_of(dataset: Any) -> Any:
    """Return the array, or mapping of arrays, that `dataset` merely indexes."""
    if isinstance(dataset, TrainingSet):
        return dataset.arrays()
    # A subclass may transform items: only skorch's own is known not to.
    if type(dataset) is not Dataset:
        return None
    X, y = dataset.X, dataset.y
    parts = [*X.values()] if isinstance(X, Mapping) else [X]
    for part in parts if y is None else [*parts, y]:
        reads_batches = isinstance(part, SliceDataset) and hasattr(part, "__getitems__")
        is_sparse = hasattr(part, "tocsr")
        is_array = isinstance(part, (np.ndarray, torch.Tensor))
        if not (is_array or is_sparse or reads_batches):
            return None
    return X


def unwrap(dataset: Any) -> tuple[Any, np.ndarray | None]:
    """Follow nested Subsets down to their dataset and the index of their samples."""
    index = None
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices)
        index = indices if index is None else indices[index]
        dataset = dataset.dataset
    return dataset, index


def labelled_part(dataset: Any) -> Any:
    """Return those samples of a (part of a) TrainingSet that have a label."""
    base, index = unwrap(dataset)
    if not isinstance(base, TrainingSet) or (base.y_encoded >= 0).all():
        return dataset
    index = np.arange(len(base)) if index is None else index
    return Subset(base, index[base.y_encoded[index] >= 0].tolist())


def center_weights(dataset: Any) -> None:
    """Give the weights mean 1 over `dataset`, if that is a part of a TrainingSet."""
    base, index = unwrap(dataset)
    if index is None or not isinstance(base, TrainingSet):
        return
    for key in {HARD_WEIGHT, SOFT_WEIGHT} & base.batch_fields.keys():
        base.batch_fields[key] = of_mean_1(base.batch_fields[key], index)


def _has_room(device: Any, samples: TrainingSet) -> bool:
    if torch.device(device).type != "cuda":
        return False
    X = samples.arrays()
    inputs = X.values() if isinstance(X, Mapping) else [X]
    values = [*inputs, *samples.batch_fields.values()]
    if not all(isinstance(v, (np.ndarray, torch.Tensor)) for v in values):
        return False  # decoded by the batch, since they are too many
    n_bytes = sum(v.nbytes for v in values)
    free, _ = torch.cuda.mem_get_info(device)
    return n_bytes < free / 4  # the rest is for the student and its activations


def _to(values: Any, device: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _to(value, device) for key, value in values.items()}
    return to_tensor(values).to(device)


def to_tensor(values: Any) -> torch.Tensor:
    """Return a tensor that shares memory with an array, if that can be written to.

    And lies in no file.
    """
    if isinstance(values, np.ndarray):  # torch warns of arrays that are read-only
        values = np.require(in_memory(values), requirements=["C", "W"])
    return torch.as_tensor(values)
