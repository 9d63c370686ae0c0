"""A student that chooses temperature and alpha by cross-validation."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags

from skkd._estimator.classifier import DistilledClassifier
from skkd._estimator.html_repr import brief, differ
from skkd._estimator.student_predictions import PredictsAsStudentMixin
from skkd._fit.objective import check_hyperparameters
from skkd._fit.plan import plan_fit
from skkd._utils.checks import check_number
from skkd.search._halving import RULES, HalvingOfEpochs
from skkd.search._packed_search import PackedSearchCV

_OWN = ("temperatures", "alphas", "cv", "scoring", "rule", "halving", "teacher_saw")
_OF_FIT = ("teacher_logits", "teacher_X", "sample_weight")
_CHOSEN = ("temperature", "alpha")


def _is_state(name: str) -> bool:
    return name.startswith("_") or name.endswith("_")


class DistilledClassifierCV(PredictsAsStudentMixin, ClassifierMixin, BaseEstimator):
    """A small network that learns from a fitted teacher as much as pays.

    Temperature and alpha are chosen by cross-validation, as
    :class:`~sklearn.linear_model.LogisticRegressionCV` chooses its penalty, and the
    student is trained on all samples with these. The plain student, ``alpha=0``, is
    always among the candidates. All students of all folds are trained together, see
    :class:`~skkd.search.PackedSearchCV`.

    Parameters
    ----------
    module : type, callable, torch.nn.Module or None, default=None
        As of :class:`~skkd.DistilledClassifier`.
    teacher : object or None, default=None
        As of :class:`~skkd.DistilledClassifier`. A fitted teacher must not have seen
        the samples that it teaches, or what it is worth is overrated in each fold:
        fit it on others, or let ``teacher_cv=5`` fit clones of it. None trains the
        plain student.
    temperatures : sequence of float, default=(1, 2, 4, 8)
        Candidates, above 0.
    alphas : sequence of float, default=(0, 0.3, 0.6, 0.9)
        Candidates, in [0, 1]; 0 is added if it is missing.
    cv : int, splitter or iterable, default=5
        Folds; an int is a number of stratified folds.
    scoring : str, callable or None, default=None
        What is best, as in scikit-learn; None is the accuracy.
    rule : {"best", "one_standard_error"}, default="best"
        The candidate with the best mean score; or, of those that are within one
        standard error of it, the one with the smallest alpha, then temperature. With
        `halving` of those of the last round.
    halving : bool, default=False
        Train all candidates for a few epochs, the best third of them for three times
        as many, and so on, one by one
        (:class:`~sklearn.model_selection.HalvingGridSearchCV`): for students that
        cannot be trained together, such as convolutions on a CPU.
    teacher_saw : {None, "other rows"}, default=None
        "other rows" vouches that a fitted teacher saw none of the rows of X.
    **params
        All other parameters of :class:`~skkd.DistilledClassifier`, such as
        ``max_epochs``, ``lr``, ``teacher_cv`` or ``module__hidden``.

    Attributes
    ----------
    temperature_, alpha_ : float
        What was chosen.
    best_score_ : float
        Its mean score over the folds.
    cv_results_ : dict of str to array
        As of :class:`~sklearn.model_selection.GridSearchCV`.
    student_ : DistilledClassifier
        Trained on all samples.
    packing_ : Packing
        How many fits were trained together; absent with ``halving=True``.
    caveat_ : str or None
        Under which condition the scores hold, see ``teacher_saw``; absent with
        ``halving=True``.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    skkd.search.PackedSearchCV : Any other parameters.
    skkd.report.gain : Whether the teacher was worth it, with an interval.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skkd import DistilledClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(20, random_state=0)
    >>> student = DistilledClassifierCV(
    ...     teacher=forest, teacher_cv=5, max_epochs=20, lr=0.01, random_state=0)
    >>> student.fit(X, y).score(X, y) > 0.9
    True
    >>> print(student.packing_)
    65 of 65 fits trained together, in 1 group
    """

    def __init__(
        self,
        module: Any = None,
        *,
        teacher: Any = None,
        temperatures: Sequence[float] = (1, 2, 4, 8),
        alphas: Sequence[float] = (0, 0.3, 0.6, 0.9),
        cv: Any = 5,
        scoring: Any = None,
        rule: str = "best",
        halving: bool = False,
        teacher_saw: str | None = None,
        **params: Any,
    ) -> None:
        self.module = module
        self.teacher = teacher
        self.temperatures = temperatures
        self.alphas = alphas
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.halving = halving
        self.teacher_saw = teacher_saw
        for name, value in params.items():
            setattr(self, name, value)

    # Parameters ---------------------------------------------------------------

    @property
    def _estimator(self) -> DistilledClassifier:
        """The student with the parameters of this object, not fitted."""
        given = self._given()
        chosen = [name for name in _CHOSEN if name in given]
        if chosen:
            raise TypeError(
                f"{', '.join(chosen)}: chosen by cross-validation here. Pass the "
                "candidates, temperatures=[...] and alphas=[...], or use "
                "DistilledClassifier."
            )
        return DistilledClassifier(**given)

    def _given(self) -> dict[str, Any]:
        """Return the parameters of the student that were passed."""
        values = vars(self).items()
        return {k: v for k, v in values if k not in _OWN and not _is_state(k)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the student among them.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of the parts.

        Returns
        -------
        dict of str to object
        """
        params = self._estimator.get_params(deep=deep)
        own = {name: getattr(self, name) for name in _OWN}
        return own | {k: v for k, v in params.items() if k not in _CHOSEN}

    def set_params(self, **params: Any) -> DistilledClassifierCV:
        """Set parameters, as scikit-learn does.

        Parameters
        ----------
        **params
            Names as in :meth:`get_params`.

        Returns
        -------
        DistilledClassifierCV
            The estimator itself.
        """
        own = {k: params.pop(k) for k in [*params] if k in _OWN}
        # Raises if there is no such parameter, and sets those of the parts.
        student = self._estimator.set_params(**params)
        held = student.get_params(deep=False)
        self.__dict__.update(own | {k: held[k] for k in params if k in held})
        return self

    def __sklearn_clone__(self) -> DistilledClassifierCV:
        own = {name: clone(getattr(self, name), safe=False) for name in _OWN}
        student = clone(self._estimator)  # shares a fitted teacher
        params = {k: v for k, v in vars(student).items() if k in self._given()}
        twin = type(self)(**own, **params)
        if hasattr(self, "_metadata_request"):
            twin._metadata_request = copy.deepcopy(self._metadata_request)
        return twin

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        signature = inspect.signature(type(self).__init__).parameters
        given = {name: getattr(self, name) for name in _OWN} | self._given()
        shown = [
            f"{name}={brief(value)}"
            for name, value in given.items()
            if name not in signature or differ(value, signature[name].default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    # Fitting ------------------------------------------------------------------

    def fit(
        self, X: Any, y: ArrayLike | None = None, **fit_params: Any
    ) -> DistilledClassifierCV:
        """Choose temperature and alpha, and train the student with these.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As in :meth:`skkd.DistilledClassifier.fit`.
        y : array-like of shape (n_samples,)
        **fit_params
            ``sample_weight``, ``teacher_logits`` and ``teacher_X`` of
            :meth:`skkd.DistilledClassifier.fit`, and ``groups`` for `cv`.

        Returns
        -------
        DistilledClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a candidate or `rule` is out of range, or the student refuses the data.
        """
        student, grid = self._estimator, self._grid()
        known = {name: fit_params.get(name) for name in _OF_FIT}
        plan_fit(student, X, y, fresh=True, **known)  # raises what would fail each fit
        alone = self.teacher is None and fit_params.get("teacher_logits") is None
        if alone:
            grid = [{name: values[:1] for name, values in grid[0].items()}]
        search = self._search(student, grid).fit(X, y, **fit_params)
        chosen = {name: search.best_params_[name] for name in _CHOSEN}
        if self.halving:  # its last round may have had fewer epochs
            own = {k: v for k, v in fit_params.items() if k != "groups"}
            self.student_ = clone(student).set_params(**chosen).fit(X, y, **own)
        else:
            self.student_ = search.best_estimator_
            self.packing_, self.caveat_ = search.packing_, search.caveat_
        self.temperature_, self.alpha_ = chosen["temperature"], chosen["alpha"]
        self.cv_results_, self.n_splits_ = search.cv_results_, search.n_splits_
        scores = search.cv_results_["mean_test_score"]
        self.best_score_ = float(scores[search.best_index_])
        return self

    def _grid(self) -> list[dict[str, Any]]:
        """Return the candidates: the plain student, and each temperature and alpha."""
        temperatures, alphas = [*self.temperatures], [*self.alphas]
        if not temperatures:
            raise ValueError("temperatures is empty: expected numbers above 0.")
        for temperature in temperatures:
            for alpha in [*alphas, 0]:
                check_hyperparameters(temperature, alpha)
        grid: list[dict[str, Any]] = [{"temperature": temperatures[:1], "alpha": [0]}]
        if taught := [alpha for alpha in alphas if alpha > 0]:
            grid.append({"temperature": temperatures, "alpha": taught})
        return grid

    def _search(self, student: Any, grid: Any) -> Any:
        if self.rule not in RULES:
            raise ValueError(f"rule={self.rule!r}: expected one of {[*RULES]}.")
        settings: dict[str, Any] = {
            "scoring": self.scoring,
            "cv": self.cv,
            "error_score": "raise",
        }
        rule = RULES[self.rule]
        if not self.halving:
            settings |= {"teacher_saw": self.teacher_saw, "refit": rule}
            return PackedSearchCV(student, grid, **settings)
        check_number("max_epochs", student.max_epochs, Integral, low=3)
        epochs = {"resource": "max_epochs", "max_resources": student.max_epochs}
        halving = HalvingOfEpochs(student, grid, refit=False, **epochs, **settings)
        halving.rule = rule
        return halving

    def __sklearn_tags__(self) -> Any:
        return get_tags(self._estimator)
