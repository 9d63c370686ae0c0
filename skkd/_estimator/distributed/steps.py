"""The steps of a training that several processes do together."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from skorch.callbacks import EpochScoring
from skorch.dataset import unpack_data

from skkd._data.keys import split_inputs
from skkd._estimator.classifier import DistilledClassifier
from skkd._estimator.distributed.callbacks import without_printing
from skkd._estimator.distributed.shares import Share
from skkd._estimator.distributed.training import SharedTraining


class SharedSteps(DistilledClassifier):
    """Does each step with the other processes, while a fit over several runs."""

    # What is exchanged, while a fit over several processes runs.
    _training_: SharedTraining | None = None

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Meet the other processes, so that none stops before the others."""
        if self._training_ is not None:
            place = f"the begin of epoch {len(self.history) + 1}"
            self._training_.processes.meet(place)
        super().on_epoch_begin(net, *args, **kwargs)

    def run_single_epoch(self, iterator: Any, *args: Any, **kwargs: Any) -> None:
        """Run an epoch, on this process's share of each batch."""
        if self._training_ is None or iterator is None:
            super().run_single_epoch(iterator, *args, **kwargs)
            return
        with self._training_.sharing(iterator) as batches:
            super().run_single_epoch(batches, *args, **kwargs)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Train on a batch; what this process draws for its share is its own."""
        if self._training_ is None:
            return super().train_step(batch, **fit_params)
        with self._training_.own_stream.swapped():
            return super().train_step(batch, **fit_params)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the gradients of a batch, averaged over the processes."""
        training = self._training_
        if training is None:
            return super().train_step_single(batch, **fit_params)
        with training.step():
            step = super().train_step_single(batch, **fit_params)
        training.check_gradients(self.module_)
        return self._with_whole_outputs(step)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute outputs and loss of a batch, of all processes."""
        step = super().validation_step(batch, **fit_params)
        return step if self._training_ is None else self._with_whole_outputs(step)

    def _with_whole_outputs(self, step: dict[str, Any]) -> dict[str, Any]:
        whole = self._training_.whole  # type: ignore[union-attr]
        return step if whole is None else {**step, "y_pred": whole[1]}

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the module's outputs for this process's share."""
        if self._training_ is None:
            return super().infer(x, **fit_params)
        with self._training_.forward_pass(self):
            return super().infer(x, **fit_params)

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the loss of the whole batch, of all processes."""
        if self._training_ is None:
            return super().get_loss(y_pred, y_true, X=X, training=training)
        y_pred, y_true, X = self._training_.gather_batch(y_pred, y_true, X)
        # What a loss draws, as pairs to contrast, is the same in all processes.
        stream = self._training_.own_stream.swapped() if training else nullcontext()
        with stream:
            return super().get_loss(y_pred, y_true, X=X, training=training)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, with the whole batch."""
        training = self._training_
        if training is None:
            super().notify(method_name, **kwargs)
            return
        if method_name == "on_batch_end" and training.share is not None:
            self._show_whole_batch(training.share, kwargs)
        quiet = nullcontext() if training.processes.is_main else without_printing()
        with quiet:
            super().notify(method_name, **kwargs)

    def _show_whole_batch(self, share: Share, kwargs: dict[str, Any]) -> None:
        prefix = "train" if kwargs["training"] else "valid"
        self.history.record_batch(f"{prefix}_batch_size", share.n_rows)
        X = None
        # Scores of skorch look at labels and outputs alone.
        if self._has_listener("on_batch_end", kwargs["training"], but=EpochScoring):
            X = split_inputs(unpack_data(kwargs["batch"])[0])[0]
        kwargs["batch"] = self._training_.whole_batch(X)  # type: ignore[union-attr]
