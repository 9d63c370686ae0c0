"""A transformer that reads images, the first step of a pipeline on photos."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from skkd._utils.checks import is_number
from skkd.images._levels import Levels, check_levels
from skkd.images._rows import ImageRows
from skkd.images._sources import as_sources
from skkd.images._table import open_table

if TYPE_CHECKING:
    from skkd.images._lazy import LazyImages

_N_CHANNELS = {"RGB": 3, "L": 1}


class ImageReader(TransformerMixin, BaseEstimator):
    """Read images into one array, all of the same size: files, or what is in memory.

    Each image is decoded completely, turned upright as its EXIF orientation says,
    converted to `mode` and resized to `size` by Pillow's antialiased bilinear filter,
    which does not keep the aspect ratio. There is nothing to fit. An image is a path,
    the bytes of a file, a PIL image, or an array of any size, as a web service has it.

    Parameters
    ----------
    size : int or (int, int)
        Side of the square, or (height, width), in pixels.
    mode : {"RGB", "L"}, default="RGB"
        Three colour channels, or one gray channel (ITU-R 601 luma).
    n_jobs : int, default=None
        Number of threads for decoding; None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 means one for each processor.
    memory : str, path-like, joblib.Memory or None, default=None
        A folder where decoded images are cached, file by file: the folds of a
        cross-validation, later fits and other processes share them, and a grid search
        decodes each file once. None caches nothing.
    lazy : bool, default=False
        Whether `transform` returns :class:`~skkd.images.LazyImages`, which are read
        batch by batch when they are needed, for folders larger than memory. Needs
        PyTorch, which `lazy=False` does not.
    levels : (float, float), "minmax" or None, default=None
        The gray levels that become black and white, 0 and 255, in files of more than 8
        bits, such as ``(0, 4095)`` for 12 bits in 16-bit files, ``(0.0, 1.0)`` for
        float TIFFs, or ``(-160, 240)`` for CT slices in DICOM, the window of centre 40
        and width 400. Levels beyond become black or white too. None is what the file
        says: 0 ... 65535 for 16 bits, the window of a DICOM file. "minmax" takes the
        lowest and the highest level of each file by itself.

    Notes
    -----
    - Transparent pixels are shown over white.
    - 16-bit gray levels 0 ... 65535 become 0 ... 255. A warning names the files with
      all levels below 16384, as those of 8, 10, 12 or 14 bits: pass `levels`. Signed,
      32-bit and float levels have no agreed range: an error without `levels`.
    - DICOM files (``pip install "skkd[dicom]"``) become what a viewer shows first:
      rescale slope and intercept or modality LUT, VOI LUT or first window, MONOCHROME1
      inverted; with `levels`, rescaled levels between these. Files of more than 8 bits
      without a window need `levels`; those of several frames are refused.
    - TIFF: of several pages the first is read, and bands beyond red, green and blue
      that no tag calls alpha are left out, both with a warning.
    - CMYK is converted by Pillow's formula; colour profiles are not applied.
    - Animations (GIF, WebP, APNG) give their first frame.
    - Images beyond ``PIL.Image.MAX_IMAGE_PIXELS`` are refused.
    - Arrays are RGB: OpenCV has BGR, ``image[:, :, ::-1]`` turns it. Arrays and PIL
      images give what a file that holds their pixels gives, a large JPEG apart.
    - Formats: AVIF, BMP, GIF, JPEG (also MPO), JPEG 2000, PNG, PPM, TIFF and WebP, by
      content and not by suffix; HEIF once ``pillow_heif.register_heif_opener()`` ran.
    - A JPEG of at least eight times `size` is decoded at a reduced scale, which is
      up to twice as fast. Against a full decode, gray levels then differ by less than
      0.5 of 255 on average, and by at most 4 averaged over any one of 2,123
      photographs.

    The cache of `memory`:

    - An image in memory is identified by its content, a file by its absolute path, its
      size and its times of change, so that cached files are not opened. One that was
      moved, copied or changed is decoded again.
    - Images of each `size`, `mode` and `levels`, and of each version of Pillow and its
      codecs, are cached separately. Pixels are the same with and without `memory`, bit
      for bit.
    - An image takes 3 (or 1) times height times width bytes, 12 KiB for
      ``size=64``. Nothing is deleted automatically: delete the folder, or call
      ``joblib.Memory(memory).clear()``.
    - One process decodes while others wait for it. A process that is killed leaves no
      wrong entry behind; a damaged entry is detected by its checksums, reported with a
      warning and decoded again. Files that cannot be read, or are
      read with a warning, are not cached.

    With ``lazy=True`` nothing is decoded in `transform`, and an unreadable file is an
    error in the middle of a fit: :func:`load_image_folder` finds these beforehand.
    Batches are decoded when they are needed, in every epoch again; a student's
    ``iterator_train__num_workers=2`` does so ahead of time in other processes. With
    `memory` as well, `transform` decodes what is not cached, a part at a time, and the
    batches are then read from the cache: each file is decoded once.

    The output has four dimensions and no feature names, so there is no `set_output`;
    it is an array even with ``sklearn.set_config(transform_output="pandas")``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skkd.images import ImageReader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "red.png"
    ...     Image.new("RGB", (40, 30), "red").save(path)
    ...     images = ImageReader(size=16).transform([path])
    >>> images.shape, images.dtype
    ((1, 3, 16, 16), dtype('uint8'))
    >>> images[0, :, 0, 0]
    array([255,   0,   0], dtype=uint8)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        mode: Literal["RGB", "L"] = "RGB",
        n_jobs: int | None = None,
        *,
        memory: Any = None,
        lazy: bool = False,
        levels: tuple[float, float] | Literal["minmax"] | None = None,
    ) -> None:
        self.size = size
        self.mode = mode
        self.n_jobs = n_jobs
        self.memory = memory
        self.lazy = lazy
        self.levels = levels

    def fit(self, X: Any, y: Any = None) -> ImageReader:
        """Check the parameters, and that X contains images; none is read.

        Parameters
        ----------
        X : array-like of n images
            As for :meth:`transform`.
        y : ignored
            For pipelines.

        Returns
        -------
        self : ImageReader
            This transformer.

        Raises
        ------
        ValueError
            If a parameter or X has a wrong value.

        Examples
        --------
        >>> ImageReader(size=64).fit(["cat/1.jpg", "dog/1.jpg"])
        ImageReader(size=64)
        """
        shape, levels = self._check_params()
        open_table(self.memory, shape, self.mode, levels)
        as_sources(X)
        return self

    def transform(self, X: Any) -> np.ndarray | LazyImages:
        """Read the images; with ``lazy=True``, only prepare to read them.

        Parameters
        ----------
        X : array-like of n images, shape (n,) or (n, 1), or ndarray of images
            Paths, bytes of files, PIL images, or arrays of uint8, gray (height, width)
            or RGB (height, width, 3), also RGBA, or with channels first; gray ones may
            be uint16, or floats with `levels`. They may be mixed, and of any size.

        Returns
        -------
        images : ndarray or LazyImages of shape (n, 3 or 1, height, width), dtype uint8
            The pixels, channels first.

        Raises
        ------
        UnreadableImageError
            If images cannot be read; its `failures` lists all of them. With
            ``lazy=True`` and no `memory` it is raised when a batch is read.
        OSError
            If `memory` cannot be written.
        ValueError
            If a parameter or X has a wrong value.

        Warns
        -----
        DistillationWarning
            If cached files are damaged.
        ImageFolderWarning
            If files may be read otherwise than intended: their levels use few of 16
            bits, they have bands that no tag explains, or further pages.

        Examples
        --------
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (9, 9), 7).save(f"{folder}/gray.png")
        ...     ImageReader((1, 2), mode="L").transform([f"{folder}/gray.png"])
        array([[[[7, 7]]]], dtype=uint8)
        """
        shape, levels = self._check_params()
        rows = ImageRows(
            as_sources(X), shape, self.mode, self.n_jobs, self.memory, levels
        )
        if self.lazy:
            if rows.table is not None:
                rows.fill_table()
            from skkd.images._lazy import LazyImages  # imports torch

            return LazyImages(rows)
        if rows.table is None:
            return rows.read(np.arange(len(rows)))
        images = np.empty((len(rows), *shape), dtype=np.uint8)
        rows.fill_table(images)
        return images

    def _check_params(self) -> tuple[tuple[int, int, int], Levels]:
        if self.mode not in _N_CHANNELS:
            raise ValueError(f"mode={self.mode!r}; expected 'RGB' or 'L'.")
        size = self.size if isinstance(self.size, tuple | list) else (self.size,) * 2
        if len(size) != 2 or not all(is_number(s, Integral) and s > 0 for s in size):
            raise ValueError(
                f"size={self.size!r}; expected a positive int or a tuple (height, "
                "width) of two positive ints."
            )
        if not isinstance(self.lazy, bool | np.bool_):
            raise ValueError(f"lazy={self.lazy!r}; expected True or False.")
        shape = _N_CHANNELS[self.mode], int(size[0]), int(size[1])
        return shape, check_levels(self.levels)

    def __sklearn_tags__(self) -> Tags:
        """Describe the input, a 1-D array of strings, to scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags
