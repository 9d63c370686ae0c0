"""How rows become batches: whole slices of arrays, with what belongs to each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, Subset, default_collate

from skkd._data.keys import HARD_WEIGHT, INPUT, SOFT_WEIGHT
from skkd._data.rows import pair_of, reads_batches, take
from skkd._data.weights import of_mean_1


def center_weights(dataset: Any) -> None:
    """Give the weights mean 1 over `dataset`, where that is a part of a TrainingSet."""
    base, rows = unwrap(dataset)
    if rows is None or not isinstance(base, TrainingSet):
        return
    for key in {HARD_WEIGHT, SOFT_WEIGHT} & base.batch_fields.keys():
        base.batch_fields[key] = of_mean_1(base.batch_fields[key], rows)


class TrainingSet(Dataset):
    """The rows of a fit: input, class number, and its batch fields.

    Parameters
    ----------
    base : torch.utils.data.Dataset
        Gives ``(input, target)`` for a row.
    X, y : array-like
        The rows and labels as the user gave them: what callbacks see.
    y_encoded : ndarray of shape (n,), int64
        Column of each row's class; -1 marks an unlabelled row.
    batch_fields : dict of str to ndarray of n rows
        Further keys for the batch, such as the teacher's logits.
    """

    def __init__(
        self,
        base: torch.utils.data.Dataset,
        *,
        X: Any,
        y: np.ndarray,
        y_encoded: Any,
        batch_fields: dict[str, Any] | None = None,
    ) -> None:
        self.base, self.X, self.y, self.y_encoded = base, X, y, y_encoded
        self.batch_fields = batch_fields or {}

    def __len__(self) -> int:
        return len(self.y_encoded)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        inputs, _ = pair_of(self.base, i)
        return self._with_beside(inputs, i), self.y_encoded[i]

    def to(self, device: Any) -> TrainingSet:
        """Return the same rows with all arrays on `device`."""
        base = Dataset(_to(self.arrays(), device))
        y_encoded = torch.as_tensor(self.y_encoded).to(device)
        batch_fields = _to(self.batch_fields, device)
        return TrainingSet(
            base, X=self.X, y=self.y, y_encoded=y_encoded, batch_fields=batch_fields
        )

    def arrays(self) -> Any:
        """Return the array(s) behind the rows, or None where items are made."""
        return arrays_of(self.base)

    def batch(self, inputs: Any, rows: np.ndarray) -> tuple[Any, torch.Tensor]:
        """Return what a loss needs of `rows`, given their stacked `inputs`."""
        return self._with_beside(inputs, rows), torch.as_tensor(self.y_encoded[rows])

    def _with_beside(self, inputs: Any, rows: Any) -> Any:
        if not self.batch_fields:
            return inputs
        batch_fields = {
            k: torch.as_tensor(v[rows]) for k, v in self.batch_fields.items()
        }
        return {INPUT: inputs, **batch_fields}


class WholeBatches(torch.utils.data.Dataset):
    """Rows of arrays for a DataLoader, fetched a batch at a time.

    A DataLoader that collates single items spends most of an epoch of a small
    network on that; one indexing operation a batch takes almost nothing.
    """

    def __init__(
        self, dataset: Any, rows: np.ndarray, is_resident: bool = False
    ) -> None:
        self.dataset, self.rows = dataset, rows
        # Whether the rows lie on the device that will use them.
        self.is_resident = is_resident

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Any, torch.Tensor]:
        rows = self.rows[np.asarray(indices)]
        inputs = take(arrays_of(self.dataset), rows)
        if isinstance(self.dataset, TrainingSet):
            return self.dataset.batch(inputs, rows)
        y = self.dataset.y
        if y is None:
            return inputs, torch.zeros(len(rows))
        # Labels of a dataset to predict may be names, which no tensor holds.
        named = getattr(y.dtype, "kind", None) in ("O", "S", "U")
        return inputs, y[rows] if named else take(y, rows)


def whole_batches(dataset: Any, device: Any = "cpu") -> WholeBatches | None:
    """Wrap `dataset` where its rows lie in arrays; None where they do not.

    The rows of a fit move to `device` once, where they fit; others batch by batch.
    """
    base, rows = unwrap(dataset)
    if arrays_of(base) is None:
        return None
    rows = np.arange(len(base)) if rows is None else rows
    moves = isinstance(base, TrainingSet) and _has_room(device, base)
    return WholeBatches(base.to(device) if moves else base, rows, moves)


def _has_room(device: Any, rows: TrainingSet) -> bool:
    if torch.device(device).type != "cuda":
        return False
    X = rows.arrays()
    inputs = X.values() if isinstance(X, Mapping) else [X]
    batch_fields = rows.batch_fields.values()
    values = [*inputs, *batch_fields]
    if not all(isinstance(v, (np.ndarray, torch.Tensor)) for v in values):
        return False  # decoded by the batch, since they are too many
    n_bytes = sum(v.nbytes for v in values)
    free, _ = torch.cuda.mem_get_info(device)
    return n_bytes < free / 4  # the rest is for the student and its activations


def _to(values: Any, device: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _to(value, device) for key, value in values.items()}
    if isinstance(values, np.ndarray):  # torch warns of arrays that are read-only
        values = np.require(values, requirements=["C", "W"])
    return torch.as_tensor(values).to(device)


def as_is(batch: Any) -> Any:
    """Collate nothing: the batch is one already."""
    return batch


def arrays_of(dataset: Any) -> Any:
    """Return the array, or mapping of arrays, that `dataset` merely indexes."""
    if isinstance(dataset, TrainingSet):
        return dataset.arrays()
    # A subclass may transform items: only skorch's own is known not to.
    if type(dataset) is not Dataset:
        return None
    X, y = dataset.X, dataset.y
    parts = [*X.values()] if isinstance(X, Mapping) else [X]
    parts += [] if y is None else [y]
    known = (
        isinstance(p, (np.ndarray, torch.Tensor)) or reads_batches(p) for p in parts
    )
    return X if all(known) else None


def unwrap(dataset: Any) -> tuple[Any, np.ndarray | None]:
    """Follow nested Subsets down to their dataset and its row numbers."""
    rows = None
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices)
        rows = indices if rows is None else indices[rows]
        dataset = dataset.dataset
    return dataset, rows


def labelled_part(dataset: Any) -> Any:
    """Return those rows of a (part of a) TrainingSet that have a label."""
    base, rows = unwrap(dataset)
    if not isinstance(base, TrainingSet) or (base.y_encoded >= 0).all():
        return dataset
    rows = np.arange(len(base)) if rows is None else rows
    return Subset(base, rows[base.y_encoded[rows] >= 0].tolist())


def batch_of(dataset: Any, numbers: Sequence[int]) -> Any:
    """Return the rows of these numbers as one batch, in their order."""
    numbers = [*numbers]
    return next(iter(loader(Subset(dataset, numbers), len(numbers))))


def loader(dataset: Any, batch_size: int) -> DataLoader:
    """Iterate over `dataset` in order, without touching the global generator."""
    fast = whole_batches(dataset)
    return DataLoader(
        fast if fast is not None else dataset,
        batch_size=batch_size,
        collate_fn=as_is if fast is not None else default_collate,
        generator=torch.Generator(),
    )
