"""torch modules and skorch nets as teachers, put back as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy, to_tensor

from skkd._batches import iter_inputs
from skkd._modules import (
    cast_floats,
    count_parameters,
    describe,
    evaluating,
    first_tensor,
)
from skkd.teachers._base import Teacher, not_fitted

# Rows per forward pass: enough to keep a network busy, few enough that the
# activations of a large one fit.
_BATCH_SIZE = 256


class _TorchTeacher(Teacher):
    @property
    def n_parameters(self) -> int | None:
        return count_parameters(self._modules()[0])

    def _modules(self) -> list[torch.nn.Module]:
        """Return the network, then what else has a mode to be put back."""
        raise NotImplementedError

    def _forward(self, X: Any) -> Iterator[Any]:
        raise NotImplementedError

    def _outputs(self, X: Any) -> np.ndarray:
        with evaluating(*self._modules()), torch.no_grad():
            try:
                parts = [_to_array(out) for out in self._forward(X)]
            except (RuntimeError, TypeError) as error:
                raise ValueError(
                    f"The teacher {describe(self.model)} does not take X: {error}. Put "
                    "in front of it what prepared its training data, for instance "
                    "nn.Sequential(Standardize(...), teacher), or give it rows of its "
                    "own with fit(..., teacher_X=...)."
                ) from error
        return np.concatenate(parts)


class ModuleTeacher(_TorchTeacher):
    """A bare module, whose outputs are logits unless it was said otherwise."""

    def _modules(self) -> list[torch.nn.Module]:
        return [self.model]

    def _forward(self, X: Any) -> Iterator[Any]:
        tensors = [*self.model.parameters(), *self.model.buffers()]
        device = tensors[0].device if tensors else "cpu"
        for batch in iter_inputs(X, _BATCH_SIZE):
            batch = np.asarray(batch) if hasattr(batch, "iloc") else batch
            batch = np.asarray(batch) if isinstance(batch, list) else batch
            inputs = cast_floats(to_tensor(batch, device=device), self.model)
            yield (
                self.model(**inputs) if isinstance(inputs, dict) else self.model(inputs)
            )

    def _ask(self, X: Any) -> tuple[np.ndarray, str]:
        return self._outputs(X), "logits" if self.output == "auto" else self.output


class SkorchTeacher(_TorchTeacher):
    """A skorch net, whose criterion tells what its outputs are."""

    def check(self, classes: Any) -> None:
        if not self.model.__sklearn_is_fitted__():
            raise not_fitted(self.model)
        super().check(classes)

    @property
    def classes_(self) -> np.ndarray | None:
        try:
            return super().classes_
        except AttributeError:  # a net that never saw its y
            return None

    def _modules(self) -> list[torch.nn.Module]:
        parts = [self.model.module_, self.model.criterion_]
        return [part for part in parts if isinstance(part, torch.nn.Module)]

    def _forward(self, X: Any) -> Iterator[Any]:
        if isinstance(X, np.ndarray):
            X = cast_floats(torch.as_tensor(X), self.model.module_)
        yield from self.model.forward_iter(X)

    def _ask(self, X: Any) -> tuple[np.ndarray, str]:
        criterion = self.model.criterion_
        criterion = getattr(criterion, "_orig_mod", criterion)
        kind = self._kind(criterion)
        values = self._outputs(X)
        binary = (torch.nn.BCEWithLogitsLoss, torch.nn.BCELoss)
        if isinstance(criterion, binary) and values.size == len(values):
            positive = values.ravel()
            negative = 1 - positive if kind == "proba" else np.zeros_like(positive)
            values = np.column_stack([negative, positive])
        return values, kind

    def _kind(self, criterion: Any) -> str:
        if self.output != "auto":
            return self.output
        logits = (torch.nn.CrossEntropyLoss, torch.nn.BCEWithLogitsLoss)
        if isinstance(criterion, logits):
            return "logits"
        # skorch's convention: the module gives probabilities, the net takes the log.
        if isinstance(criterion, (torch.nn.NLLLoss, torch.nn.BCELoss)):
            return "proba"
        raise ValueError(
            f"The teacher {describe(self.model)} was trained with "
            f"{type(criterion).__name__}, which does not tell whether its outputs are "
            "logits or probabilities: say so with as_teacher(net, output='logits') or "
            "as_teacher(net, output='proba')."
        )


def _to_array(outputs: Any) -> np.ndarray:
    logits = first_tensor(outputs)
    # NumPy has no bfloat16, and float16 has too few digits for a softmax.
    return to_numpy(logits if logits.dtype.itemsize >= 4 else logits.float())
