"""Rows that only a teacher labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skkd._utils.checks import check_number
from skkd.tables._munge import draw_around_neighbors, nearest_rows
from skkd.tables._rows import mix_rows

_METHODS = ("marginals", "neighbors")


class SyntheticRows(BaseEstimator):
    """Make rows of a table out of real ones, for a teacher to label.

    ``DistilledClassifier(synthetic=SyntheticRows())`` adds them to the training
    samples: they have no label, and learn from the teacher alone. Most real tables are
    small, and a teacher can be asked about more than it was trained on.

    Each is a copy of a real row in which some values are those of other rows, so that
    numbers, categories and gaps stay what they are. Numbers of neighbours get noise;
    whole ones stay whole, and within their range.

    Parameters
    ----------
    factor : float, default=5
        How many are made for each real row.
    method : {"marginals", "neighbors"}, default="marginals"
        Where the new values come from: any row, as in AutoGluon's SPUNGE [1]_, or the
        row's nearest neighbour, as in MUNGE [2]_.
    fraction : float, default=0.1
        The share of the values that are new, the `p` of MUNGE. In every row one is, at
        least.
    local_variance : float or None, default=1.0
        The `s` of MUNGE, for ``method="neighbors"``: a new number is drawn from a
        normal distribution around that of the neighbour, whose standard deviation is
        their difference divided by it. None takes the neighbour's number.
    random_state : int, RandomState or None, default=0
        With an int the same rows are made in every fit on the same samples, so that
        the teacher's logits for them are cached.

    Notes
    -----
    MUNGE goes through a copy of all rows, and changes a row and its neighbour at once,
    so that later rows may have neighbours that were changed. Here neighbours are real
    rows, and a synthetic row is made of one of them: every new value has the
    distribution that it has there for the first row. As there, a category is the
    neighbour's, numbers are scaled to 0 to 1 for the distance, and two levels are 1
    apart.

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
        local_variance: float | None = 1.0,
        random_state: Any = 0,
    ) -> None:
        self.factor = factor
        self.method = method
        self.fraction = fraction
        self.local_variance = local_variance
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
            return mix_rows(X, np.where(is_new, other, source[:, None]))
        near = nearest_rows(X)[source]
        rows = mix_rows(X, np.where(is_new, near[:, None], source[:, None]))
        if self.local_variance is None:
            return rows
        noise = is_new, self.local_variance, rng
        return draw_around_neighbors(X, rows, source, near, *noise)

    def check(self) -> None:
        """Raise ValueError if a parameter is out of range."""
        check_number("factor", self.factor, low=0, low_inclusive=False)
        check_number("fraction", self.fraction, low=0, high=1, low_inclusive=False)
        s = self.local_variance
        if s is not None:
            check_number("local_variance", s, low=0, low_inclusive=False)
        if self.method not in _METHODS:
            raise ValueError(
                f"method={self.method!r}: expected 'marginals' or 'neighbors'."
            )
