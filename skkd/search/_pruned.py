"""Optuna: the space of a distillation, and cross-validation that prunes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import optuna
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skkd._data.frames import is_frame, to_numbers
from skkd._data.labels import check_labels
from skkd._data.rows import sliceable
from skkd._estimator.classifier import DistilledClassifier
from skkd._fit.seen_rows import (
    UNKNOWN,
    check_teacher_saw,
    is_prefit,
    look_for_seen_rows,
    report_seen_rows,
)
from skkd.search._seen_rows import right_of


def suggest_distillation(
    trial: optuna.trial.BaseTrial,
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
    X: Any,
    y: ArrayLike,
    trial: optuna.trial.BaseTrial,
    *,
    groups: ArrayLike | None = None,
    cv: Any = 3,
    monitor: str = "valid_acc",
    teacher_saw: str | None = None,
) -> np.ndarray:
    """Cross-validate an estimator, and stop as soon as the trial is unpromising.

    While the first fold is trained, its score is reported after every epoch. After each
    further fold the mean over all folds so far is reported, each after its last epoch.
    So a pruner compares the same folds after the same epochs: early epochs tell what is
    hopeless, and the folds tell what is merely lucky in the first one.

    Parameters
    ----------
    estimator : DistilledClassifier
        Cloned for each fold. Its ``train_split`` is replaced by the fold.
    X : array-like of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
    trial : optuna.trial.Trial
        Of a study that maximises `monitor` (or minimises it, for a loss).
    groups : array-like of shape (n_samples,), default=None
        Passed to the splitter, such as :class:`~sklearn.model_selection.GroupKFold`.
    cv : int, splitter or iterable, default=3
        As in :func:`sklearn.model_selection.cross_val_score`: it splits all samples,
        and its indices are positions in `X`.
    monitor : str, default="valid_acc"
        Column of the estimator's history.
    teacher_saw : {None, "other rows"}, default=None
        "other rows" vouches that a fitted teacher saw none of the rows of `X`. None:
        not known, which ``trial.user_attrs["caveat"]`` says; a teacher that is right on
        nearly all held-out rows is a :class:`~skkd.TeacherWarning`. A
        :class:`~sklearn.model_selection.GridSearchCV` cannot tell: it asks for scores
        of single folds, of which neither the student nor its teacher know the rows.

    Returns
    -------
    ndarray of shape (n_folds,)
        `monitor` after the last epoch of each fold.

    Raises
    ------
    TypeError
        If the estimator is not a net, or its callbacks are not a list.
    ValueError
        If `monitor` is not recorded, or a fold holds out no labelled sample.
    optuna.TrialPruned
        If the study's pruner stops the trial.

    Notes
    -----
    The first fold's epochs are the steps 0 to ``max_epochs - 1``, the further folds one
    step each after them: trials of a study should have the same ``max_epochs``. At such
    a step the pruner does not see the steps before it. Optuna's percentiles are
    compared with the best value of a trial so far, and in the first fold that may be
    the best for no other reason than that this fold is easy.

    Samples whose label equals the estimator's ``unlabeled`` are split like all others.
    In the training part they are used for training; in the held-out part they are
    neither scored, as in ``DistilledClassifier.score``, nor trained on: one of them
    may be a copy of a held-out sample.

    With ``callbacks="disable"`` skorch's default callbacks run all the same, as they
    record the scores, but nothing is printed.

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
            f"estimator is a {type(estimator).__name__}, which has no epochs: "
            "expected a DistilledClassifier. Of a Pipeline take the last step, and X "
            "as the steps before it transform it."
        )
    check_teacher_saw(teacher_saw)
    unknown = is_prefit(estimator) and teacher_saw is None
    if unknown:
        trial.set_user_attr("caveat", UNKNOWN)
    X, y, groups = indexable(sliceable(X), y, groups)
    y, labelled = check_labels(X, y, getattr(estimator, "unlabeled", None))
    target = _split_target(y, labelled)
    folds = check_cv(cv, target, classifier=True).split(X, target, groups)
    scores, right = [], []
    for fold, (train, held_out) in enumerate(folds):
        train, held_out = np.arange(len(y))[train], np.arange(len(y))[held_out]
        test = held_out[labelled[held_out]]
        if not len(test):
            raise ValueError(
                f"cv holds out no labelled sample in fold {fold}: there is nothing to "
                "score. Use a cv with labelled samples in each held-out part."
            )
        student = clone(estimator)
        _add_callbacks(student, [] if fold else [_ReportToTrial(trial, monitor)])
        rows = _safe_indexing(X, test)
        # Its own preprocessing, or none, takes tables; skorch makes dicts of them.
        takes_tables = isinstance(student, DistilledClassifier)
        is_table = is_frame(rows) and not takes_tables
        X_test = to_numbers(rows, "X") if is_table else rows
        student.set_params(train_split=predefined_split(Dataset(X_test, y[test])))
        if isinstance(student, DistilledClassifier):
            student.set_params(on_interrupt="raise")  # half a fit has no score
        student.fit(_safe_indexing(X, train), y[train])
        scores.append(_score_of(student, monitor))
        if fold:
            _report_folds(trial, student.max_epochs - 1 + fold, scores)
        if unknown:
            right.append(right_of(student, rows, y[test]))
    if unknown:
        teachers, students = np.concatenate(right, axis=1)
        for finding in report_seen_rows(look_for_seen_rows(teachers, students)):
            trial.set_user_attr("caveat", str(finding))
    return np.array(scores)


class _ReportToTrial(Callback):
    """Report each epoch to a trial, and stop the trial if its pruner says so."""

    observes_only = True  # a fit that it lets finish is the same without it

    def __init__(self, trial: Any, monitor: str) -> None:
        self.trial = trial
        self.monitor = monitor

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        self._report(net, len(net.history) - 1)

    def on_epochs_restored(self, net: Any, epochs: Any) -> None:
        """Report epochs that a checkpoint had."""
        for epoch in range(len(epochs)):
            self._report(net, epoch)

    def _report(self, net: Any, epoch: int) -> None:
        self.trial.report(_score_of(net, self.monitor, epoch), epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned(
                f"The trial was pruned at epoch {epoch} of fold 0."
            )


def _score_of(net: Any, monitor: str, epoch: int = -1) -> float:
    """Return what is monitored, after an epoch."""
    recorded = net.history[epoch]
    if monitor not in recorded:
        names = sorted(k for k in recorded if k != "batches" and "_best" not in k)
        raise ValueError(
            f"monitor={monitor!r} is not in the history, expected one of "
            f"{', '.join(names)}. Add a callback that records it, such as "
            "skorch.callbacks.EpochScoring."
        )
    return recorded[monitor]


def _report_folds(
    trial: optuna.trial.BaseTrial, step: int, scores: list[float]
) -> None:
    """Report the mean over folds, and stop the trial if its pruner says so."""
    mean = float(np.mean(scores))
    trial.report(mean, step)
    if not isinstance(trial, optuna.Trial):  # a FixedTrial, which has no pruner
        return
    study = trial.study
    # Another quantity than those of the steps before it, which a pruner would mix up.
    alone = copy.copy(study.get_trials(deepcopy=False)[trial.number])
    alone.intermediate_values = {step: mean}
    if study.pruner.prune(study, alone):
        raise optuna.TrialPruned(f"The trial was pruned after fold {len(scores) - 1}.")


def _add_callbacks(student: Any, more: list[Callback]) -> None:
    """Add callbacks after those that the estimator has."""
    callbacks = student.callbacks
    if isinstance(callbacks, str) and callbacks == "disable":
        # The default callbacks record what is reported.
        student.set_params(callbacks=more, verbose=0)
    elif callbacks is None or isinstance(callbacks, list):
        student.set_params(callbacks=[*(callbacks or []), *more])
    else:
        raise TypeError(
            f"callbacks={callbacks!r}: expected a list of callbacks, None or 'disable'."
        )


def _split_target(y: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return what a splitter stratifies by."""
    if labelled.all() or y.dtype.kind not in "Of":
        return y
    # Splitters cannot sort NaN or None among labels: class numbers, -1 for no label.
    target = np.full(len(y), -1)
    target[labelled] = np.unique(y[labelled], return_inverse=True)[1]
    return target
