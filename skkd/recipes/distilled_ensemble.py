"""An ensemble distilled into one student (Hinton et al., 2015)."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skkd._estimator.classifier import DistilledClassifier
from skkd._packed.fits import Fold, PackedFits
from skkd._utils.checks import check_number
from skkd.recipes._base import Recipe, check_uses_teacher, mean_proba, with_teacher


class DistilledEnsemble(Recipe):
    """Several networks that differ by their seeds teach a single one.

    The mean of several networks is better than each of them, at the cost of as many
    forward passes; one network that is taught by this mean costs one [1]_, [2]_. If
    there is an ``estimator.teacher``, it teaches the members of the ensemble, and they
    teach the student.

    Parameters
    ----------
    estimator : DistilledClassifier
        Cloned for every member and for the student.
    n_students : int, default=5
        Number of members of the ensemble; the student is one more.

    Attributes
    ----------
    students_ : list of DistilledClassifier
        The trained members; the list can be the teacher of any other student.
    student_ : DistilledClassifier
        Taught by the mean of their probabilities; used by `predict` and `score`.
    packing_ : Packing
        How many members were trained together, and why others were not.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Notes
    -----
    Each network has its own seed, drawn from the estimator's ``random_state``. The
    members are trained together, as the students of a
    :class:`~skkd.search.PackedSearchCV` are, where they can be.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015, sections 1 and 4. https://arxiv.org/abs/1503.02531
    .. [2] C. Bucila, R. Caruana, A. Niculescu-Mizil, "Model Compression", KDD 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.recipes import DistilledEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> net = DistilledClassifier(lr=0.01, max_epochs=20, random_state=0)
    >>> ensemble = DistilledEnsemble(net, n_students=2).fit(X, y)
    >>> ensemble.score(X, y) > 0.9
    True
    >>> ensemble.ensemble_predict_proba(X).shape
    (150, 3)
    >>> print(ensemble.packing_)
    2 of 2 fits trained together, in 1 group
    """

    def __init__(self, estimator: DistilledClassifier, n_students: int = 5) -> None:
        self.estimator = estimator
        self.n_students = n_students

    def _fit_members(
        self, X: Any, y: Any, teacher_data: dict[str, Any], fit_params: dict[str, Any]
    ) -> None:
        check_number("n_students", self.n_students, Integral, low=1)
        if "features" in check_uses_teacher(self.estimator):
            raise ValueError(
                f"distillation={self.estimator.distillation!r} compares layers, and an "
                "ensemble is several networks: use a loss on logits, such as 'kd', or "
                "another recipe, such as BornAgain."
            )
        *members, last = self._members([{}] * (self.n_students + 1))
        seeds = [{"random_state": member.random_state} for member in members]
        given = {**teacher_data, **fit_params}
        fits = PackedFits(self.estimator, seeds, [Fold(X, y, given)], None)
        students = [
            fits.fit(i, member, X, y, given) for i, member in enumerate(members)
        ]
        with_teacher(last, students).fit(X, y, **fit_params)
        self.students_, self.student_ = students, last
        self.packing_ = fits.packing

    def ensemble_predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean probabilities of the ensemble, the student's soft targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self, "students_")
        return mean_proba(self.students_, X)
