"""How rows become batches: whole slices of arrays, with what belongs to each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset, get_len
from skorch.helper import SliceDataset
from skorch.utils import is_dataset
from torch.utils.data import DataLoader, Subset, default_collate

# What travels with an input, as further keys beside it. The module sees the
# input alone, the loss sees all of it.
INPUT = "skkd_input"
TEACHER_LOGITS = "teacher_logits"
HARD_WEIGHT = "hard_weight"
SOFT_WEIGHT = "soft_weight"
TEACHER_FEATURES = "teacher_features"
ROWS = "rows"
VIEW_SEEDS = "view_seeds"
PARTNER = "partner"
SHARE = "share"


def is_lazy(X: Any) -> bool:
    """Tell whether the rows of `X` are fetched one by one, on demand."""
    return is_dataset(X) or isinstance(X, SliceDataset)


def reads_batches(X: Any) -> bool:
    """Tell whether a lazy `X` reads several rows together, as LazyImages do."""
    return isinstance(X, SliceDataset) and hasattr(X, "__getitems__")


def pair_of(dataset: Any, i: int) -> tuple[Any, Any]:
    """Return input and label of row `i` of a torch Dataset."""
    item = dataset[i]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        size = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
        raise ValueError(
            f"Row {i} of the {type(dataset).__name__} is a {type(item).__name__}{size}"
            ", expected a pair, input and label."
        )
    return item[0], item[1]


def row_of(X: Any, i: int) -> Any:
    """Return the input of row `i` of a lazy `X`."""
    return pair_of(X, i)[0] if is_dataset(X) else X[i]


def iter_inputs(X: Any, batch_size: int) -> Iterator[Any]:
    """Yield the rows of `X` in order, `batch_size` at a time."""
    for start in range(0, len_of(X), batch_size):
        stop = start + batch_size
        if is_lazy(X):
            rows = range(start, min(stop, len(X)))
            if reads_batches(X):
                yield take(X, np.asarray(rows))
            else:
                yield default_collate([row_of(X, i) for i in rows])
        elif isinstance(X, Mapping):
            yield {key: value[start:stop] for key, value in X.items()}
        elif hasattr(X, "iloc"):
            yield X.iloc[start:stop]
        else:
            yield X[start:stop]


def len_of(X: Any) -> int:
    """Return the number of rows of `X`, whatever holds them."""
    if isinstance(X, Mapping):
        return get_len(X)
    # Sparse matrices have a shape and no length, lists the reverse.
    return X.shape[0] if hasattr(X, "shape") else len(X)


def split_inputs(X: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split a batch into the input of the module and what travels beside it."""
    if isinstance(X, Mapping) and INPUT in X:
        beside = dict(X)
        return beside.pop(INPUT), beside
    return X, {}


def weights_beside(
    weight: np.ndarray | None, labelled: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the rows' weights in the two terms of the loss, each of mean 1.

    With mean 1 over the whole set, the mean over a batch is an unbiased estimate of
    the weighted mean over all rows, however few labels the batch has.
    """
    if weight is None:
        # The teacher speaks of all rows alike, as a loss over a batch takes them.
        return {} if labelled.all() else {HARD_WEIGHT: _of_mean_1(1.0 * labelled)}
    return {HARD_WEIGHT: _of_mean_1(weight * labelled), SOFT_WEIGHT: _of_mean_1(weight)}


def center_weights(dataset: Any) -> None:
    """Give the weights mean 1 over `dataset`, where that is a part of a TrainingSet."""
    base, rows = unwrap(dataset)
    if rows is None or not isinstance(base, TrainingSet):
        return
    for key in {HARD_WEIGHT, SOFT_WEIGHT} & base.beside.keys():
        base.beside[key] = _of_mean_1(base.beside[key], rows)


def _of_mean_1(weight: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
    # Without any label there is no hard term, and nothing to divide by.
    return weight / (weight[rows].mean() or 1.0)


class TrainingSet(Dataset):
    """The rows of a fit: input, class number, and what travels beside the input.

    Parameters
    ----------
    base : torch.utils.data.Dataset
        Gives ``(input, target)`` for a row.
    X, y : array-like
        The rows and labels as the user gave them: what callbacks see.
    codes : ndarray of shape (n,), int64
        Column of each row's class; -1 marks an unlabelled row.
    beside : dict of str to ndarray of n rows
        Further keys for the batch, such as the teacher's logits.
    """

    def __init__(
        self,
        base: torch.utils.data.Dataset,
        *,
        X: Any,
        y: np.ndarray,
        codes: Any,
        beside: dict[str, Any] | None = None,
    ) -> None:
        self.base, self.X, self.y, self.codes = base, X, y, codes
        self.beside = beside or {}

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        inputs, _ = pair_of(self.base, i)
        return self._with_beside(inputs, i), self.codes[i]

    def to(self, device: Any) -> TrainingSet:
        """Return the same rows with all arrays on `device`."""
        base = Dataset(_to(self.arrays(), device))
        codes = torch.as_tensor(self.codes).to(device)
        beside = _to(self.beside, device)
        return TrainingSet(base, X=self.X, y=self.y, codes=codes, beside=beside)

    def arrays(self) -> Any:
        """Return the array(s) behind the rows, or None where items are made."""
        return arrays_of(self.base)

    def batch(self, inputs: Any, rows: np.ndarray) -> tuple[Any, torch.Tensor]:
        """Return what a loss needs of `rows`, given their stacked `inputs`."""
        return self._with_beside(inputs, rows), torch.as_tensor(self.codes[rows])

    def _with_beside(self, inputs: Any, rows: Any) -> Any:
        if not self.beside:
            return inputs
        beside = {k: torch.as_tensor(v[rows]) for k, v in self.beside.items()}
        return {INPUT: inputs, **beside}


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
    beside = rows.beside.values()
    values = [*inputs, *beside]
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


def take(X: Any, rows: np.ndarray) -> Any:
    """Copy `rows` out of an array, or out of each array of a mapping, as tensors."""
    if isinstance(X, Mapping):
        return {key: take(value, rows) for key, value in X.items()}
    return torch.as_tensor(X.__getitems__(rows) if reads_batches(X) else X[rows])


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
    if not isinstance(base, TrainingSet) or (base.codes >= 0).all():
        return dataset
    rows = np.arange(len(base)) if rows is None else rows
    return Subset(base, rows[base.codes[rows] >= 0].tolist())


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
