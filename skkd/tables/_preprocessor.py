"""A student's own preprocessing of a table."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skkd._data.columns import kind_of, named_columns
from skkd._data.frames import check_names_differ, is_frame
from skkd._data.inputs import refuse_iterables
from skkd._utils.checks import check_number
from skkd.tables._categories import CategoryEncoder
from skkd.tables._numbers import DateEncoder, NumberEncoder


class TablePreprocessor(TransformerMixin, BaseEstimator):
    """Turn a table with categories, dates and gaps into numbers for a network.

    It is what ``DistilledClassifier(preprocessor="auto")`` takes. Columns are told by
    what they hold in `fit`:

    - numbers and booleans are scaled by median and quartiles and clipped smoothly, with
      columns for their place between quantiles; a gap becomes the median, with a
      column that marks it;
    - text and categories become a column of zeros and ones for each level, for a gap
      and, where there are many levels, for all rare ones; a level that `fit` did not
      see is such a rare one, or all zeros;
    - dates become a number and sine and cosine of the time of day, week and year.

    Parameters
    ----------
    clip : float, default=3.0
        The largest absolute value of a scaled number. Values far within it stay as
        they are.
    n_bins : int, default=16
        Between how many quantiles of the rows, and of the distinct values, numbers have
        a column of their own, 0 below and 1 above: a network learns steps from these.
        There are fewer if `fit` has less than 20 rows for each; 0 leaves them out.
    max_categories : int, default=50
        How many levels of a column keep their own place. Others are rare.
    min_frequency : int, default=10
        In how many rows a level has to be to keep its own place, where there are more
        than `max_categories`.
    categories : {"onehot", "codes"}, default="onehot"
        "codes" makes one column of each category: 0 for an unknown level, and numbers
        from 1 on, as a student with embeddings takes them.

    Attributes
    ----------
    n_categories_ : list of int
        For each column of the output how many codes it has, 0 for one of numbers.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X has any.

    Notes
    -----
    Tables of pandas, polars and pyarrow are taken, and arrays, whose columns are told
    by their values. The numbers of a table of pandas are those of any copy of it: a
    category may come as text in `transform`, and the order of its levels, and levels
    that no row has, do not matter.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned
    MLPs and Boosted Trees on Tabular Data", NeurIPS 2024: the scaling and the clipping.
    https://arxiv.org/abs/2407.04491

    Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in
    Tabular Deep Learning", NeurIPS 2022: the place between quantiles.
    https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> import pandas as pd
    >>> from skkd.tables import TablePreprocessor
    >>> X = pd.DataFrame({"age": [20, None, 40, 30], "job": ["cook", "nurse", "cook", None]})
    >>> numbers = TablePreprocessor().fit(X)
    >>> numbers.get_feature_names_out().tolist()
    ['age', 'age_missing', 'job_cook', 'job_nurse', 'job_missing']
    >>> numbers.transform(pd.DataFrame({"age": [30], "job": ["pilot"]}))
    array([[0., 0., 0., 0., 0.]], dtype=float32)
    """  # noqa: E501

    def __init__(
        self,
        clip: float = 3.0,
        n_bins: int = 16,
        max_categories: int = 50,
        min_frequency: int = 10,
        categories: str = "onehot",
    ) -> None:
        self.clip = clip
        self.n_bins = n_bins
        self.max_categories = max_categories
        self.min_frequency = min_frequency
        self.categories = categories

    def fit(self, X: Any, y: Any = None) -> TablePreprocessor:
        """Learn scales and levels.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        y : object, default=None
            Ignored.

        Returns
        -------
        TablePreprocessor
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range, or a column holds infinite values, values
            of several kinds, or objects such as lists.
        """
        check_number("clip", self.clip, low=0, low_inclusive=False)
        check_number("n_bins", self.n_bins, Integral, low=0)
        check_number("max_categories", self.max_categories, Integral, low=0)
        check_number("min_frequency", self.min_frequency, Integral, low=1)
        if self.categories not in ("onehot", "codes"):
            raise ValueError(
                f"categories={self.categories!r}: expected 'onehot' or 'codes'."
            )
        X = self._check(X, reset=True)
        columns = named_columns(X)
        self.encoders_ = [self._encoder(c, name).fit(c) for name, c in columns]
        self.n_categories_ = [
            e.n_categories for e in self.encoders_ for _ in e.suffixes
        ]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the numbers of a table.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            With the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32

        Raises
        ------
        ValueError
            If a column is missing, new, or of another type than in `fit`.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        # Column by column in memory, which is much faster to fill.
        out = np.zeros((len(self.n_categories_), X.shape[0]), dtype=np.float32)
        start = 0
        for encoder, (_, column) in zip(self.encoders_, named_columns(X), strict=True):
            stop = start + len(encoder.suffixes)
            encoder.transform(column, out[start:stop])
            start = stop
        return np.ascontiguousarray(out.T)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, where X has none.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = input_features
        if names is None:
            numbered = [f"x{i}" for i in range(self.n_features_in_)]
            names = getattr(self, "feature_names_in_", numbered)
        pairs = zip(names, self.encoders_, strict=True)
        return np.array([f"{n}{s}" for n, e in pairs for s in e.suffixes], dtype=object)

    def _encoder(self, column: Any, name: str) -> Any:
        kind = kind_of(column, name)
        if kind == "category":
            many = self.max_categories, self.min_frequency
            return CategoryEncoder(name, *many, self.categories == "codes")
        if kind == "date":
            return DateEncoder(name, self.clip)
        return NumberEncoder(name, self.clip, self.n_bins)

    def _check(self, X: Any, *, reset: bool) -> Any:
        """Check names and number of the columns; return a table, or an array."""
        refuse_iterables(X)
        if not is_frame(X):
            options = {"dtype": None, "ensure_all_finite": False}
            return validate_data(self, X, reset=reset, **options)
        check_names_differ(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if not (X.shape[0] and X.shape[1]):
            raise ValueError(
                f"X is a table of {X.shape[0]} rows and {X.shape[1]} columns: expected "
                "one of each at least."
            )
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
