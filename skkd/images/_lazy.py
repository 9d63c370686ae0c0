"""Images that stay in their files until a batch of them is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.helper import SliceDataset

from skkd.images._rows import ImageRows


class LazyImages(SliceDataset):
    """Images of which only those in use are in memory.

    :class:`ImageReader` returns them with ``lazy=True``. They can be sliced as an array
    of images, by scikit-learn too, without reading any; indexing with one number reads
    one image, and :func:`numpy.asarray` reads all.

    Parameters
    ----------
    dataset : ImageRows
        The files.
    idx : int, default=0
        Ignored; a parameter of :class:`skorch.helper.SliceDataset`.
    indices : ndarray of int, default=None
        The files to use; None means all, in their order.

    Attributes
    ----------
    shape : tuple of int
        That of the array, (n, 3 or 1, height, width).
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
        """Shape of the array of these images, (n, 3 or 1, height, width)."""
        return (len(self), *self.dataset.shape)

    def __getitem__(self, rows: Any) -> Any:
        """Return one image, or LazyImages of those that an array or a slice selects."""
        # scikit-learn indexes with [rows, ...].
        picked = self.indices_[rows]
        if np.ndim(picked) == 0:
            return self.dataset.read(np.array([picked]))[0]
        if np.ndim(picked) != 1:
            raise IndexError(
                f"Got an index that selects rows of shape {np.shape(picked)}; expected "
                "a number, a slice, or a one-dimensional array of ints or a mask."
            )
        return type(self)(self.dataset, indices=picked)

    def __getitems__(self, rows: Sequence[int]) -> np.ndarray:
        """Return several images, decoded together; called by torch's DataLoader."""
        return self.dataset.read(self.indices_[np.asarray(rows, dtype=np.intp)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all images into one array."""
        if copy is False:
            raise ValueError(
                "LazyImages cannot become an array without a copy; expected copy=None "
                "or copy=True."
            )
        return self.dataset.read(self.indices_).astype(dtype or self.dtype, copy=False)

    def __reduce__(self) -> Any:
        """Pickle these images without the others of the same folder."""
        whole = np.array_equal(self.indices_, np.arange(len(self.dataset)))
        dataset = self.dataset if whole else self.dataset.subset(self.indices_)
        return type(self), (dataset,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape})"

    def row_keys(self) -> tuple[np.ndarray, str]:
        """Return a key for each image, without reading any.

        Returns
        -------
        keys : ndarray of shape (n, 2), uint64
            128 bits of a hash of path, size and times of change.
        kind : str
            Size, mode and decoder; keys of different kinds are not comparable.

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
