"""AcceleratedClassifier: one fit over several processes.

skorch has a mixin for Accelerate. Of its methods nearly all would have to be replaced:
it wraps the parts of the net (a criterion without parameters cannot be), divides
batches without the weights of their rows, pads the last ones, and computes losses of
shares. So its parameter is here, and not its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from threading import get_ident
from typing import Any

import torch
from numpy.typing import ArrayLike
from skorch.utils import to_device

from skkd._data.batches import TrainingSet
from skkd._estimator.classifier import DistilledClassifier
from skkd._estimator.distributed.callbacks import without_writing
from skkd._estimator.distributed.checks import (
    check_accelerator,
    check_student,
    check_supported,
)
from skkd._estimator.distributed.gathered import gathered_outputs
from skkd._estimator.distributed.processes import Processes
from skkd._estimator.distributed.same_fit import (
    check_same_fit,
    check_same_student,
)
from skkd._estimator.distributed.steps import SharedSteps
from skkd._estimator.distributed.targets import targets_of_main
from skkd._estimator.distributed.training import SharedTraining
from skkd._fit.objective import Objective
from skkd._fit.plan import FitPlan
from skkd._fit.soft_targets import SoftTargets
from skkd._fit.teacher_check import TeacherCheck
from skkd._utils.rng import seeded_rng

# The thread whose fit the processes are busy with; nested fits are its own affair.
_busy: list[int] = []


class AcceleratedClassifier(SharedSteps):
    """A DistilledClassifier whose fit is divided among several processes.

    Each process runs the student on its part of each batch, on a GPU or a few CPU cores
    of its own. ``batch_size`` stays that of the whole batch, and the student becomes
    the one of a fit in one process, to rounding: with weights of rows, unlabelled rows,
    losses that compare the rows of a batch, batch normalisation, and a last batch of
    any size. The teacher runs in one process for all of them.

    The processes are started by ``torchrun --nproc-per-node 2 script.py``: each runs
    the same script, with the same data. ``accelerate launch --cpu`` starts a single
    one, whatever ``--num_processes`` says, and `fit` raises there.

    Parameters
    ----------
    module, teacher, temperature, alpha, distillation, **kwargs
        As in :class:`~skkd.DistilledClassifier`.
    accelerator : accelerate.Accelerator or None, default=None
        Knows the processes, and the device of each, as in skorch's
        ``AccelerateMixin``; ``Accelerator(cpu=True)`` takes CPUs. None fits in this
        process alone. Clones share it. A pickle leaves it out.
    gather_predictions : bool, default=False
        True divides the rows of `predict`, `predict_proba` and `score` among the
        processes and gathers the results in order: then all of them have to call
        these, with the same rows. False: a process that calls them computes all by
        itself, which any may do, as all hold the same student.

    Attributes
    ----------
    classes_, module_, teacher_, cache_info_, history, ...
        As in :class:`~skkd.DistilledClassifier`, and the same in all processes.

    Raises
    ------
    RuntimeError
        In all processes, if `fit` fails in one, or they do not run the same fit. If
        gradients were being exchanged, the connections are closed, and the processes
        have to be started anew.

    Notes
    -----
    Dropout and augmentations are drawn in each process from a stream of its own, of
    ``random_state`` and its number: with them a fit is repeatable with the same number
    of processes only. ``Mixup`` mixes the rows of a process.

    Losses and scores in ``history`` are those of whole batches, equal in all processes,
    so that all stop early in the same epoch. Callbacks of skorch that print or write
    run in the first process alone; so do others with an attribute
    ``main_process_only = True``. Callbacks get the whole batch.

    A search, as `GridSearchCV`, works if each process runs it, with ``n_jobs=None``.

    Examples
    --------
    >>> from accelerate import Accelerator
    >>> from sklearn.datasets import load_digits
    >>> from skkd import AcceleratedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> student = AcceleratedClassifier(accelerator=Accelerator(cpu=True), max_epochs=1)
    >>> student.fit(X, y).accelerator.num_processes  # by torchrun there are more
    1
    """

    _not_content = DistilledClassifier._not_content | {
        *("accelerator", "gather_predictions", "_training_"),
    }
    _shared = (*DistilledClassifier._shared, "accelerator")

    def __init__(
        self,
        module: Any = None,
        *,
        accelerator: Any = None,
        gather_predictions: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, **kwargs)
        self.accelerator = accelerator
        self.gather_predictions = gather_predictions

    @property
    def device(self) -> Any:
        """The device of this process."""
        if vars(self).get("accelerator") is not None:
            device = self.accelerator.device  # cpu:0, which torch.load does not know
            return "cpu" if device.type == "cpu" else device
        return DistilledClassifier.device.fget(self)  # type: ignore[attr-defined]

    @device.setter
    def device(self, device: Any) -> None:
        self.__dict__["device"] = device

    # A fit --------------------------------------------------------------------

    @wraps(DistilledClassifier.fit)
    def fit(  # type: ignore[override]
        self, X: Any, y: ArrayLike | None = None, **params: Any
    ) -> Any:
        with self._by_all_processes():
            return super().fit(X, y, **params)

    @wraps(DistilledClassifier.partial_fit)
    def partial_fit(  # type: ignore[override]
        self, X: Any, y: ArrayLike | None = None, *args: Any, **params: Any
    ) -> Any:
        with self._by_all_processes():
            return super().partial_fit(X, y, *args, **params)

    @wraps(DistilledClassifier.fit_loop)
    def fit_loop(  # type: ignore[override]
        self, X: Any, y: Any = None, *args: Any, **params: Any
    ) -> Any:
        with self._by_all_processes():
            return super().fit_loop(X, y, *args, **params)

    @contextmanager
    def _by_all_processes(self) -> Iterator[None]:
        """Fit in this block with the other processes, if there are any."""
        if self.accelerator is None or self._training_ or get_ident() in _busy:
            yield
            return
        check_accelerator(self.accelerator)
        if self.accelerator.num_processes == 1:
            yield
            return
        if _busy:
            raise RuntimeError(
                "Another thread of this process fits over several processes, which can "
                "only do one fit at a time: run the fits one after the other, with "
                "n_jobs=None."
            )
        _busy.append(get_ident())
        processes = Processes(self.accelerator)
        try:
            with processes.failing_together():
                check_supported(self)
                training = SharedTraining(processes, self.accelerator)
                self.__dict__["_training_"] = training
                yield
        finally:
            self.__dict__.pop("_training_", None)
            _busy.clear()

    def _fit(self, plan: FitPlan, *args: Any, **kwargs: Any) -> Any:
        if self._training_ is not None and self._objective_ is None:
            check_same_fit(self, plan, self._training_.processes)
        return super()._fit(plan, *args, **kwargs)

    @contextmanager
    def _random_stream(self, fresh: bool = False) -> Iterator[int | None]:
        if self._training_ is None or self.random_state is not None:
            with super()._random_stream(fresh) as seed:
                yield seed
            return
        # torch's global generator is in another state in each process.
        own = int(torch.randint(2**31 - 1, ()).item())
        seed = self._training_.processes.meet("a seed", own)[0]
        with seeded_rng(seed, self.device):
            yield seed

    def _soft_targets(
        self, plan: FitPlan, samples: TrainingSet, fit_params: dict[str, Any]
    ) -> tuple[SoftTargets, TeacherCheck]:
        ask = super()._soft_targets
        if self._training_ is None:
            return ask(plan, samples, fit_params)
        processes = self._training_.processes
        check_student(self)
        check_same_student(self, processes)
        if self.teacher is None or not plan.needs:
            return ask(plan, samples, fit_params)
        return targets_of_main(
            plan, self, samples, fit_params, processes,
            lambda: ask(plan, samples, fit_params),
        )  # fmt: skip

    @contextmanager
    def _training(self, objective: Objective) -> Iterator[None]:
        training = self._training_
        if training is None:
            with super()._training(objective):
                yield
            return
        processes = training.processes
        if objective.features is not None:
            objective.features.gather = training.gather_features
        processes.meet("the first epoch")
        training.begin()
        processes.is_training = True
        with super()._training(objective), ExitStack() as stack:
            if not processes.is_main:
                stack.enter_context(without_writing(self))
            yield
        # The same bit by bit anyway, unless a callback of one process has loaded some.
        processes.meet("the end of the fit")
        for part in (self.module_, self.criterion_):
            if isinstance(part, torch.nn.Module):
                processes.copy_from_main([*part.parameters(), *part.buffers()])
        history = processes.meet("the history", [*self.history])[0]
        self.history[:] = history
        processes.is_training = False

    # Prediction ---------------------------------------------------------------

    def forward_iter(
        self, X: Any, training: bool = False, device: Any = "cpu"
    ) -> Iterator[Any]:
        """Yield the student's outputs, computed by all processes if that is wanted."""
        several = self.accelerator is not None and self.accelerator.num_processes > 1
        if not (several and self.gather_predictions) or training or _busy:
            yield from super().forward_iter(X, training=training, device=device)
            return
        processes = Processes(self.accelerator)
        yield to_device(
            gathered_outputs(self, X, processes, super().forward_iter), device=device
        )

    def _reduce_for_worker(self) -> Any:
        if self.accelerator is not None and self.accelerator.num_processes > 1:
            raise RuntimeError(
                f"{self.accelerator.num_processes} processes do each fit of a search "
                "together, so there is nothing for workers to do: pass n_jobs=None."
            )
        return super()._reduce_for_worker()

    def in_one_process(self) -> DistilledClassifier:
        """Return the same student, fitted or not, as a DistilledClassifier.

        Returns
        -------
        DistilledClassifier
            With the same module, which is not copied.
        """
        alone = object.__new__(DistilledClassifier)
        own = ("accelerator", "gather_predictions", "_training_")
        alone.__dict__.update({k: v for k, v in vars(self).items() if k not in own})
        return alone

    # Pickles ------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return what pickle writes: nothing that belongs to the processes."""
        function, arguments, state, *more = super().__reduce_ex__(protocol)
        state = {**state, "accelerator": None}
        state.pop("_training_", None)
        return function, arguments, state, *more
