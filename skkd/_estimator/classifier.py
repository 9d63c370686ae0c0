"""DistilledClassifier: a small network trained on labels and on a fitted teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from skorch.dataset import Dataset
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from skkd._data.batches import TrainingSet
from skkd._data.inputs import widen_range
from skkd._data.labels import labelled_accuracy
from skkd._data.weights import sample_weight_fields
from skkd._estimator.compute import set_layout
from skkd._estimator.html_repr import BriefReprMixin
from skkd._estimator.shared_teacher import SharedTeacherMixin
from skkd._estimator.sklearn_callbacks import run_as_task, support_callbacks
from skkd._estimator.skorch_classifier import SkorchClassifier
from skkd._fit.batch_norm import correct_statistics
from skkd._fit.interrupts import end_early, explain
from skkd._fit.objective import Objective
from skkd._fit.param_names import check_fit_params
from skkd._fit.plan import FitPlan, plan_fit
from skkd._fit.preprocess import preprocess
from skkd._fit.soft_targets import SoftTargets, compute_soft_targets
from skkd._fit.student_check import check_student
from skkd._fit.synthetic import with_synthetic
from skkd._fit.teacher_check import TeacherCheck, check_teacher_outputs
from skkd._fit.teacher_cv import LateTeacher
from skkd._fit.views import BatchViews
from skkd._utils.modules import count_parameters, describe
from skkd._utils.rng import seeded_rng
from skkd._utils.warn import warn
from skkd.checkpoints._saved_fit import SavedFit
from skkd.exceptions import DistillationWarning


@support_callbacks
class DistilledClassifier(BriefReprMixin, SharedTeacherMixin, SkorchClassifier):
    """A small network that learns from the labels and from a fitted teacher.

    The loss of a batch is

    ``(1 - alpha) * criterion(student_logits, y)
    + alpha * distillation(student_logits, teacher_logits, y, temperature)``

    with, by default, cross-entropy for the labels and Hinton's
    ``T^2 * KL(teacher^T || student^T)`` for the teacher [1]_. ``alpha`` weighs the
    teacher; many libraries weigh the labels by it. In validation the loss is the plain
    criterion, so that it compares across all of these settings.

    It is a skorch :class:`~skorch.classifier.NeuralNetClassifier` and a scikit-learn
    classifier: it can be cloned, pickled, put into a Pipeline and searched.

    Parameters
    ----------
    module : type, callable, torch.nn.Module or None, default=None
        Builds the student. It is called with ``n_classes`` and ``input_shape`` (of one
        sample) if its signature has them, as with the ``n_categories`` of a
        preprocessor, and with ``module__*``. It returns logits of
        shape (n, n_classes). An instance is a template: copied at every fit, never
        trained in place. None takes :class:`~skkd.students.MLP` for ``(n,
        n_features)`` and :class:`~skkd.students.SmallCNN` for ``(n, C, H, W)``.
    teacher : object or None, default=None
        Anything fitted that classifies: a skorch net, a torch module that returns
        logits, a scikit-learn classifier or pipeline, a callable that returns logits,
        a list of these, or what :func:`~skkd.teachers.as_teacher` made of one. It is
        used as it is: never refitted, changed or copied, not even by `clone`. None
        trains the student alone, or with a loss that needs no teacher.
    temperature : float, default=1.0
        Softens both distributions; above 0.
    alpha : float, default=0.3
        Weight of the teacher's term, in [0, 1]. 0 trains the plain student and does
        not run the teacher; 1 uses no label.
    distillation : str, DistillationLoss or callable, default="kd"
        The teacher's term. On logits: "kd", "hard", "mse", "dkd", "dist",
        "standardized_kd", "js". On features, where student and teacher are torch
        networks: "fitnet", "attention", "rkd", "similarity", "pkt", "crd", with
        ``distillation__student_layer`` and ``distillation__teacher_layer`` as in
        ``named_modules()``. Without a teacher: "label_smoothing", "virtual_teacher".
        Or an object of :mod:`skkd.losses`, or a function of ``(student_logits,
        teacher_logits, y, temperature)``. Parameters are set by ``distillation__*``.
    teacher_cv : "prefit", None, int, splitter or iterable, default="prefit"
        "prefit" demands a fitted teacher. None fits a clone of it on the training
        data. Anything else is a cross-validation: the soft target of a row comes from
        a clone that was not fitted on this row.
    teacher_calibration : {None, "temperature"}, default=None
        With a cross-validation as `teacher_cv`: "temperature" divides the logits of
        the clones by one number [2]_, at which the Brier score of the samples that they
        did not see is least. A teacher that is too sure, as boosted trees of few
        samples are, is then as sure as it is right. ``teacher_logits=`` are taken as
        they are.
    teacher_transform : callable or None, default=None
        For a prefit teacher that was trained on other inputs, such as larger images:
        makes these of batches of samples, tensor to tensor, as
        ``weights.transforms()`` of torchvision does. The same as
        ``as_teacher(teacher, transform=...)``, see there.
    preprocessor : None, "auto" or transformer, default=None
        Makes the student's numbers of X; the teacher takes X as it is. A clone is
        fitted on the training samples of each fit, ``train_split`` left out. "auto" is
        :class:`~skkd.tables.TablePreprocessor`. None takes X as it is if it is numeric
        and complete, and "auto" for a data frame with text, categories, dates or gaps.
    synthetic : SyntheticRows or None, default=None
        Makes more rows of the training samples of a table, which the teacher alone
        labels: :class:`skkd.tables.SyntheticRows`.
    unlabeled : label or None, default=None
        Samples with this label learn from the teacher alone. None takes every label
        for a label. `score` leaves such samples out; scorers of scikit-learn, as in
        ``scoring="accuracy"``, count them as errors.
    augment : callable or None, default=None
        Tensor to tensor, applied to each training batch ``(n, *input_shape)`` on the
        device: an object of :mod:`skkd.augment`, or your own. Student and teacher see
        the same view.
    n_views : int or None, default=None
        With `augment`: None runs the teacher on every augmented batch. An int draws
        as many fixed views of each sample from seeds, and the teacher runs on each of
        them once, before training.
    teacher_view : {"same", "clean"}, default="same"
        With `augment`: whether the soft targets are those of the augmented view that
        the student sees, or those of the sample without augmentation.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into ``sample_weight``.
    memory : None, str, joblib.Memory, LogitMemory or False, default=None
        Where to cache the teacher's logits, by the content of teacher and samples.
        None: in this process, or in the folder of `checkpoint`. A folder is shared by
        processes and kept.
        :class:`~skkd.memory.LogitMemory` has options, False caches nothing.
    precision : {"fp32", "bf16", "auto"}, default="fp32"
        Of the student's forward and backward pass; weights, losses and cached logits
        stay in float32. "auto" takes bf16 if the hardware multiplies in it.
    checkpoint : None, str, path or CheckpointFolder, default=None
        A folder in which the fit is saved while it runs, and found by its content:
        parameters, data, teacher, seed, versions. A fit that was killed goes on after
        the last epoch that was saved, one that was finished is loaded, and both are bit
        for bit what an uninterrupted fit gives: see :mod:`skkd.checkpoints`.
    checkpoint_every : None, int or timedelta, default=None
        After how many epochs, or how much time, the fit is saved. None saves every
        epoch, or fewer where that would take more than a twentieth of the time.
    on_interrupt : {"raise", "keep"}, default="raise"
        What becomes of CTRL-C in an epoch. "raise" ends the fit with it: a student
        that `fit` builds is as it was before, `partial_fit` and a warm start keep what
        was learnt so far. "keep", skorch's habit, warns, marks the last epoch of the
        history as ``interrupted`` and returns the student as if it had finished.
    strict : bool, default=False
        Before training, the teacher's logits are checked for mistakes, as by
        :func:`~skkd.teachers.check_health`. False warns of the findings, True raises.
    random_state : int, RandomState or None, default=None
        An int makes a fit repeatable bit for bit on one machine and leaves the global
        generators alone. None draws from torch's global generator.
    criterion : type or torch.nn.Module, default=torch.nn.CrossEntropyLoss
        The labels' term.
    optimizer : type, default=torch.optim.Adam
        Its parameters are set by ``optimizer__*``.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=30
        Passes over the training data.
    batch_size : int, default=64
        Rows of a batch; -1 takes all.
    train_split : callable or None, default=None
        Holds out validation data, as :class:`skorch.dataset.ValidSplit`. None trains
        on every row.
    device : str or torch.device, default="auto"
        "auto" takes the accelerator of the machine, if there is one.
    verbose : int, default=0
        1 prints a line for each epoch.
    iterator_train, iterator_valid, dataset, callbacks, predict_nonlinearity, \
warm_start, compile, use_caching, torch_load_kwargs, classes
        As in :class:`skorch.net.NeuralNet`. Training batches are shuffled.
    **kwargs
        Parameters of the parts: ``module__*``, ``optimizer__*``, ``criterion__*``,
        ``distillation__*``, ``iterator_train__*``, ``callbacks__*`` and so on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the student's outputs.
    n_features_in_ : int
        Number of features, or of channels of images.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had any.
    input_shape_ : tuple of int
        Shape of one row, as the student gets it.
    preprocessor_ : transformer or None
        The fitted preprocessing of the student; None if it takes X as it is.
    module_ : torch.nn.Module
        The trained student.
    resumed_ : int
        Epochs that a checkpoint had, and that the last fit did not train again.
    teacher_ : object
        ``teacher`` itself, or the clones that ``teacher_cv`` fitted; None where there
        is none.
    cache_info_ : CacheInfo
        How many rows of logits were computed, how many were cached.
    teacher_findings_ : list of Finding
        What is probably wrong with the teacher; empty where nothing was found.
    teacher_temperature_ : float
        Divided the teacher's scores, or its logits with `teacher_calibration`, fitted
        to the labels; 1 for other logits and probabilities.
    history : skorch.history.History
        What was recorded of each epoch.

    See Also
    --------
    skkd.teachers.as_teacher : Options of a teacher.
    skkd.losses : The losses of the teacher's term.
    skkd.memory.LogitMemory : Options of the cache.

    Notes
    -----
    The defaults of `temperature` and `alpha` are the careful ones: over ten pairs of
    data and teacher the student did not become worse than without a teacher. One that
    is far better than its student, and sure of itself, as a deep network is, may be
    worth much more at ``temperature=4, alpha=0.9``; the probabilities of a random
    forest become almost uniform there. Search both.

    Batch normalisation predicts with running averages, which lag behind the weights
    where steps are few. At its end `fit` compares, on up to four batches, loss and
    accuracy with those of training, and if they are clearly worse computes the averages
    anew from 10,000 samples at most. The fit stays repeatable. Scores of epochs, files
    of a ``Checkpoint`` and `partial_fit` keep the running averages:
    :class:`~skkd.callbacks.UpdateBatchNorm` corrects the last. A last batch of one row,
    which has no variance, joins the batch before it where the student could not be
    trained on it.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015, section 2. https://arxiv.org/abs/1503.02531
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, section 4.2. https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skkd import DistilledClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X[:1000], y[:1000])
    >>> student = DistilledClassifier(teacher=forest, random_state=0)
    >>> student.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    _unregistered = frozenset({"teacher_", "distillation_"})
    # Without influence on predictions: a trained student, as a teacher, is the same
    # teacher whatever these are.
    _not_content = frozenset(
        {
            *("teacher", "teacher_cv", "teacher_calibration", "teacher_transform"),
            *("distillation",),
            *("preprocessor", "synthetic"),
            *("temperature", "alpha", "memory", "strict", "on_interrupt"),
            *("checkpoint", "checkpoint_every", "resumed_"),
            *("augment", "n_views", "teacher_view"),
            *("teacher_", "cache_info_", "distillation_", "teacher_findings_"),
            *("teacher_temperature_", "input_range_"),
            *("channels_last_", "next_seed_", "_objective_"),
            # Set by scikit-learn's `set_callbacks`, and while `fit` runs.
            *("_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx"),
        }
    )
    _deferred = (*SkorchClassifier._deferred, "distillation")
    _nested = (
        *("augment", "memory", "teacher_transform", "preprocessor", "synthetic"),
        "checkpoint",
    )
    # Of the last fit.
    resumed_ = 0
    # What skorch takes for the name of a part, with parameters of its own.
    prefixes_ = [*SkorchClassifier.prefixes_, "distillation"]

    def __init__(
        self,
        module: Any = None,
        *,
        teacher: Any = None,
        temperature: float = 1.0,
        alpha: float = 0.3,
        distillation: Any = "kd",
        teacher_cv: Any = "prefit",
        teacher_calibration: str | None = None,
        teacher_transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        preprocessor: Any = None,
        synthetic: Any = None,
        unlabeled: Any = None,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
        n_views: int | None = None,
        teacher_view: str = "same",
        class_weight: Any = None,
        memory: Any = None,
        precision: str = "fp32",
        checkpoint: Any = None,
        checkpoint_every: Any = None,
        on_interrupt: str = "raise",
        strict: bool = False,
        random_state: Any = None,
        criterion: Any = torch.nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        max_epochs: int = 30,
        batch_size: int = 64,
        iterator_train: Any = DataLoader,
        iterator_valid: Any = DataLoader,
        dataset: Any = Dataset,
        train_split: Any = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            dataset=dataset,
            train_split=train_split,
            callbacks=callbacks,
            predict_nonlinearity=predict_nonlinearity,
            warm_start=warm_start,
            verbose=verbose,
            device=device,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            classes=classes,
            **kwargs,
        )
        self.teacher = teacher
        self.temperature = temperature
        self.alpha = alpha
        self.distillation = distillation
        self.teacher_cv = teacher_cv
        self.teacher_calibration = teacher_calibration
        self.teacher_transform = teacher_transform
        self.preprocessor = preprocessor
        self.synthetic = synthetic
        self.unlabeled = unlabeled
        self.augment = augment
        self.n_views = n_views
        self.teacher_view = teacher_view
        self.class_weight = class_weight
        self.memory = memory
        self.precision = precision
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.on_interrupt = on_interrupt
        self.strict = strict
        self.random_state = random_state

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if any(base.__name__ == "AccelerateMixin" for base in cls.__mro__):
            raise TypeError(
                f"{cls.__name__}: skorch's AccelerateMixin draws other random numbers, "
                "and knows no weights of rows and no teacher: use "
                "skkd.AcceleratedClassifier(accelerator=...), which needs no mixin."
            )

    # Fitting ------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        teacher_logits: ArrayLike | None = None,
        teacher_X: Any = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> DistilledClassifier:
        """Train the student.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n, C, H, W), or other
            Also a mapping of arrays, a torch Dataset or a skorch SliceDataset. uint8
            images stay uint8 until they reach the student.
        y : array-like of shape (n,), default=None
            Labels of any type that scikit-learn classifies. May be None if X is a
            Dataset that holds them.
        teacher_logits : array-like of shape (n, n_classes), default=None
            Logits or log-probabilities that replace the teacher's forward pass,
            columns in the order of ``classes_``.
        teacher_X : array-like of n rows, default=None
            The same samples as the teacher takes them, if that is not as X: other
            columns, paths of images.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sample in both terms of the loss.
        groups : array-like of shape (n,), default=None
            Samples of one group, as copies of one image, stay in one fold of
            ``teacher_cv`` (an int or a splitter by groups), and on one side of a
            ``train_split`` that splits by groups.
        **fit_params
            Passed to the student's ``forward`` and to ``train_split``.

        Returns
        -------
        DistilledClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data, or the teacher's classes or outputs do not fit;
            with ``strict=True`` also if the check of the teacher finds anything. A fit
            that is refused leaves the estimator as it was.
        NotFittedError
            If ``teacher_cv="prefit"`` and the teacher is not fitted.
        """
        plan = plan_fit(
            self,
            X,
            y,
            fresh=not (self.warm_start and self.initialized_),
            teacher_logits=teacher_logits,
            teacher_X=teacher_X,
            sample_weight=sample_weight,
            groups=groups,
        )
        return self._fit(plan, fit_params, self._train, _routing_method="fit")

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        teacher_logits: ArrayLike | None = None,
        teacher_X: Any = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> DistilledClassifier:
        """Train the student for ``max_epochs`` more, without building it anew.

        Parameters
        ----------
        X, y, teacher_logits, teacher_X, sample_weight, groups, **fit_params
            As in :meth:`fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be; needed at the first call if y lacks some.

        Returns
        -------
        DistilledClassifier
            The fitted estimator.
        """
        plan = plan_fit(
            self,
            X,
            y,
            fresh=not self.initialized_,
            classes=classes,
            teacher_logits=teacher_logits,
            teacher_X=teacher_X,
            sample_weight=sample_weight,
            groups=groups,
        )
        routed = {"_routing_method": "partial_fit"}
        return self._fit(plan, fit_params, self._train, **routed)

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any
    ) -> DistilledClassifier:
        """Train for some epochs, as the part of `partial_fit` that skorch calls so.

        Parameters
        ----------
        X, y : object
            As in :meth:`partial_fit`; the net has to be initialized.
        epochs : int, default=None
            None trains for ``max_epochs``.
        **fit_params
            As in :meth:`fit`.

        Returns
        -------
        DistilledClassifier
            The estimator itself.
        """
        if self._objective_ is not None:  # called by skorch, in a fit
            return super().fit_loop(X, y, epochs, **fit_params)
        plan = plan_fit(self, X, y, fresh=False)
        fit_loop = super().fit_loop
        return self._fit(plan, fit_params, fit_loop, epochs=epochs)

    def _fit(
        self,
        plan: FitPlan,
        fit_params: dict[str, Any],
        loop: Callable[..., Any],
        **kwargs: Any,
    ) -> DistilledClassifier:
        """Train as planned; `loop` is skorch's, of samples and labels."""
        method = kwargs.get("_routing_method")
        is_fit, saved = method == "fit", None
        if self.checkpoint is not None and method is not None:
            saved = SavedFit(self, plan, fit_params, method)

        def train(samples: TrainingSet) -> None:
            with nullcontext() if saved is None else saved.watching(self):
                loop(samples, samples.y, **kwargs, **fit_params)
            # `partial_fit` may be given samples that are like no others.
            if is_fit and [
                m for m in self.module_.modules() if isinstance(m, _BatchNorm)
            ]:
                correct_statistics(self, fit_params)

        with nullcontext() if saved is None else saved.locked():
            # scikit-learn's, from 1.9 on
            if is_fit and hasattr(self, "_skl_callbacks"):
                run = partial(self._run, plan, fit_params, saved=saved)
                run_as_task(self, plan, run, train)
            else:
                self._run(plan, fit_params, train, saved)
            if saved is not None:
                saved.finish(self)
        return self

    def _train(self, X: TrainingSet, y: np.ndarray, **kwargs: Any) -> None:
        """Train as skorch's `partial_fit`, for which CTRL-C is no interrupt."""
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **kwargs)
        except KeyboardInterrupt as error:
            end_early(self, error)
        self.notify("on_train_end", X=X, y=y)

    def _run(
        self,
        plan: FitPlan,
        fit_params: dict[str, Any],
        train: Callable[[TrainingSet], Any],
        saved: SavedFit | None = None,
    ) -> DistilledClassifier:
        """Build the student, and train it, unless it was trained and saved before."""
        with self._undone_if_refused(plan.fresh):
            self.__dict__.pop("resumed_", None)
            if not plan.is_preprocessed:
                plan = preprocess(plan, self, fit_params)
            if plan.facts is not None:
                plan.facts.set_on(self)
                self.classes_inferred_ = plan.classes
            else:
                widen_range(self, plan.X_of_range)
            if plan.fresh:
                self.initialize()
            if saved is None or not saved.load(self, plan):
                self._train_as_planned(plan, fit_params, train)
        self._check_loss()
        return self

    def _train_as_planned(
        self,
        plan: FitPlan,
        fit_params: dict[str, Any],
        train: Callable[[TrainingSet], Any],
    ) -> None:
        """Compute soft targets, check student and teacher, and train."""
        with self._random_stream() as seed:
            samples = self._training_set(plan)
            self._check_student(plan, samples, fit_params)
            # In a stream of its own: the student's is the same without a teacher.
            with seeded_rng(seed, self.device or "cpu"):
                targets, check = self._soft_targets(plan, samples, fit_params)
            if self.synthetic is not None:
                more = (plan, self, samples, targets, fit_params)
                samples, targets = with_synthetic(*more)
            self.teacher_, self.cache_info_ = targets.teacher, targets.cache_info
            self.teacher_findings_, self.distillation_ = check.findings, plan.loss
            self.teacher_temperature_ = check.temperature
            if self.channels_last_:
                set_layout(self.module_, channels_last=True)
            objective = self._objective(plan, samples, targets, fit_params)
            with self._training(objective):
                train(samples)
            if self.channels_last_:
                set_layout(self.module_, channels_last=False)

    @contextmanager
    def _undone_if_refused(self, fresh: bool) -> Iterator[None]:
        """Undo a fit that fails before its first step, or a fresh one interrupted."""
        before, n_epochs = dict(vars(self)), len(self.history)
        try:
            yield
        except BaseException as error:  # an interrupt in the teacher's pass, too
            goes_on = self.history_ is before.get("history_")
            epochs = self.history[n_epochs if goes_on else 0 :]
            undone = not any("train_loss" in b for e in epochs for b in e["batches"])
            if isinstance(error, KeyboardInterrupt):
                undone = undone or fresh
                explain(error, undone=undone)
            if undone:
                # In one step, as another interrupt may follow.
                object.__setattr__(self, "__dict__", before)
                del self.history[n_epochs:]
            raise

    def _training_set(self, plan: FitPlan) -> TrainingSet:
        fields = {}
        if plan.weight is not None or not plan.labelled.all():
            fields = sample_weight_fields(plan.weight, plan.labelled)
        return self._samples(
            plan.X,
            plan.y,
            plan.y_encoded,
            X_as_given=plan.X_as_given,
            batch_fields=fields,
            groups=plan.groups,
            split=plan.split,
        )

    def _check_student(
        self, plan: FitPlan, samples: TrainingSet, fit_params: dict[str, Any]
    ) -> None:
        if fit_params:
            check_fit_params(self, fit_params)
        if self.max_epochs:
            check_student(self, plan, samples, fit_params)
        n_teacher = None if plan.teacher is None else plan.teacher.n_parameters
        if n_teacher and n_teacher < count_parameters(self.module_):
            warn(
                f"The student {describe(self.module_)} is larger than its teacher, "
                f"{n_teacher:,} parameters: nothing is saved by distilling. "
                "Make the student smaller.",
                DistillationWarning,
            )

    def _soft_targets(
        self, plan: FitPlan, samples: TrainingSet, fit_params: dict[str, Any]
    ) -> tuple[SoftTargets, TeacherCheck]:
        targets = compute_soft_targets(plan, self, samples, fit_params)
        samples.batch_fields.update(targets.fields)
        return targets, check_teacher_outputs(plan, self, samples, targets)

    def _objective(
        self,
        plan: FitPlan,
        samples: TrainingSet,
        targets: SoftTargets,
        fit_params: dict[str, Any],
    ) -> Objective:
        views = None
        if self.augment is not None or targets.live is not None:
            views = BatchViews(self.augment, targets.live, self.teacher_view)
        plain = np.array_equal(plan.classes, np.arange(len(plan.classes)))
        return Objective(
            plan.loss,
            alpha=self.alpha,
            temperature=self.temperature,
            teacher_temperature=self.teacher_temperature_,
            needs=plan.needs,
            features=targets.features,
            views=views,
            gives_probabilities=self.expects_probabilities,
            plain_labels=plain and bool((samples.y_encoded >= 0).all()),
            fit_params=fit_params,
        )

    def _more_content(self) -> Any:
        """Return what a fit depends on besides parameters and data, if anything."""
        return None

    def _teaches_unlabeled(self, needs: frozenset[str], given: bool) -> bool:
        """Tell whether anybody teaches samples that have no label."""
        return bool(needs) and (self.teacher is not None or given)

    def _check_loss(self) -> None:
        last = self.history[-1].get("train_loss", 0.0) if len(self.history) else 0.0
        if not np.isfinite(last):
            warn(
                f"The loss is {last} after {len(self.history)} epochs: the student has "
                "lost what it learnt. Lower lr, or check the criterion.",
                DistillationWarning,
            )

    # Using the student --------------------------------------------------------

    @property
    def teacher_(self) -> Any:
        """The teacher, or the clones of it; those of a loaded fit are fitted now."""
        held = vars(self).get("teacher_", self)
        if held is self:
            raise AttributeError(f"{type(self).__name__} has no teacher_ before fit.")
        if isinstance(held, LateTeacher):
            held = self.__dict__["teacher_"] = held.fitted()
        return held

    @teacher_.setter
    def teacher_(self, teacher: Any) -> None:
        self.__dict__["teacher_"] = teacher

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy over the labelled rows.

        Parameters
        ----------
        X : array-like of n rows
        y : array-like of shape (n,)
            True labels; rows equal to ``unlabeled`` do not count.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return labelled_accuracy(self.predict, X, y, self.unlabeled, sample_weight)

    def trim_for_prediction(self) -> None:
        """Drop what only training needs, the teacher with it; cannot be undone."""
        self.predict_nonlinearity = self._get_predict_nonlinearity()
        super().trim_for_prediction()
        self.teacher = self.teacher_ = None
        self.teacher_transform = None
