"""Optuna: the space of a distillation, and cross-validation that prunes by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from skorch import NeuralNet
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skkd._data.labels import check_labels

if TYPE_CHECKING:
    from optuna.trial import Trial

    from skkd._estimator.classifier import DistilledClassifier

__all__ = ["pruned_cross_val_score", "suggest_distillation"]


def suggest_distillation(
    trial: Trial,
    *,
    temperature: tuple[float, float] = (1.0, 16.0),
    alpha: tuple[float, float] = (0.0, 1.0),
    prefix: str = "",
) -> dict[str, float]:
    """Let a trial choose temperature and alpha.

    Parameters
    ----------
    trial : optuna.trial.Trial
    temperature : tuple of float, default=(1.0, 16.0)
        Lowest and highest value, searched on a logarithmic scale.
    alpha : tuple of float, default=(0.0, 1.0)
        Lowest and highest value. 0 is the student without a teacher.
    prefix : str, default=""
        Put before the names, such as ``"distilledclassifier__"`` for a step of a
        pipeline.

    Returns
    -------
    dict of str to float
        Parameters for ``set_params``.

    Examples
    --------
    >>> import optuna
    >>> from skkd.search import suggest_distillation
    >>> trial = optuna.trial.FixedTrial({"temperature": 4.0, "alpha": 0.9})
    >>> suggest_distillation(trial)
    {'temperature': 4.0, 'alpha': 0.9}
    """
    return {
        f"{prefix}temperature": trial.suggest_float(
            "temperature", *temperature, log=True
        ),
        f"{prefix}alpha": trial.suggest_float("alpha", *alpha),
    }


def pruned_cross_val_score(
    estimator: DistilledClassifier,
    X: np.ndarray,
    y: np.ndarray,
    trial: Trial,
    *,
    cv: Any = 3,
    monitor: str = "valid_acc",
) -> np.ndarray:
    """Cross-validate an estimator, giving the trial up where it is unpromising.

    The score on the held-out fold is reported after every epoch. The epochs of a
    trial count on from fold to fold, so that a pruner compares the same epoch of the
    same fold.

    Parameters
    ----------
    estimator : DistilledClassifier
        Cloned for each fold. Its ``train_split`` gives way to the fold.
    X : ndarray of shape (n, ...)
    y : ndarray of shape (n,)
        Rows equal to the estimator's ``unlabeled`` are never held out.
    trial : optuna.trial.Trial
        Of a study that maximises `monitor` (or minimises it, for a loss).
    cv : int, splitter or iterable, default=3
        As in :func:`sklearn.model_selection.cross_val_score`.
    monitor : str, default="valid_acc"
        Column of the estimator's history.

    Returns
    -------
    ndarray of shape (n_folds,)
        `monitor` after the last epoch of each fold.

    Raises
    ------
    TypeError
        If the estimator is no net.
    optuna.TrialPruned
        If the study's pruner gives the trial up.
    ImportError
        If optuna-integration is not installed.

    Examples
    --------
    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from skkd import DistilledClassifier
    >>> from skkd.search import pruned_cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> student = DistilledClassifier(max_epochs=5, lr=0.01, random_state=0)
    >>> trial = optuna.create_study(direction="maximize").ask()
    >>> pruned_cross_val_score(student, X, y, trial).shape
    (3,)
    """
    if not isinstance(estimator, NeuralNet):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, whose epochs cannot be "
            "followed: expected a DistilledClassifier. Of a Pipeline take the last "
            "step, and give X as the steps before it make it."
        )
    callback = _pruning_callback()
    X, y = np.asarray(X), np.asarray(y)
    labelled = check_labels(X, y, estimator.unlabeled)[1]
    known, unlabelled = np.flatnonzero(labelled), np.flatnonzero(~labelled)
    folds = check_cv(cv, y[known], classifier=True).split(known, y[known])
    scores = []
    for fold, (rest, held_out) in enumerate(folds):
        train, test = np.concatenate([known[rest], unlabelled]), known[held_out]
        student = clone(estimator)
        report = callback(_Fold(trial, fold * student.max_epochs), monitor)
        student.set_params(
            callbacks=[*(student.callbacks or []), report],
            train_split=predefined_split(Dataset(X[test], y[test])),
        )
        student.fit(X[train], y[train])
        scores.append(student.history[-1, monitor])
    return np.array(scores)


class _Fold:
    """A trial as one of its folds sees it: epochs count on from the fold before."""

    def __init__(self, trial: Trial, first_step: int) -> None:
        self._trial = trial
        self._first_step = first_step

    def report(self, value: float, step: int) -> None:
        self._trial.report(value, self._first_step + step)

    def should_prune(self) -> bool:
        return self._trial.should_prune()


def _pruning_callback() -> Any:
    try:
        from optuna_integration.skorch import SkorchPruningCallback
    except ImportError as error:
        raise ImportError(
            "pruned_cross_val_score needs optuna-integration: pip install "
            "optuna-integration."
        ) from error
    return SkorchPruningCallback
