"""A study of a student's parameters, by as many workers as one likes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import TrialState
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.checks import check_number
from skkd.search import _agreement
from skkd.search._join import BEGUN, join_study
from skkd.search._pruned import pruned_cross_val_score
from skkd.search._seeded_sampler import SeededSampler
from skkd.search._space import (
    Space,
    check_space,
    published_starts,
    suggest,
    try_out,
)
from skkd.search._storages import explained_errors, name_of_storage, open_storage
from skkd.search._study_data import StudyData, read_data
from skkd.search._trials import FINISHED, run_trials

_GRACE = 3  # times the heartbeat
_COMPLETE = (TrialState.COMPLETE,)


class DistillationStudy:
    """An Optuna study of a student, by one process or by many machines.

    Each trial is a cross-validation by :func:`pruned_cross_val_score`. All workers of
    a study take trials from one storage: a machine that joins needs the same definition
    and the same data. A worker that is killed loses nothing that was finished, and its
    trial is run by another one.

    Write ``study = DistillationStudy(...)`` into a file, ``study.py``, and run
    ``python -m skkd.search worker study.py --n-trials 100`` on each machine. Nothing is
    unpickled: what a worker runs is that file.

    Parameters
    ----------
    estimator : DistilledClassifier
        Cloned for each trial. Give it a folder as ``memory`` that all machines see, and
        the teacher's logits are computed once in all.
    space : dict of str to distribution, or callable
        Parameters of the estimator, each with a distribution of
        :mod:`optuna.distributions`; or a function of a trial that returns a dict of
        parameters, as :func:`suggest_distillation` does.
    data : tuple, callable, str or path
        ``(X, y)`` or ``(X, y, groups)``; a function without arguments that returns one
        of them; or the path, on each machine, of an ``.npz`` file that holds ``X``,
        ``y`` and perhaps ``groups``, or of a folder of images for `reader`.
    name : str, default="distillation"
        Of the study in its storage.
    storage : str, path, optuna.storages.BaseStorage or None, default=None
        ``postgresql://USER@HOST/DATABASE``, its password in the environment variable
        PGPASSWORD or in ``~/.pgpass``; ``grpc://HOST:PORT`` of Optuna's proxy; a path
        that ends in ``.log``, a journal in a folder that all machines see; a path that
        ends in ``.db``, an SQLite file, for one machine. None: in memory, for one
        process.
    cv : int, splitter or iterable, default=3
        As of :func:`pruned_cross_val_score`. With groups an int is the number of folds
        of :class:`~sklearn.model_selection.StratifiedGroupKFold`.
    monitor : str, default="valid_acc"
        What is compared: a column of the estimator's history.
    direction : {"maximize", "minimize"} or None, default=None
        None minimises a `monitor` whose name ends in "loss", and maximises others.
    pruner : optuna.pruners.BasePruner or None, default=None
        None is Optuna's :class:`~optuna.pruners.MedianPruner`.
    sampler : optuna.samplers.BaseSampler or None, default=None
        None is Optuna's TPE; with a `random_state` it is seeded by that and by the
        number of the trial, so that workers do not repeat each other.
    warm_starts : "published", list of dict or None, default="published"
        Parameters of the first trials. "published": the student without its teacher,
        ``alpha=0``, and the settings with which each loss was published, as far as the
        space has them.
    teacher_saw : {None, "other rows"}, default=None
        As of :func:`pruned_cross_val_score`.
    reader : ImageReader or None, default=None
        Reads the images of a folder.
    heartbeat : int, default=30
        Seconds between two signs of life of a running trial. A trial without one for
        three times as long is begun again by another worker.
    random_state : int or None, default=None
        Seed of the sampler. That of the students is the estimator's.

    Attributes
    ----------
    study_ : optuna.Study
        The study of Optuna, with its trials.
    best_params_ : dict
        Parameters of the best trial.
    best_score_ : float
        Its mean over the folds.
    best_estimator_ : DistilledClassifier or Pipeline
        The best student, fitted on all samples; with a `reader` the pipeline of both.
    caveat_ : str or None
        Under which condition the score holds, if the teacher was fitted before.
    data_ : StudyData
        Samples, labels and groups.

    See Also
    --------
    PackedSearchCV : A grid whose students are trained together, on one machine.

    Notes
    -----
    The first worker notes in the study which versions, parameters and data it has;
    others that differ are refused with a sentence, as their scores would not compare. A
    memory folder is known by a mark that the first worker leaves in it.

    Optuna's journals and proxies have no heartbeat: there a trial counts up an
    attribute of its own, which the other workers watch. A process that is killed while
    it writes to a journal leaves a lock; the next one to write waits for 30 seconds.

    Examples
    --------
    >>> from optuna.distributions import FloatDistribution
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skkd import DistilledClassifier
    >>> from skkd.search import DistillationStudy
    >>> student = DistilledClassifier(
    ...     teacher=LogisticRegression(max_iter=500), teacher_cv=None, max_epochs=5,
    ...     random_state=0)
    >>> space = {
    ...     "alpha": FloatDistribution(0, 1),
    ...     "lr": FloatDistribution(1e-3, 0.1, log=True)}
    >>> study = DistillationStudy(
    ...     student, space, load_iris(return_X_y=True), random_state=0)
    >>> study.optimize(6).best_estimator_.score(*study.data_[:2]) > 0.8
    True
    """

    def __init__(
        self,
        estimator: DistilledClassifier,
        space: Space,
        data: Any,
        *,
        name: str = "distillation",
        storage: Any = None,
        cv: Any = 3,
        monitor: str = "valid_acc",
        direction: str | None = None,
        pruner: Any = None,
        sampler: Any = None,
        warm_starts: Any = "published",
        teacher_saw: str | None = None,
        reader: Any = None,
        heartbeat: int = 30,
        random_state: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.space = space
        self.data = data
        self.name = name
        self.storage = storage
        self.cv = cv
        self.monitor = monitor
        self.direction = direction
        self.pruner = pruner
        self.sampler = sampler
        self.warm_starts = warm_starts
        self.teacher_saw = teacher_saw
        self.reader = reader
        self.heartbeat = heartbeat
        self.random_state = random_state

    def optimize(
        self,
        n_trials: int,
        *,
        timeout: float | None = None,
        refit: bool = True,
        allow_other_versions: bool = False,
        verbose: int = 0,
    ) -> DistillationStudy:
        """Run trials until the study has enough, and fit the best student.

        Parameters
        ----------
        n_trials : int
            Finished trials of the study in all, those of other workers and of former
            calls included; those that were pruned count. Workers that begin trials at
            the same moment may add one more each.
        timeout : float, default=None
            Seconds after which no trial is begun.
        refit : bool, default=True
            Whether the best student is fitted on all samples.
        allow_other_versions : bool, default=False
            Whether this machine may have other versions than the study began with.
        verbose : int, default=0
            1 prints a line for each trial.

        Returns
        -------
        DistillationStudy

        Raises
        ------
        ConnectionError
            If the storage does not answer. What was finished is kept in it.
        OtherMachineError
            If versions, definition, data or the memory's folder are not as those of
            the study, a ValueError.
        """
        check_number("n_trials", n_trials, Integral, low=1)
        if timeout is not None:
            check_number("timeout", timeout, low=0)
        study = self.open(allow_other_versions=allow_other_versions)
        with explained_errors(self.storage):
            if verbose:
                print(self, flush=True)
            run_trials(
                study,
                self._objective,
                n_trials,
                timeout=timeout,
                heartbeat=self.heartbeat,
                grace=_GRACE * self.heartbeat,
                report=_print_trial if verbose else _print_nothing,
            )
            if verbose:
                print(self, flush=True)
            if refit and study.get_trials(deepcopy=False, states=_COMPLETE):
                self._refit()
        return self

    def open(self, *, allow_other_versions: bool = False) -> optuna.Study:
        """Create the study in its storage, or join it, without running a trial.

        Parameters
        ----------
        allow_other_versions : bool, default=False
            As of :meth:`optimize`.

        Returns
        -------
        optuna.Study
            As ``study_``.
        """
        self._check()
        params, among = try_out(self.space)
        clone(self.estimator).set_params(**params)  # raises if it has no such parameter
        if "max_epochs" in params and not isinstance(self.pruner, NopPruner):
            raise ValueError(
                "max_epochs is searched: trials of different lengths cannot be pruned, "
                "which compares them at equal epochs. Pass pruner=NopPruner(), or take "
                "max_epochs out of the space."
            )
        starts = self.warm_starts or []
        if isinstance(starts, str):
            starts = published_starts(self.estimator, among)
        self.data_: StudyData = read_data(self.data, self.reader)
        facts: dict[str, Any] = {
            "versions": _agreement.versions(),
            "definition": _agreement.definition(
                self.estimator,
                set(params),
                cv=self.cv,
                monitor=self.monitor,
                direction=self._direction(),
            ),
            "data": _agreement.fingerprint_of_data(*self.data_),
        }
        with explained_errors(self.storage):
            if getattr(self, "storage_", None) is None:
                grace = _GRACE * self.heartbeat
                self.storage_ = open_storage(self.storage, self.heartbeat, grace)
            self.study_: optuna.Study = join_study(
                self.storage_,
                self.name,
                self.estimator,
                facts,
                starts,
                allow_other_versions=allow_other_versions,
                direction=self._direction(),
                sampler=self._sampler(),
                pruner=self.pruner,
            )
            begun, here = self.study_.user_attrs[BEGUN]["versions"], facts["versions"]
            differ = _agreement.differences(begun, here)
            self._other_versions = {name: here.get(name) for name in differ}
        return self.study_

    @property
    def best_params_(self) -> dict[str, Any]:
        """Parameters of the best trial."""
        best = optuna.trial.FixedTrial(self._best_trial().params)
        return suggest(self.space, best)

    @property
    def best_score_(self) -> float:
        """Mean score over the folds of the best trial."""
        return float(self._best_trial().value)  # type: ignore[arg-type]

    @property
    def caveat_(self) -> str | None:
        """Under which condition the score of the best trial holds."""
        return self._best_trial().user_attrs.get("caveat")

    def __str__(self) -> str:
        """Return how far the study is, in a line."""
        where = f"study {self.name!r} in {name_of_storage(self.storage)}"
        if not hasattr(self, "study_"):
            return f"{where}: not opened"
        with explained_errors(self.storage):
            states = [t.state for t in self.study_.get_trials(deepcopy=False)]
        counts = f"{sum(s in FINISHED for s in states)} trials finished"
        if TrialState.PRUNED in states:
            counts += f", {states.count(TrialState.PRUNED)} of them pruned"
        if TrialState.RUNNING in states:
            counts += f", {states.count(TrialState.RUNNING)} running"
        if TrialState.COMPLETE in states:
            counts += f", best {self.monitor} {self.best_score_:.4f}"
        return f"{where}: {counts}"

    def _check(self) -> None:
        if not isinstance(self.estimator, DistilledClassifier):
            raise TypeError(
                f"estimator is a {type(self.estimator).__name__}: expected a "
                "DistilledClassifier. Of a Pipeline take the last step, and data as "
                "the steps before it transform it."
            )
        check_space(self.space)
        check_number("heartbeat", self.heartbeat, Integral, low=1)
        if self.direction not in (None, "maximize", "minimize"):
            raise ValueError(
                f"direction={self.direction!r}: expected 'maximize', 'minimize' or "
                "None."
            )
        if isinstance(self.warm_starts, str) and self.warm_starts != "published":
            raise ValueError(
                f"warm_starts={self.warm_starts!r}: expected 'published', a list of "
                "dicts of parameters, or None."
            )

    def _objective(self, trial: optuna.Trial) -> float:
        if self._other_versions:
            trial.set_user_attr("versions", self._other_versions)
        X, y, groups = self.data_
        student = clone(self.estimator).set_params(**suggest(self.space, trial))
        scores = pruned_cross_val_score(
            student,
            X,
            y,
            trial,
            groups=groups,
            cv=_by_groups(self.cv, groups),
            monitor=self.monitor,
            teacher_saw=self.teacher_saw,
        )
        return float(scores.mean())

    def _refit(self) -> None:
        X, y, _ = self.data_
        student = clone(self.estimator).set_params(**self.best_params_)
        student.fit(X, y)
        self.best_estimator_ = student
        if self.reader is not None:
            self.best_estimator_ = make_pipeline(self.reader, student)

    def _best_trial(self) -> optuna.trial.FrozenTrial:
        if not hasattr(self, "study_"):
            raise NotFittedError(
                f"The study {self.name!r} was not opened: call optimize, or open."
            )
        with explained_errors(self.storage):
            if not self.study_.get_trials(deepcopy=False, states=_COMPLETE):
                raise NotFittedError(
                    f"The study {self.name!r} has no complete trial yet: call optimize."
                )
            return self.study_.best_trial

    def _direction(self) -> str:
        is_loss = self.monitor.endswith("loss")
        return self.direction or ("minimize" if is_loss else "maximize")

    def _sampler(self) -> Any:
        if self.sampler is None and self.random_state is not None:
            return SeededSampler(self.random_state)
        return self.sampler


def _by_groups(cv: Any, groups: Any) -> Any:
    """Return what splits by groups, if there are groups and `cv` is a number."""
    is_number = isinstance(cv, Integral) and groups is not None
    return StratifiedGroupKFold(cv) if is_number else cv


def _print_nothing(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    pass


def _print_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    params = ", ".join(f"{k}={_short(v)}" for k, v in trial.params.items())
    if trial.state == TrialState.COMPLETE:
        text = f"{trial.value:.4f}"
    else:
        text = f"pruned at step {trial.last_step}"
    print(f"trial {trial.number}: {text}  {params}", flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
