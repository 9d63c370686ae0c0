"""How logits are stored: all or the largest of a row, in full or half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class FullCodec:
    """Every logit, as float32 or float16."""

    def __init__(self, dtype: str, n_classes: int) -> None:
        self.dtype, self.shape = np.dtype(dtype), (n_classes,)

    def encode(self, logits: np.ndarray, like: Any = None) -> np.ndarray:
        """Return the rows to store for float32 `logits` (n, n_classes)."""
        return in_range(logits, self.dtype)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of stored rows, float32."""
        return rows.astype(np.float32, copy=False)


class TopCodec:
    """The `k` largest logits of a row; the others share the rest of the probability."""

    shape: tuple[int, ...] = ()

    def __init__(self, dtype: str, n_classes: int, k: int) -> None:
        self.n_classes, self.k = n_classes, k
        number = np.uint16 if n_classes <= 2**16 else np.uint32
        self.dtype = np.dtype(
            [("columns", number, (k,)), ("logits", dtype, (k,)), ("rest", dtype)]
        )

    def encode(self, logits: np.ndarray, like: Any = None) -> np.ndarray:
        """Return the rows to store for float32 `logits` (n, n_classes).

        If `like` is given, the columns of its rows are kept: of two logits that are
        almost equal, the last digit decides which is larger.
        """
        k = self.k
        columns = np.argpartition(logits, -k, axis=1)[:, -k:]
        if like is not None:
            columns = like["columns"].astype(np.intp)
        rest = logits.copy()  # (n, n_classes)
        np.put_along_axis(rest, columns, -np.inf, axis=1)
        rows = np.empty(len(logits), dtype=self.dtype)
        rows["columns"] = columns
        kept = self.dtype["logits"].base
        rows["logits"] = in_range(np.take_along_axis(logits, columns, axis=1), kept)
        # One value for the others, of the same sum of exponentials: together they keep
        # their probability.
        even = torch.logsumexp(torch.from_numpy(rest), dim=1).numpy()
        even = even - np.log(self.n_classes - k)
        rows["rest"] = in_range(even, kept)
        return rows

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of stored rows, float32."""
        shape = (*rows.shape, self.n_classes)
        logits = np.empty(shape, dtype=np.float32)
        logits[...] = rows["rest"][..., None]
        columns = rows["columns"].astype(np.intp)
        np.put_along_axis(logits, columns, rows["logits"].astype(np.float32), axis=-1)
        return logits


class EncodedLogits:
    """Stored rows that are decoded to logits a batch at a time."""

    def __init__(self, rows: np.ndarray, codec: Any) -> None:
        self.rows, self.codec = rows, codec

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.codec.decode(self.rows[rows])


def codec_for(dtype: str, top_k: int | None, n_classes: int) -> Any:
    """Return the codec for the parameters of a LogitMemory."""
    if top_k is None or top_k >= n_classes:
        return FullCodec(dtype, n_classes)
    return TopCodec(dtype, n_classes, top_k)


def in_range(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Cast, and raise ValueError if a value is beyond the range of `dtype`."""
    with np.errstate(over="ignore"):  # an infinity is reported below
        cast = values.astype(dtype, copy=False)
    if not np.isfinite(cast).all():
        raise ValueError(
            f"The teacher's outputs reach {np.abs(values).max():.4g}, beyond the range "
            f"of {np.dtype(dtype)}: cache them with LogitMemory(dtype='float32')."
        )
    return cast
