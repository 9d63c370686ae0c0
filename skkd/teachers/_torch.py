"""torch modules and skorch nets as teachers, which are left as they were."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import nn

from skkd._data.frames import to_numbers
from skkd._data.inputs import check_images
from skkd._data.rows import iter_inputs, len_of
from skkd._utils.modules import (
    cast_floats,
    channels_last,
    count_parameters,
    describe,
    eval_mode,
    first_tensor,
    has_conv2d,
    is_layout_error,
    is_out_of_memory,
    uncompiled,
)
from skkd.teachers._arrays import to_array, writable
from skkd.teachers._base import Teacher, not_fitted
from skkd.teachers._feature_names import in_order
from skkd.teachers._programs import batch_limits, padded, run_checked
from skkd.teachers._whole_batches import fast_batch_size


class _TorchTeacher(Teacher):
    # Whether a forward pass was seen to change nothing.
    _was_checked = False

    def _modules(self) -> list[nn.Module]:
        """Return all modules whose mode is to be restored."""
        return [self.network]

    def _forward(self, X: Any, prepare: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield what the model returns for each batch, after `prepare`."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int | None:
        return count_parameters(self.network)

    @property
    def _device(self) -> Any:
        parts = self._modules()
        tensors = (t for m in parts for t in (*m.parameters(), *m.buffers()))
        return next((tensor.device for tensor in tensors), "cpu")

    def _checked(self, run: Callable[[], Any]) -> Any:
        """Return ``run()``, a forward pass; the first one is checked."""
        if self._was_checked:
            return run()
        outputs = run_checked(run, self.model, self._modules(), self._device)
        self._was_checked = True
        return outputs

    def _raw_outputs(self, X: Any) -> np.ndarray:
        with eval_mode(*self._modules()), torch.no_grad():
            try:
                parts = self._parts(X)
            except (RuntimeError, TypeError) as error:
                if is_out_of_memory(error):
                    raise
                raise ValueError(
                    f"The teacher {describe(self.model)} does not take X: {error}. Put "
                    "in front of it what prepared its training data, for instance "
                    "nn.Sequential(Standardize(...), teacher), or pass its own inputs "
                    "as fit(..., teacher_X=...)."
                ) from error
        return np.concatenate(parts)

    def _parts(self, X: Any) -> list[np.ndarray]:
        def passed(prepare: Callable[[Any], Any]) -> list[np.ndarray]:
            return [_to_array(outputs) for outputs in self._forward(X, prepare)]

        on_cpu = torch.device(self._device).type == "cpu"
        if on_cpu and any(map(has_conv2d, self._modules())):
            try:
                return passed(channels_last)
            except RuntimeError as error:
                if not is_layout_error(error):
                    raise
        try:
            return passed(lambda inputs: inputs)
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            return passed(partial(_table_as_floats, error, self.network))


class ModuleTeacher(_TorchTeacher):
    """A torch module, which returns logits unless `output` says otherwise."""

    takes_tensors = True

    @property
    def network(self) -> nn.Module:
        return self.model

    def check(self, classes: Any) -> None:
        if any(tensor.is_meta for tensor in self.network.parameters()):
            raise ValueError(
                f"The teacher {describe(self.model)} is on the device 'meta', without "
                "weights: load them first, to_empty(device='cpu') and load_state_dict."
            )
        if getattr(self.network, "num_classes", None) == 0:
            raise ValueError(
                f"The teacher {describe(self.model)} was made with num_classes=0 and "
                f"gives features, no logits: make it with num_classes={len(classes)} "
                "and load a trained head, or put one behind it."
            )
        super().check(classes)

    def batch_size(self, X: Any) -> int:
        high = batch_limits(self.network)[1]
        return int(min(fast_batch_size(X, self._device), high))

    def _forward(self, X: Any, prepare: Callable[[Any], Any]) -> Iterator[Any]:
        low = batch_limits(self.network)[0]
        for batch in iter_inputs(X, self.batch_size(X)):
            # Before they move: not every device has float64.
            inputs = cast_floats(_for_torch(batch), self.network)
            inputs = prepare(to_tensor(inputs, device=self._device))
            n_samples = len_of(inputs)
            if n_samples < low:
                inputs = padded(inputs, int(low))
            outputs = self._call(inputs)
            yield outputs if n_samples >= low else first_tensor(outputs)[:n_samples]

    def _call(self, inputs: Any) -> Any:
        def run() -> Any:
            model = self.network
            return model(**inputs) if isinstance(inputs, dict) else model(inputs)

        return self._checked(run)


class ProgramTeacher(ModuleTeacher):
    """A program of torch.export."""

    @property
    def network(self) -> nn.Module:
        return self._module

    @cached_property
    def _module(self) -> nn.Module:
        return self.model.module()


class SkorchTeacher(_TorchTeacher):
    """A skorch net, whose criterion tells what its outputs are."""

    def check(self, classes: Any) -> None:
        if not self.model.__sklearn_is_fitted__():
            raise not_fitted(self.model)
        super().check(classes)

    @property
    def network(self) -> nn.Module:
        return self.model.module_

    def batch_size(self, X: Any) -> int:
        own = self.model.get_params_for("iterator_valid")
        size = own.get("batch_size", self.model.batch_size)
        return max(1, int(size)) if isinstance(size, Integral) else 1

    def _modules(self) -> list[nn.Module]:
        names = self.model._modules + self.model._criteria
        parts = [getattr(self.model, f"{name}_") for name in names]
        return [part for part in parts if isinstance(part, nn.Module)]

    def _forward(self, X: Any, prepare: Callable[[Any], Any]) -> Iterator[Any]:
        net = self.model
        inputs = inspect.signature(net.module_.forward).parameters
        # A student of ours with a preprocessor takes tables of any kind.
        takes_tables = getattr(net, "preprocessor_", None) is not None
        by_column = hasattr(X, "iloc") and {*getattr(X, "columns", [None])} <= {*inputs}
        if by_column and not takes_tables:
            # skorch gives a DataFrame to the module column by column.
            X = {name: X[[name]] for name in X.columns}
        elif hasattr(X, "columns"):
            X = in_order(X, net)
        X = X if takes_tables else _for_torch(X)
        for batch in net.get_iterator(net.get_dataset(X)):
            inputs, y = unpack_data(batch)
            batch = prepare(cast_floats(inputs, net.module_)), y
            yield self._checked(partial(net.evaluation_step, batch))

    def _raw_outputs(self, X: Any) -> np.ndarray:
        try:
            check_images(self.model, X)
        except ValueError as error:
            raise ValueError(
                f"The teacher {describe(self.model)} gets samples that it would "
                f"not predict: {error} Let teacher_transform= make them, or pass its "
                "own inputs as fit(..., teacher_X=...)."
            ) from error
        values = super()._raw_outputs(X)
        criterion = uncompiled(self.model.criterion_)
        is_binary = isinstance(criterion, (nn.BCEWithLogitsLoss, nn.BCELoss))
        if not is_binary or values.size != len(values):
            return values
        positive = values.ravel()
        is_proba = self.output_kind() == "proba"
        negative = 1 - positive if is_proba else np.zeros_like(positive)
        return np.column_stack([negative, positive])

    def output_kind(self) -> str:
        if self.output != "auto":
            return super().output_kind()
        criterion = uncompiled(self.model.criterion_)
        if isinstance(criterion, (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)):
            return "logits"
        # skorch's convention: the module gives probabilities, the net takes the log.
        if isinstance(criterion, (nn.NLLLoss, nn.BCELoss)):
            return "proba"
        name = "no criterion" if criterion is None else type(criterion).__name__
        raise ValueError(
            f"The teacher {describe(self.model)} has {name}, which does not tell "
            "whether its outputs are logits or probabilities: say so with "
            "as_teacher(net, output='logits') or as_teacher(net, output='proba')."
        )


def _table_as_floats(error: Exception, module: nn.Module, inputs: Any) -> Any:
    """Return rows of whole numbers as floats, for a network that was trained on these.

    Not images of 0 to 255, as it may have been trained on 0 to 1: the error stays.
    """
    if not isinstance(inputs, torch.Tensor) or inputs.ndim != 2:
        raise error
    if inputs.is_floating_point() or inputs.dtype == torch.uint8:
        raise error
    return cast_floats(inputs.double(), module)


def _for_torch(X: Any) -> Any:
    """Turn what torch cannot take, or only with a warning, into plain arrays."""
    if isinstance(X, Mapping):
        return {key: _for_torch(value) for key, value in X.items()}
    if hasattr(X, "columns"):
        return writable(to_numbers(X, "The teacher's X"))
    if hasattr(X, "toarray"):
        return X.toarray()
    if isinstance(X, (np.ndarray, list)) or hasattr(X, "iloc"):
        return writable(X)
    return X


def _to_array(outputs: Any) -> np.ndarray:
    logits = first_tensor(outputs)
    if isinstance(logits, torch.Tensor) and logits.ndim == 4:  # (n, k, 1, 1)
        logits = logits.flatten(1) if logits.shape[2:] == (1, 1) else logits
    if not isinstance(logits, torch.Tensor):
        raise ValueError(
            f"The teacher returns a {type(outputs).__name__}, expected a tensor of "
            "logits (n, n_classes), a tuple that begins with it, or an object that has "
            "it as .logits. Wrap the teacher in a module that picks it out."
        )
    return to_array(logits)
