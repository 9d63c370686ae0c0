"""A classifier that predicts as the student that it has trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skkd._data.labels import labelled_accuracy


class PredictsAsStudentMixin:
    """Predict as ``student_``, a fitted DistilledClassifier."""

    student_: Any

    @property
    def classes_(self) -> np.ndarray:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.student_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features, or of channels of images."""
        return self.student_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, if X had any."""
        return self.student_.feature_names_in_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self, "student_")
        return self.student_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy over the labelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_is_fitted(self, "student_")
        unlabeled = self.student_.unlabeled
        return labelled_accuracy(self.predict, X, y, unlabeled, sample_weight)


def chosen_student(fitted: Any) -> Any:
    """Return the student that a search or a recipe has chosen, and predicts as."""
    for name in ("best_estimator_", "student_"):
        fitted = getattr(fitted, name, fitted)
    return fitted
