"""Images that stay in their files until a batch of them is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.helper import SliceDataset

from skkd.images._rows import ImageRows


class LazyImages(SliceDataset):
    """Images of which only those in use are in memory.

    :class:`ImageReader` returns them where ``lazy=True``. They look like an array of
    images and can be sliced as one, by scikit-learn too, without reading anything; a
    single row is an image, and :func:`numpy.asarray` reads all.

    Parameters
    ----------
    dataset : ImageRows
        The files.
    idx : int, default=0
        Has no meaning here; :class:`skorch.helper.SliceDataset` has it.
    indices : ndarray of int, default=None
        Those files that are rows; None means all, in their order.

    Attributes
    ----------
    shape : tuple of int
        As the array has it, (n, 3 or 1, height, width).
    dtype : dtype
        uint8.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skkd.images import ImageReader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [f"{folder}/{i}.png" for i in range(4)]
    ...     for i, path in enumerate(paths):
    ...         Image.new("L", (9, 9), i).save(path)
    ...     images = ImageReader(size=2, mode="L", lazy=True).transform(paths)
    ...     print(images[::2], images[3].tolist(), np.asarray(images[:2]).shape)
    LazyImages(shape=(2, 1, 2, 2)) [[[3, 3], [3, 3]]] (2, 1, 2, 2)
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, dataset: ImageRows, idx: int = 0, indices: np.ndarray | None = None
    ) -> None:
        super().__init__(dataset, idx=idx, indices=indices)
        self.ndim = 4

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that these images would be."""
        return (len(self), *self.dataset.shape)

    def __getitem__(self, rows: Any) -> Any:
        """Return one image, or the rows that an array of numbers or a slice picks."""
        # scikit-learn asks for [rows, ...].
        picked = self.indices_[rows]
        if np.ndim(picked) == 0:
            return self.dataset.read(np.array([picked]))[0]
        if np.ndim(picked) != 1:
            raise IndexError(
                f"rows of shape {np.shape(picked)}; expected a number, a slice, or "
                "numbers or a mask in one dimension."
            )
        return type(self)(self.dataset, indices=picked)

    def __getitems__(self, rows: Sequence[int]) -> np.ndarray:
        """Return several images, decoded together: torch's name for it."""
        return self.dataset.read(self.indices_[np.asarray(rows, dtype=np.intp)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all images into one array."""
        if copy is False:
            raise ValueError("Lazy images cannot become an array without a copy.")
        return self.dataset.read(self.indices_).astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape})"

    def row_keys(self) -> tuple[np.ndarray, str]:
        """Return what tells one row from another, without reading any.

        Returns
        -------
        keys : ndarray of shape (n, 2), uint64
            128 bits of a hash of path, size and times of change.
        kind : str
            Names size, mode and decoder; keys of different kinds do not compare.

        Raises
        ------
        UnreadableImageError
            If files do not exist.

        Examples
        --------
        >>> from skkd.images import ImageReader
        >>> keys, kind = ImageReader(64, lazy=True).transform(["/"]).row_keys()
        >>> keys.shape, kind.startswith("image 64x64-RGB-")
        ((1, 2), True)
        """
        keys, kind = self.dataset.row_keys()
        return keys[self.indices_], kind
