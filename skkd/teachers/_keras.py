"""Keras models as teachers, on whatever backend, and Keras' scikit-learn wrapper."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.frames import to_numbers
from skkd._data.rows import iter_inputs
from skkd._utils.modules import describe, is_out_of_memory
from skkd.teachers._arrays import writable
from skkd.teachers._base import Teacher, not_fitted
from skkd.teachers._feature_names import in_order
from skkd.teachers._programs import random_states
from skkd.teachers._whole_batches import fast_batch_size

_KINDS = {"softmax": "proba", "sigmoid": "proba", "log_softmax": "log_proba"}


def is_keras(model: Any) -> bool:
    """Tell whether `model` is one of Keras, or its wrapper for scikit-learn."""
    return any(
        cls.__module__.partition(".")[0] == "keras" for cls in type(model).__mro__
    )


class KerasTeacher(Teacher):
    """A Keras model, whose last layer tells what its outputs are."""

    _was_checked = False  # whether it stays as it is when it predicts

    @property
    def keras_model(self) -> Any:
        """The model, that of the wrapper if it is one."""
        if hasattr(self.model, "get_params"):
            if not hasattr(self.model, "model_"):
                raise not_fitted(self.model)
            return self.model.model_
        return self.model

    @property
    def network(self) -> torch.nn.Module:
        if isinstance(self.keras_model, torch.nn.Module):
            return self.keras_model
        return super().network

    @property
    def n_parameters(self) -> int | None:
        model = self.keras_model
        return model.count_params() if getattr(model, "built", False) else None

    def output_kind(self) -> str:
        if self.output != "auto":
            return super().output_kind()
        return _KINDS.get(_last_activation(self.keras_model), "logits")

    def check(self, classes: Any) -> None:
        model = self.keras_model
        if not getattr(model, "built", True):
            # The first call would give it random weights.
            raise ValueError(
                f"The teacher {describe(model)} has no weights yet: build and train "
                "it, or load it with keras.saving.load_model(path)."
            )
        super().check(classes)

    def batch_size(self, X: Any) -> int:
        return fast_batch_size(X, "cpu")

    def _raw_outputs(self, X: Any) -> np.ndarray:
        if hasattr(X, "columns"):
            X = to_numbers(in_order(X, self.model), "The teacher's X")
        parts = []
        for batch in iter_inputs(X, self.batch_size(X)):
            call = self._call if self._was_checked else self._call_checked
            parts.append(call(_as_arrays(batch)))
        values = np.concatenate(parts)
        is_one = self.output == "auto" and values.shape[1:] == (1,)
        if is_one and self.output_kind() == "proba":  # after a sigmoid
            return np.column_stack([1 - values, values])
        return values

    def _call(self, inputs: Any) -> np.ndarray:
        model = self.keras_model
        if isinstance(getattr(model, "input", None), list) and not isinstance(
            inputs, (list, tuple, dict)
        ):
            inputs = [inputs]  # as keras.Model([one], output) asks for
        try:
            with torch.no_grad():
                outputs = model(inputs, training=False)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ValueError(
                f"The teacher {describe(self.model)} does not take X: {error} Pass "
                "its own inputs as fit(..., teacher_X=...); of images, "
                "teacher_transform=lambda x: x.permute(0, 2, 3, 1) puts the "
                "channels last."
            ) from error
        if isinstance(outputs, (list, tuple, dict)):
            raise ValueError(
                f"The teacher {describe(self.model)} has {len(outputs)} outputs, "
                "expected one: pass keras.Model(model.inputs, model.outputs[i])."
            )
        return _to_numpy(outputs)

    def _call_checked(self, inputs: Any) -> np.ndarray:
        """Return the outputs, if dropout and statistics are those of evaluation."""
        states = [v for v in self.keras_model.variables if not v.trainable]
        before = [_to_numpy(state) for state in states]
        drawn = random_states(self._device)  # by Keras on torch alone
        outputs = self._call(inputs)
        changed = [
            state.path
            for state, old in zip(states, before, strict=True)
            if _to_numpy(state).tobytes() != old.tobytes()
        ]
        if changed:
            for state, old in zip(states, before, strict=True):
                state.assign(old)
            what = f"changes its variables {changed[:3]} (restored)"
        elif all(map(torch.equal, drawn, random_states(self._device))) or (
            np.array_equal(outputs, self._call(inputs), equal_nan=True)
        ):
            self._was_checked = True
            return outputs
        else:
            what = "gives other outputs each time"
        raise ValueError(
            f"The teacher {describe(self.model)} {what} as it predicts: some layer is "
            "called with training=True, or keeps a state. Hand on the argument "
            "training of call() to it instead."
        )


def _as_arrays(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _as_arrays(value) for key, value in batch.items()}
    if hasattr(batch, "toarray"):
        return batch.toarray()
    return writable(to_numpy(batch) if isinstance(batch, torch.Tensor) else batch)


def _to_numpy(tensor: Any) -> np.ndarray:
    """Return a copy as an array, of the tensor or variable of any backend."""
    array = sys.modules["keras"].ops.convert_to_numpy(tensor)
    # NumPy has no bfloat16 of its own.
    return np.array(array, np.float32 if array.dtype.kind == "V" else None)


def _last_activation(model: Any) -> str:
    """Return the name of the activation that makes the outputs, "" if unknown."""
    if not getattr(model, "outputs", None):
        return ""  # a class of the user's own
    layer = getattr(
        getattr(model.outputs[0], "_keras_history", None), "operation", None
    )
    if layer is None or not hasattr(layer, "name"):
        layer = model.layers[-1]
    if getattr(layer, "layers", None):
        return _last_activation(layer)
    if type(layer).__name__ in ("Softmax", "Sigmoid"):  # also those of keras.ops
        return type(layer).__name__.lower()
    return getattr(getattr(layer, "activation", None), "__name__", "")
