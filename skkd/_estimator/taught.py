"""A fit that hears a teacher first: checks, soft targets, training, in this order."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from skkd._data.batches import TrainingSet
from skkd._data.keys import INDEX, TEACHER_LOGITS, VIEW_SEEDS
from skkd._data.weights import check_sample_weight, row_weights, sample_weight_fields
from skkd._estimator.compute import resolve_precision
from skkd._estimator.objective import DistillationNet
from skkd._fit.parameters import check_augment, check_hyperparameters
from skkd._fit.soft_targets import SoftTargets, check_teacher, compute_soft_targets
from skkd._fit.teacher_check import check_teacher_outputs
from skkd._utils.modules import count_parameters, describe
from skkd._utils.rng import seeded_rng
from skkd.exceptions import DistillationWarning
from skkd.losses import as_loss
from skkd.losses.weighted_sum import flatten, needs_of, resolve_parts
from skkd.memory._logits import as_memory
from skkd.memory._row_keys import row_keys, view_seeds
from skkd.teachers import Teacher
from skkd.teachers._base import check_logits


class TaughtNet(DistillationNet):
    """A net that asks its teacher before it trains, and lets go of it afterwards."""

    teacher: Any
    teacher_cv: Any
    teacher_transform: Any
    unlabeled: Any
    class_weight: Any
    memory: Any
    strict: bool

    def _fit(
        self,
        X: Any,
        y: Any,
        *,
        fresh: bool,
        classes: Any = None,
        teacher_logits: Any,
        teacher_X: Any,
        sample_weight: Any,
        fit_params: dict[str, Any],
        method: str,
    ) -> Any:
        self.check_training_readiness()
        distillation = self._check_parameters(teacher_logits, teacher_X)
        given_X = X
        X, y, y_encoded = self._read(
            X, y, fresh=fresh, classes=classes, unlabeled=self.unlabeled
        )
        if not hasattr(given_X, "iloc"):
            given_X = X  # only the names of columns are lost by now
        sample_weight = check_sample_weight(sample_weight, y)
        weight = row_weights(sample_weight, self.class_weight, y, y_encoded >= 0)
        needs, given = needs_of(distillation), teacher_logits is not None
        adapter = self._check_teacher(needs, given=given, labelled=y_encoded >= 0)
        if fresh:
            self.initialize()
        self.distillation_ = distillation
        self.needs_ = needs if self.alpha > 0 else frozenset()
        batch_fields = sample_weight_fields(weight, y_encoded >= 0)
        rows = self._rows(X, y, y_encoded, batch_fields, given_X)
        teacher_X = given_X if teacher_X is None else teacher_X
        self.scheduled_ = {}  # as a net has it that was pickled in the middle of a fit
        try:
            with self._random_stream() as seed:
                self._check_student(rows, adapter, fit_params)
                # In a stream of its own: the student's is the same without it.
                with seeded_rng(seed, self.device):
                    self._hear(
                        adapter,
                        teacher_X,
                        rows,
                        teacher_logits,
                        sample_weight,
                        fit_params,
                    )
                with self._watched():
                    super().partial_fit(rows, y, _routing_method=method, **fit_params)
        finally:  # not to be pickled beside the teacher, nor to act in another fit
            self.live_teacher_ = self.features_ = None
            self.scheduled_ = {}
        self._check_loss()
        return self

    def _check_parameters(self, teacher_logits: Any, teacher_X: Any) -> Any:
        """Raise where a parameter has no sense; return the loss that was asked for."""
        check_hyperparameters(self.temperature, self.alpha, self.teacher_cv)
        check_augment(
            self.augment, self.views, self.teacher_cv, teacher_logits, teacher_X
        )
        as_memory(self.memory)
        resolve_precision(self.precision, "cpu")
        loss = as_loss(self.distillation, **self.get_params_for("distillation"))
        kinds = {getattr(part, "needs", "logits") for _, part in flatten(loss)}
        alone = self.teacher is None and teacher_logits is None
        if alone and self.alpha > 0 and "nothing" in kinds and len(kinds) > 1:
            raise ValueError(
                f"distillation={self.distillation!r} adds losses that need a teacher "
                "to one that needs none, and teacher=None: pass a teacher, or the "
                "latter alone."
            )
        return resolve_parts(loss)

    def _watched(self) -> AbstractContextManager[None]:
        """Watch the layers that are compared, as long as the student trains."""
        if self.features_ is None:
            return nullcontext()
        return self.features_.training(self.optimizer_)

    def _check_teacher(
        self, needs: frozenset[str], *, given: bool, labelled: np.ndarray
    ) -> Teacher | None:
        return check_teacher(
            self.teacher,
            self.teacher_cv,
            self.classes_,
            transform=self.teacher_transform,
            needs=needs,
            given=given,
            labelled=labelled,
        )

    def _check_loss(self) -> None:
        last = self.history[-1].get("train_loss", 0.0) if len(self.history) else 0.0
        if not np.isfinite(last):
            warnings.warn(
                f"The loss is {last} after {len(self.history)} epochs: the student has "
                "lost what it learnt. Lower lr, or check the criterion.",
                DistillationWarning,
                stacklevel=4,
            )

    def _hear(
        self,
        adapter: Teacher | None,
        X: Any,
        rows: TrainingSet,
        logits: Any,
        sample_weight: Any,
        fit_params: dict[str, Any],
    ) -> None:
        """Lay beside the rows what the teacher says of them, or keep it at hand."""
        needs = self.needs_
        if logits is not None:
            logits = check_logits(logits, len(rows), self.classes_)
            needs = needs - {"logits"}
        if self.views is not None and not isinstance(self.views, str):
            rows.batch_fields[VIEW_SEEDS] = view_seeds(row_keys(rows.X)[0], self.views)
        if self.teacher is None or not needs:
            targets = SoftTargets(
                self.teacher if isinstance(self.teacher_cv, str) else None
            )
        else:
            targets = compute_soft_targets(
                adapter,
                self,
                X,
                rows,
                sample_weight,
                needs=needs,
                fit_params=fit_params,
            )
        self.teacher_, self.live_teacher_ = targets.teacher, targets.live
        self.cache_info_, self.features_ = targets.taught, targets.features
        rows.batch_fields.update(targets.batch_fields)
        if logits is not None and self.alpha > 0:
            rows.batch_fields[TEACHER_LOGITS] = logits
        if targets.features is not None:
            rows.batch_fields[INDEX] = np.arange(len(rows))
        self.teacher_findings_ = check_teacher_outputs(
            self, X, rows, targets, given=logits is not None
        )

    def _check_student(
        self, rows: TrainingSet, adapter: Teacher | None, fit_params: dict[str, Any]
    ) -> None:
        """Raise, before training, where the student does not fit the data."""
        # Who passes fit_params knows what the module expects.
        if not (self.compile or not self.max_epochs or fit_params):
            self._check_outputs(rows)
        size = count_parameters(self.module_)
        if adapter is not None and (adapter.n_parameters or size) < size:
            warnings.warn(
                f"The student {describe(self.module_)} is larger than its teacher, "
                f"{adapter.n_parameters:,} parameters: nothing is saved by distilling. "
                "Make the student smaller.",
                DistillationWarning,
                stacklevel=4,
            )
