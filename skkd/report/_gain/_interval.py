"""The interval of a gain: variance between seeds, and between test rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t


class Interval(NamedTuple):
    """Interval of a difference."""

    low: float
    high: float


def crossed_interval(
    of_seeds: np.ndarray,  # (n_seeds,)
    influence: np.ndarray,  # (n_seeds, n_units)
    confidence: float,
    least: float = 0.0,
) -> Interval:
    r"""Return the interval of a mean over seeds and test rows, both drawn at random.

    All seeds have the same rows, so that two rows of a seed, and two seeds on a row,
    are not independent: the factors are crossed [1]_. The variance of the mean over
    :math:`S` seeds is the sum of two components,

    .. math:: V = s^2 / S + c,

    with :math:`s^2` the variance between the seeds, which contains the effect of a seed
    and its interaction with rows, and :math:`c` the mean covariance of two seeds over
    rows, which contains the effect of a row. The first has few degrees of freedom:
    with five seeds a bootstrap is too narrow. Each component has its own quantile of
    Student's t, and the two half-widths are combined as a root of squares [2]_:

    .. math:: \pm \sqrt{t_{S-1}^2 s^2 / S + t_{U-1}^2 c},

    with :math:`U` rows, or groups of rows. With one seed it is over rows alone, with
    one unit over seeds alone, with one of each infinite. The standard error is at
    least `least`. The influence of each unit is what it adds to the difference of a
    seed; the sum of each seed is zero.

    References
    ----------
    .. [1] A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1,
       2007, section 2. https://arxiv.org/abs/0712.1111
    .. [2] G. Y. Zou, A. Donner, "Construction of confidence limits about effect
       measures: a general approach", Statistics in Medicine 27, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from skkd.report._gain._interval import crossed_interval
    >>> differences = np.repeat([1.0, 0.0, -1.0], [30, 50, 20])[None]
    >>> influence = (differences - differences.mean()) / 100
    >>> low, high = crossed_interval(differences.mean(axis=1), influence, 0.95)
    >>> print(f"{low:.3f} to {high:.3f}")
    -0.040 to 0.240
    """
    n_seeds, n_units = influence.shape
    center = float(of_seeds.mean())
    if n_seeds == 1 and n_units == 1:
        return Interval(-math.inf, math.inf)
    covariance = _row_covariance(influence)
    t_rows = _quantile(confidence, n_units)
    # Two seeds may agree by chance: at least the width for these seeds, other rows.
    width = t_rows * max(float(covariance.mean()), least**2) ** 0.5
    if n_seeds > 1:
        seeds = float(of_seeds.var(ddof=1)) / n_seeds
        rows = max(float(covariance[~np.eye(n_seeds, dtype=bool)].mean()), 0.0)
        crossed = math.hypot(
            _quantile(confidence, n_seeds) * seeds**0.5, t_rows * rows**0.5
        )
        width = max(width, crossed)
    return Interval(center - width, center + width)


def _quantile(confidence: float, n: int) -> float:
    return float(student_t.ppf((1 + confidence) / 2, n - 1)) if n > 1 else 0.0


def _row_covariance(influence: np.ndarray) -> np.ndarray:
    """Return the covariance of the seeds over rows, (n_seeds, n_seeds)."""
    n_units = influence.shape[1]
    if n_units == 1:
        return np.zeros((len(influence), len(influence)))
    return influence @ influence.T * n_units / (n_units - 1)
