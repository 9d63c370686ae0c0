"""A grid search whose students are trained together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from skkd._fit.seen_rows import check_teacher_saw
from skkd._packed.fits import Fold, PackedFits
from skkd._utils.backends import in_this_process
from skkd.search._seen_rows import caveat_of

# A parameter that tells candidates apart, whatever their values are.
_NUMBER = "candidate"


class PackedSearchCV(BaseSearchCV):
    """Exhaustive search, as by GridSearchCV, in the time of a few fits.

    The students of all candidates and folds whose networks have one shape are trained
    as one, with stacked parameters, each on the batches that it would see by itself.
    What cannot be stacked is trained by itself; ``packing_`` says how many, and why.

    Parameters
    ----------
    estimator : DistilledClassifier or Pipeline
        A pipeline ends in a DistilledClassifier; the steps before it are fitted once
        a fold for all candidates that do not change them.
    param_grid : dict of str to list, or list of such dicts
        As for :class:`~sklearn.model_selection.GridSearchCV`.
    scoring : str, callable, list, tuple or dict, default=None
        As for GridSearchCV.
    cv : int, splitter or iterable, default=None
        As for GridSearchCV.
    refit : bool, str or callable, default=True
        As for GridSearchCV. The refit is an ordinary fit.
    max_members : int, default=None
        Most students of a stack. None is chosen by the size of the student, so that
        parameters, gradients and moments take half a gigabyte at most.
    error_score : "raise" or float, default=nan
        As for GridSearchCV.
    return_train_score : bool, default=False
        As for GridSearchCV.
    teacher_saw : {None, "other rows"}, default=None
        "other rows" vouches that a fitted teacher saw none of the rows of X. None: not
        known, which ``caveat_`` says; a teacher that is right on nearly all held-out
        rows is a :class:`~skkd.TeacherWarning`.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, \
n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As of GridSearchCV. Fit times of students that were trained together are equal
        shares of the time of all.
    packing_ : Packing
        How many fits were trained together, and why others were not.
    caveat_ : str or None
        Under which condition the scores hold, if the best student has a teacher that
        was fitted before.

    See Also
    --------
    DistilledClassifierCV : Chooses temperature and alpha.

    Notes
    -----
    Members of a stack differ in temperature, alpha, loss, weights of classes and
    samples, ``random_state``, fold, settings of the optimizer such as ``lr``, and
    schedules by epoch (:class:`~skkd.callbacks.Schedule`, skorch's ``LRScheduler``);
    other batch sizes, optimizers or shapes make stacks of their own. Their
    probabilities after training are those of single fits up to rounding, with the same
    dropout on a CPU. Other callbacks, ``train_split``, augmentation, losses on features
    and batch normalisation are trained by themselves, and so are convolutions on a CPU,
    where stacking does not pay.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skkd import DistilledClassifier
    >>> from skkd.search import PackedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> student = DistilledClassifier(
    ...     teacher=RandomForestClassifier(20, random_state=0), teacher_cv=5,
    ...     lr=0.01, max_epochs=20, random_state=0)
    >>> grid = {"temperature": [1, 4], "alpha": [0, 0.5]}
    >>> search = PackedSearchCV(student, grid, cv=3).fit(X, y)
    >>> print(search.packing_)
    12 of 12 fits trained together, in 1 group
    >>> search.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        name: constraint
        for name, constraint in GridSearchCV._parameter_constraints.items()
        if name not in ("n_jobs", "verbose", "pre_dispatch")
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        cv: Any = None,
        refit: Any = True,
        max_members: int | None = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        teacher_saw: str | None = None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            cv=cv,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.max_members = max_members
        self.teacher_saw = teacher_saw

    def fit(self, X: Any, y: Any = None, **params: Any) -> PackedSearchCV:
        """Train all candidates on all folds, and the best of them on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        **params
            As of GridSearchCV: what ``fit`` of the estimator takes, such as
            ``sample_weight``, and ``groups`` for the splitter.

        Returns
        -------
        PackedSearchCV
            The fitted search.
        """
        self._validate_params()
        with in_this_process():
            return self._fit(X, y, params)

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> PackedSearchCV:
        check_teacher_saw(self.teacher_saw)
        candidates = [*ParameterGrid(self.param_grid)]
        is_classification = is_classifier(self.estimator)
        splits = _FixedSplits(check_cv(self.cv, y, classifier=is_classification))
        # What a fold is given is the same for all candidates: one is enough.
        recorder = _Recorder(self.estimator)
        once = GridSearchCV(
            recorder, {}, scoring=_no_score, cv=splits, refit=False, n_jobs=1
        )
        once.fit(X, y, **params)
        fits = PackedFits(self.estimator, candidates, recorder.folds, self.max_members)
        refit = self.refit
        search = GridSearchCV(
            _Candidate(self.estimator, fits),
            [_numbered(i, candidate) for i, candidate in enumerate(candidates)],
            scoring=self.scoring,
            cv=splits,
            refit=(lambda r: refit(_plain(r, fits))) if callable(refit) else refit,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
            n_jobs=1,  # in order
        )
        search.fit(X, y, **params)
        fitted = {k: v for k, v in vars(search).items() if k.endswith("_")}
        fitted["cv_results_"] = _plain(search.cv_results_, fits)
        if hasattr(search, "best_params_"):
            fitted["best_params_"] = _without_number(search.best_params_)
        if refit:
            fitted["best_estimator_"] = search.best_estimator_.fitted_
        fitted["packing_"], fitted["caveat_"] = fits.packing, None
        if self.teacher_saw is None and hasattr(search, "best_index_"):
            best = fits.of_candidate(search.best_index_)
            held_out = [test for _, test in splits.splits or []]
            if len(best) == len(held_out):  # none has failed
                fitted["caveat_"] = caveat_of(best, held_out, X, y, params)
        self.__dict__.update(fitted)
        return self


class _FixedSplits:
    """A splitter that draws its splits once."""

    def __init__(self, cv: Any) -> None:
        self.cv = cv
        self.splits: list[Any] | None = None

    def get_metadata_routing(self) -> Any:
        return get_routing_for_object(self.cv)

    def get_n_splits(self, *args: Any, **kwargs: Any) -> int:
        return self.cv.get_n_splits(*args, **kwargs)

    def split(self, *args: Any, **kwargs: Any) -> list[Any]:
        if self.splits is None:
            self.splits = [*self.cv.split(*args, **kwargs)]
        return self.splits


class _Stand(BaseEstimator):
    """Stands for an estimator in GridSearchCV, which fits a clone for each fit."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def get_metadata_routing(self) -> Any:
        return self.estimator.get_metadata_routing()


class _Recorder(_Stand):
    """Keeps what each fold is given, and fits nothing."""

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.folds: list[Fold] = []

    def __sklearn_clone__(self) -> _Recorder:
        return self

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> _Recorder:
        self.folds.append(Fold(X, y, fit_params))
        return self


class _Candidate(_Stand):
    """A candidate of the search, whose fits are at hand."""

    def __init__(self, estimator: Any, fits: PackedFits) -> None:
        super().__init__(estimator)
        self.fits = fits

    def __sklearn_clone__(self) -> _Candidate:
        return _Candidate(self.estimator, self.fits)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return self.estimator.get_params(deep=deep)

    def set_params(self, **params: Any) -> _Candidate:
        self.number = params.pop(_NUMBER)
        self.estimator = clone(self.estimator).set_params(**params)
        return self

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> _Candidate:
        self.fitted_ = self.fits.fit(self.number, self.estimator, X, y, fit_params)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "estimator" not in vars(self):
            raise AttributeError(name)
        return getattr(vars(self).get("fitted_", self.estimator), name)


def _no_score(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None
) -> float:
    return 0.0


def _numbered(i: int, candidate: dict[str, Any]) -> dict[str, list[Any]]:
    return {_NUMBER: [i], **{name: [value] for name, value in candidate.items()}}


def _without_number(candidate: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in candidate.items() if name != _NUMBER}


def _plain(results: dict[str, Any], fits: PackedFits) -> dict[str, Any]:
    """Return ``cv_results_`` as of the candidates, with the times of their fits."""
    plain = {k: v for k, v in results.items() if k != f"param_{_NUMBER}"}
    plain["params"] = [_without_number(params) for params in results["params"]]
    n_candidates = len(plain["params"])
    seconds = np.array([fits.seconds[key] for key in sorted(fits.seconds)])
    seconds = seconds.reshape(n_candidates, -1)
    plain["mean_fit_time"], plain["std_fit_time"] = seconds.mean(1), seconds.std(1)
    return plain
