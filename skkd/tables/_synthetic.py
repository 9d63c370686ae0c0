"""Rows that only a teacher labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from skkd._data.frames import is_frame
from skkd._utils.checks import check_number
from skkd.tables._preprocessor import TablePreprocessor
from skkd.tables._rows import mix_rows

_METHODS = ("marginals", "neighbors")


class SyntheticRows(BaseEstimator):
    """Make rows of a table out of real ones, for a teacher to label.

    ``DistilledClassifier(synthetic=SyntheticRows())`` adds them to the training
    samples: they have no label, and learn from the teacher alone. Most real tables are
    small, and a teacher can be asked about more than it was trained on.

    Each is a copy of a real row in which some values are those of other rows, so that
    numbers, categories and gaps stay what they are.

    Parameters
    ----------
    factor : float, default=5
        How many are made for each real row.
    method : {"marginals", "neighbors"}, default="marginals"
        Where the new values come from: any row, as in AutoGluon's SPUNGE [1]_, or the
        row's nearest neighbour, as in MUNGE [2]_ without noise on numbers.
    fraction : float, default=0.1
        The share of the values that are new. In every row one is, at least.
    random_state : int, RandomState or None, default=0
        With an int the same rows are made in every fit on the same samples, so that
        the teacher's logits for them are cached.

    References
    ----------
    .. [1] R. Fakoor, J. Mueller, N. Erickson, P. Chaudhari, A. Smola, "Fast, Accurate,
       and Simple Models for Tabular Data via Augmented Distillation", NeurIPS 2020.
       https://arxiv.org/abs/2006.14284
    .. [2] C. Bucila, R. Caruana, A. Niculescu-Mizil, "Model Compression", KDD 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skkd.tables import SyntheticRows
    >>> X = np.arange(6).reshape(2, 3)
    >>> SyntheticRows(factor=1, random_state=0).make(X).shape
    (2, 3)
    """

    def __init__(
        self,
        factor: float = 5,
        method: str = "marginals",
        fraction: float = 0.1,
        random_state: Any = 0,
    ) -> None:
        self.factor = factor
        self.method = method
        self.fraction = fraction
        self.random_state = random_state

    def make(self, X: Any) -> Any:
        """Return synthetic rows.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_features)

        Returns
        -------
        array or data frame of shape (factor * n_samples, n_features)
            Of the type of X, columns of the same dtypes.

        Raises
        ------
        ValueError
            If a parameter is out of range, or X is no table.
        """
        self.check()
        if len(getattr(X, "shape", ())) != 2 or hasattr(X, "tocsr"):
            raise ValueError(
                f"synthetic={self!r} mixes the columns of arrays and tables (n, "
                f"n_features), and X is a {type(X).__name__} of shape "
                f"{getattr(X, 'shape', None)}: leave synthetic out."
            )
        rng = check_random_state(self.random_state)
        n, n_columns = X.shape
        source = np.tile(np.arange(n), int(np.ceil(self.factor)))
        source = rng.permutation(source)[: round(self.factor * n)]
        is_new = rng.random_sample((len(source), n_columns)) < self.fraction
        none = ~is_new.any(axis=1)
        is_new[none, rng.randint(n_columns, size=none.sum())] = True
        if self.method == "marginals":
            other = rng.randint(n, size=is_new.shape)
        else:
            other = _nearest(X)[source][:, None]
        return mix_rows(X, np.where(is_new, other, source[:, None]))

    def check(self) -> None:
        """Raise ValueError if a parameter is out of range."""
        check_number("factor", self.factor, low=0, low_inclusive=False)
        check_number("fraction", self.fraction, low=0, high=1, low_inclusive=False)
        if self.method not in _METHODS:
            raise ValueError(
                f"method={self.method!r}: expected 'marginals' or 'neighbors'."
            )


def _nearest(X: Any) -> np.ndarray:
    """Return the nearest other row of each."""
    numbers = TablePreprocessor().fit_transform(X if is_frame(X) else np.asarray(X))
    found = NearestNeighbors(n_neighbors=1).fit(numbers)
    near = found.kneighbors(return_distance=False) if len(numbers) > 1 else [[0]]
    return np.asarray(near)[:, 0]  # without a query no row is its own neighbour
