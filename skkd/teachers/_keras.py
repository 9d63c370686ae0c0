"""Keras models as teachers, on whatever backend, and Keras' scikit-learn wrapper."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy

from skkd._data.frames import to_numbers
from skkd._data.rows import iter_inputs
from skkd._utils.modules import describe, is_out_of_memory
from skkd.teachers._base import Teacher, not_fitted, to_array, writable

_BATCH_SIZE = 256
_KINDS = {"softmax": "proba", "sigmoid": "proba", "log_softmax": "log_proba"}


def is_keras(model: Any) -> bool:
    """Tell whether `model` is one of Keras, or its wrapper for scikit-learn."""
    return any(
        cls.__module__.partition(".")[0] == "keras" for cls in type(model).__mro__
    )


class KerasTeacher(Teacher):
    """A Keras model, whose last layer tells what its outputs are."""

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

    def _raw_outputs(self, X: Any) -> np.ndarray:
        model = self.keras_model
        if hasattr(X, "columns"):
            X = to_numbers(X, "The teacher's X")
        parts = []
        for batch in iter_inputs(X, _BATCH_SIZE):
            try:
                with torch.no_grad():
                    outputs = model(_as_arrays(batch), training=False)
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
            parts.append(to_array(outputs))
        values = np.concatenate(parts)
        is_one = self.output == "auto" and values.shape[1:] == (1,)
        if is_one and self.output_kind() == "proba":  # after a sigmoid
            return np.column_stack([1 - values, values])
        return values


def _as_arrays(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _as_arrays(value) for key, value in batch.items()}
    if hasattr(batch, "toarray"):
        return batch.toarray()
    return writable(to_numpy(batch) if isinstance(batch, torch.Tensor) else batch)


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
    if type(layer).__name__ == "Softmax":
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "")
