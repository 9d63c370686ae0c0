"""Generations of one network that teach each other (Furlanello et al., 2018)."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.checks import check_number
from skkd.recipes._base import Recipe, check_uses_teacher, fit_chain, mean_proba


class BornAgain(Recipe):
    """Generations of one network, each taught by the one before.

    The students are as large as their teachers, and may still become better [1]_. The
    first generation is taught by ``estimator.teacher``, or trained on the labels alone
    if it is None.

    Parameters
    ----------
    estimator : DistilledClassifier
        Cloned for every generation.
    n_generations : int, default=3
        Number of generations, including the first.
    ensemble : bool, default=False
        Whether to predict the mean of the probabilities of all generations, the paper's
        "BANE", instead of those of the last one.

    Attributes
    ----------
    generations_ : list of DistilledClassifier
        The trained generations, each the ``teacher_`` of the next.
    student_ : DistilledClassifier
        The last of them.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    Each generation has its own seed, drawn from the estimator's ``random_state``, and
    so starts from other weights, as in the paper.

    References
    ----------
    .. [1] T. Furlanello, Z. C. Lipton, M. Tschannen, L. Itti, A. Anandkumar,
       "Born-Again Neural Networks", ICML 2018, section "Sequence of Teaching Selves
       Born-Again Networks Ensemble". https://arxiv.org/abs/1805.04770

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.recipes import BornAgain
    >>> X, y = load_iris(return_X_y=True)
    >>> net = DistilledClassifier(lr=0.01, max_epochs=20, random_state=0)
    >>> reborn = BornAgain(net, n_generations=2).fit(X, y)
    >>> reborn.score(X, y) > 0.9
    True
    >>> reborn.student_.teacher_ is reborn.generations_[0]
    True
    """

    def __init__(
        self,
        estimator: DistilledClassifier,
        n_generations: int = 3,
        ensemble: bool = False,
    ) -> None:
        self.estimator = estimator
        self.n_generations = n_generations
        self.ensemble = ensemble

    def _fit_members(
        self, X: Any, y: Any, teacher_data: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        check_number("n_generations", self.n_generations, Integral, low=1)
        check_uses_teacher(self.estimator)
        members = self._members([{}] * self.n_generations)
        self.generations_ = fit_chain(members, X, y, teacher_data, fit_params)
        self.student_ = self.generations_[-1]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Of the last generation, or the mean of all with ``ensemble=True``.
        """
        if not self.ensemble:
            return super().predict_proba(X)
        check_is_fitted(self, "generations_")
        return mean_proba(self.generations_, X)
