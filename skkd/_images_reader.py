"""A transformer that reads image files, the first step of a pipeline on photos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, gen_batches

from skkd._images_decoding import (
    UnreadableImageError,
    decode_image,
    describe_failure,
    describe_unreadable,
)

_N_CHANNELS = {"RGB": 3, "L": 1}
# Large enough to hide joblib's cost per task behind tiny images, small enough to
# share out a few large ones.
_BATCH_SIZE = 8


class ImageReader(TransformerMixin, BaseEstimator):
    """Read images from paths into one array, all of the same size.

    Each image is decoded completely, turned upright as its EXIF orientation says,
    converted to `mode` and resized to `size`, whatever its aspect ratio, by Pillow's
    antialiased bilinear filter. There is nothing to fit.

    Parameters
    ----------
    size : int or (int, int)
        Side of the square, or (height, width), in pixels.
    mode : {"RGB", "L"}, default="RGB"
        Three colour channels, or one of gray (ITU-R 601 luma).
    n_jobs : int, default=None
        Number of threads that decode; None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 means one for each processor.

    Notes
    -----
    - Transparent pixels are shown over white.
    - 16-bit gray levels 0 ... 65535 become 0 ... 255; an image that uses only a few of
      them stays dark. 32-bit integer and float pixels have no agreed range: an error.
    - CMYK is converted by Pillow's formula; colour profiles are not applied.
    - Animations (GIF, WebP, APNG) give their first frame.
    - Images beyond ``PIL.Image.MAX_IMAGE_PIXELS`` are refused.
    - Formats: AVIF, BMP, GIF, JPEG (also MPO), JPEG 2000, PNG, PPM, TIFF and WebP, by
      content and not by suffix; HEIF once ``pillow_heif.register_heif_opener()`` ran.
    - A JPEG of at least eight times `size` is decoded at a reduced scale, which is
      up to twice as fast. Against a full decode, gray levels then differ by less than
      0.5 of 255 on average, and by at most 4 averaged over any one of 2,123
      photographs.

    The output has four dimensions and no feature names, so that there is no
    `set_output`; ``sklearn.set_config(transform_output="pandas")`` leaves it an array.

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
    ) -> None:
        self.size = size
        self.mode = mode
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> ImageReader:
        """Check the parameters and that X holds paths; no file is read.

        Parameters
        ----------
        X : array-like of str or path-like, shape (n,) or (n, 1)
            Paths of images.
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
        self._check_params()
        _check_paths(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Read the images.

        Parameters
        ----------
        X : array-like of str or path-like, shape (n,) or (n, 1)
            Paths of images.

        Returns
        -------
        images : ndarray of shape (n, 3 or 1, height, width), dtype uint8
            The pixels, channels first.

        Raises
        ------
        UnreadableImageError
            If images cannot be read; it names all of them and has them in `failures`.
        ValueError
            If a parameter or X has a wrong value.

        Examples
        --------
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (9, 9), 7).save(f"{folder}/gray.png")
        ...     ImageReader((1, 2), mode="L").transform([f"{folder}/gray.png"])
        array([[[[7, 7]]]], dtype=uint8)
        """
        height, width = self._check_params()
        paths = _check_paths(X)
        n_channels = _N_CHANNELS[self.mode]
        images = np.empty((len(paths), n_channels, height, width), dtype=np.uint8)
        # joblib forgets the n_jobs of an outer context when it has to change over to
        # threads, unless it is passed on.
        failures = Parallel(effective_n_jobs(self.n_jobs), require="sharedmem")(
            delayed(_read_batch)(paths[batch], images[batch], self.mode)
            for batch in gen_batches(len(paths), _BATCH_SIZE)
        )
        unreadable = [failure for batch in failures for failure in batch]
        if unreadable:
            raise UnreadableImageError(
                describe_unreadable(unreadable, len(paths)), unreadable
            )
        return images

    def _check_params(self) -> tuple[int, int]:
        if self.mode not in _N_CHANNELS:
            raise ValueError(f"mode={self.mode!r}; expected 'RGB' or 'L'.")
        size = self.size if isinstance(self.size, tuple | list) else (self.size,) * 2
        if len(size) != 2 or not all(
            isinstance(side, Integral) and not isinstance(side, bool) and side > 0
            for side in size
        ):
            raise ValueError(
                f"size={self.size!r}; expected a positive int or a tuple (height, "
                "width) of two positive ints."
            )
        return int(size[0]), int(size[1])

    def __sklearn_tags__(self) -> Tags:
        """Describe the input, a 1-D array of strings, to scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_paths(X: Any) -> list[str]:
    if isinstance(X, str | bytes | os.PathLike):
        raise ValueError(f"X={X!r} is a single path; pass a list of paths, [{X!r}].")
    paths = np.asarray(X, dtype=object)
    if paths.ndim == 2 and paths.shape[1] == 1:
        paths = paths[:, 0]
    if paths.ndim != 1:
        raise ValueError(
            f"X has shape {paths.shape} (type {type(X).__name__}); expected a 1-D "
            "array of image paths, or one column of them. From load_image_folder, "
            "pass `photos.data`."
        )
    if not len(paths):
        raise ValueError("X is empty; expected at least one image path.")
    for i, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            raise ValueError(
                f"X[{i}]={path!r} is of type {type(path).__name__}; expected a path, "
                "as str or pathlib.Path. Images that are arrays already need no "
                "ImageReader."
            )
    # str() because NumPy's own strings would show as np.str_('...') in messages.
    return [str(os.fspath(path)) for path in paths]


def _read_batch(
    paths: Sequence[str], images: np.ndarray, mode: str
) -> list[tuple[str, str]]:
    failures = []
    for path, image in zip(paths, images, strict=True):
        try:
            with open(path, "rb") as file:
                pixels = decode_image(file, image.shape[1:], mode)
        # Damaged files make Pillow's decoders raise errors of any type.
        except Exception as error:
            failures.append((path, describe_failure(error)))
        else:
            image[...] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels
    return failures
