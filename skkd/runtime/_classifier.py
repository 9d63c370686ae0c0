"""A fitted student that predicts without torch."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from skkd._formats.onnx_metadata import OnnxMetadata
from skkd.runtime._file import PROBABILITIES, StudentFile
from skkd.runtime._images import files_of, read_batches
from skkd.runtime._inputs import read_inputs


class OnnxClassifier:
    """A fitted classifier: a student that :func:`skkd.export.export_onnx` wrote.

    Needs onnxruntime, NumPy and, for images from files, Pillow; neither torch nor
    scikit-learn. Where scikit-learn is installed it is one of its fitted classifiers:
    in a pipeline or a :class:`~sklearn.frozen.FrozenEstimator`, for `check_is_fitted`
    and scorers. It can be the teacher of a :class:`~skkd.DistilledClassifier`.

    Parameters
    ----------
    path : str or path-like
        The ``.onnx`` file; it is read once, here.
    n_threads : int or None, default=None
        Threads of ONNX Runtime; None is its default, one for each core.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, of the type that the student was fitted on.
    n_features_in_ : int
        Number of features, or of channels of images; missing if X is a dict.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if there were any.
    metadata_ : OnnxMetadata
        What the file says: the inputs, how files become images, teacher and loss, the
        proof of the export, versions.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If onnxruntime is not installed.
    ValueError
        If it is no ONNX file, or not one of skkd.

    Notes
    -----
    X is converted where that changes no value: float64 to the float32 in which the
    student computes, whole numbers to another type of them. Anything else is an error,
    such as images of 0 to 1 where the student was fitted on uint8.

    A pickle or a copy holds the content of the file and opens it anew. `clone` gives a
    copy, which is fitted too. :meth:`fit` raises.

    Examples
    --------
    >>> from skkd.runtime import OnnxClassifier
    >>> student = OnnxClassifier("student.onnx", n_threads=1)  # doctest: +SKIP
    >>> student.predict(["cat.jpg", "dog.jpg"])  # doctest: +SKIP
    array(['cat', 'dog'], dtype='<U3')
    """

    _estimator_type = "classifier"  # as scikit-learn before version 1.6 asks

    def __init__(
        self, path: str | os.PathLike[str], *, n_threads: int | None = None
    ) -> None:
        if n_threads is not None and (type(n_threads) is not int or n_threads < 1):
            raise ValueError(
                f"n_threads={n_threads!r}; expected an int of at least 1, or None."
            )
        self.path = path
        self.n_threads = n_threads
        self._file = StudentFile(path, n_threads)
        self.classes_: np.ndarray = self.metadata_.classes
        if self.metadata_.kind != "mapping":
            self.n_features_in_: int = _n_features(self.metadata_)
        if self.metadata_.feature_names_in is not None:
            names = [*self.metadata_.feature_names_in]
            self.feature_names_in_: np.ndarray = np.array(names, dtype=object)

    @property
    def metadata_(self) -> OnnxMetadata:
        """What the file says about its student."""
        return self._file.metadata

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of n samples
            Arrays, data frames or dicts, as the student was fitted on. If it was the
            last step of a pipeline with an :class:`~skkd.ImageReader`: paths of
            images, or their content as bytes, PIL images, or a list of uint8 arrays
            of any size, (height, width, 3), as the reader takes them; or one uint8
            array (n, C, height, width).

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        UnreadableImageError
            If images cannot be read; its `failures` lists all of them.
        ValueError
            If X has another shape, other columns or values of another kind.
        """
        run = self._file.session.run
        parts = [run([PROBABILITIES], feed)[0] for feed in self._feeds(X)]
        proba = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not np.isfinite(proba).all():
            row = int(np.flatnonzero(~np.isfinite(proba).all(axis=1))[0])
            raise ValueError(
                f"The probabilities of row {row} are NaN: X has gaps, or values far "
                "from those of the fit. Impute or scale X as for the fit."
            )
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label.

        Parameters
        ----------
        X : array-like of n samples
            As of :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n,)
            Labels, of the type that the student was fitted on.
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : array-like of n samples
        y : array-like of shape (n,)
            True labels.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        found, y = self.predict(X), np.asarray(y)
        if y.shape != found.shape:
            raise ValueError(f"y has shape {y.shape}; expected {found.shape}.")
        weight = None if sample_weight is None else np.asarray(sample_weight)
        return float(np.average(found == y, weights=weight))

    def fit(self, X: Any, y: Any = None, **params: Any) -> NoReturn:
        """Raise TypeError: a file is not trained.

        Parameters
        ----------
        X, y, **params : object
            Ignored.
        """
        raise TypeError(
            "An OnnxClassifier is fitted, and cannot be trained. In cross_val_score "
            "and other tools that fit, FrozenEstimator(classifier), from "
            "sklearn.frozen, is used as it is."
        )

    # What scikit-learn asks -----------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Ignored: no parameter has parameters.

        Returns
        -------
        dict of str to object
        """
        return {"path": self.path, "n_threads": self.n_threads}

    def set_params(self, **params: Any) -> OnnxClassifier:
        """Set parameters; the file is read anew.

        Parameters
        ----------
        **params
            `path` or `n_threads`.

        Returns
        -------
        OnnxClassifier
            The classifier itself.
        """
        unknown = params.keys() - self.get_params()
        if unknown:
            raise ValueError(
                f"Invalid parameter {min(unknown)!r} for OnnxClassifier; expected "
                "'path' or 'n_threads'."
            )
        if params:
            vars(self).update(vars(type(self)(**{**self.get_params(), **params})))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> OnnxClassifier:
        return copy.copy(self)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what this is."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=True, three_d_array=True, string=True),
        )

    def __repr__(self) -> str:
        threads = "" if self.n_threads is None else f", n_threads={self.n_threads}"
        return f"OnnxClassifier({os.fspath(self.path)!r}{threads})"

    # Inputs ---------------------------------------------------------------------------

    def _feeds(self, X: Any) -> Iterator[dict[str, np.ndarray]]:
        """Yield what the session is given, some rows at a time."""
        metadata, size = self._file.metadata, self._file.batch_size
        is_plain = isinstance(X, np.ndarray) and X.dtype.kind in "fiub"
        takes_texts = metadata.kind != "array" or metadata.inputs[0].dtype == "str"
        takes_images = metadata.image is not None
        files = None if is_plain or takes_texts else files_of(X, takes_images)
        if files is not None:
            if metadata.image is None:
                raise ValueError(
                    "X holds paths, texts or bytes, and this student takes arrays "
                    f"(n, {', '.join(map(str, metadata.inputs[0].shape))}): to read "
                    "images, export the pipeline with its ImageReader."
                )
            for images in read_batches(files, metadata.image, size):
                yield {metadata.inputs[0].name: images}
            return
        inputs = read_inputs(X, metadata)
        (n, *others) = {len(values) for values in inputs.values()}
        if others or not n:
            lengths = {name: len(values) for name, values in inputs.items()}
            raise ValueError(f"X has {lengths} rows; expected one or more, of each.")
        if n <= size:
            yield inputs
            return
        for start in range(0, n, size):
            yield {k: values[start : start + size] for k, values in inputs.items()}


def _n_features(metadata: OnnxMetadata) -> int:
    if metadata.n_features_in is not None:
        return metadata.n_features_in
    first = metadata.inputs[0]
    return len(metadata.inputs) if metadata.kind == "columns" else first.shape[0]
