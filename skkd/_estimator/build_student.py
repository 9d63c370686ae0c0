"""How the student is built, and checked before it is trained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.dataset import unpack_data

from skkd._data.batches import TrainingSet, batch_of, loader
from skkd._data.keys import SOFT_WEIGHT, split_inputs
from skkd._utils.modules import (
    describe,
    eval_mode,
    first_tensor,
    uncompiled,
)
from skkd._utils.rng import seeded_rng
from skkd.students import Standardize, default_student


class StudentNet(NeuralNetClassifier):
    """A net that is built from what the data tell, and from ``random_state``."""

    input_shape_: tuple[int, ...] | None = None

    def initialize(self) -> Any:
        """Build student, criterion, optimizer and callbacks, as ``random_state`` says.

        Returns
        -------
        StudentNet
            The net itself.
        """
        with self._random_stream(fresh=True):
            return super().initialize()

    def initialize_module(self) -> Any:
        """Build the student; a module instance is copied, never trained in place."""
        kwargs = self.get_params_for("module")
        if isinstance(self.module, torch.nn.Module) and not kwargs:
            self.module_ = copy.deepcopy(self.module)
            return self
        factory = self.module
        if isinstance(factory, torch.nn.Module):
            factory = type(factory)
        if factory is None:
            if self.input_shape_ is None:
                raise ValueError(
                    "module=None chooses a student by the shape of X, which is not "
                    "known before fit: pass module=, or call fit first."
                )
            factory = default_student(self.input_shape_)
        kwargs = {**self._facts_for(factory), **kwargs}
        try:
            inspect.signature(factory).bind(**kwargs)
        except TypeError as error:
            raise TypeError(
                f"The student {describe(factory)} cannot be built: {error}. n_classes "
                "and input_shape are known from the first fit on; before it, and for "
                "any other argument, pass module__<argument>=..."
            ) from error
        except ValueError:  # some classes written in C have no signature
            pass
        module = factory(**kwargs)
        if self.module is None and self._wants_float64():
            module = module.double()
        self.module_ = module
        return self

    def _facts_for(self, factory: Any) -> dict[str, Any]:
        """Return what the data tell, for those arguments that `factory` has."""
        try:
            wanted = inspect.signature(factory).parameters
        except ValueError:  # some classes written in C have no signature
            return {}
        facts: dict[str, Any] = {"input_shape": self.input_shape_}
        if hasattr(self, "classes_"):
            facts["n_classes"] = len(self.classes_)
        bound = getattr(factory, "keywords", {})  # of a functools.partial
        return {
            name: fact
            for name, fact in facts.items()
            if name in wanted and name not in bound and fact is not None
        }

    def _wants_float64(self) -> bool:
        # As scikit-learn's own networks: a table of float64 is learnt in float64.
        tabular = self.input_shape_ is not None and len(self.input_shape_) == 1
        on_mps = torch.device(self.device).type == "mps"  # has no float64
        return tabular and not on_mps and self.input_dtype_ == np.float64

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Let the student's `Standardize` learn from the training rows, once."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kw)
        layers = [m for m in self.module_.modules() if isinstance(m, Standardize)]
        for layer in layers:
            if not layer.adapted:
                layer.adapt(self._weighted_inputs(dataset_train))

    def _weighted_inputs(self, dataset: Any) -> Iterator[tuple[Any, Any]]:
        for batch in loader(dataset, batch_size=1024):
            inputs, batch_fields = split_inputs(unpack_data(batch)[0])
            yield inputs, batch_fields.get(SOFT_WEIGHT)

    @contextmanager
    def _random_stream(self, fresh: bool = False) -> Iterator[int | None]:
        """Draw all that is random in a fit from ``random_state``.

        None draws from torch's global generator, as skorch does. The stream starts
        afresh where a student is built, and goes on from there in every fit.
        """
        seed = getattr(self, "next_seed_", None)
        if self.random_state is None:
            seed = None
        elif fresh or seed is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
        with seeded_rng(seed, self.device):
            yield seed
            if seed is not None:
                self.next_seed_ = int(torch.randint(2**31 - 1, ()).item())

    def _check_outputs(self, rows: TrainingSet) -> None:
        batch = batch_of(rows, range(min(2, len(rows))))
        with eval_mode(self.module_), torch.no_grad():
            try:
                outputs = first_tensor(self.infer(batch[0]))
            except (RuntimeError, TypeError) as error:
                raise ValueError(
                    f"The student {describe(self.module_)} does not take rows of X "
                    f"({self.input_shape_}, {self.input_dtype_}): {error}. Standardize "
                    "from skkd.students as the first layer takes any dtype."
                ) from error
        if not isinstance(outputs, torch.Tensor):
            raise TypeError(
                f"The student {describe(self.module_)} returns a "
                f"{type(outputs).__name__}, expected a tensor of logits, a tuple that "
                "starts with one, or an object that has them as its `logits`."
            )
        shape = tuple(outputs.shape)
        if len(shape) != 2 or shape[1] != len(self.classes_):
            raise ValueError(
                f"The student {describe(self.module_)} gives outputs of shape "
                f"(n, {', '.join(map(str, shape[1:]))}), expected "
                f"(n, {len(self.classes_)}): a logit "
                "for each class of y. A module whose __init__ takes n_classes "
                "is built with the right number."
            )
        criterion = uncompiled(getattr(self, "criterion_", None))
        if isinstance(criterion, torch.nn.NLLLoss) and not (
            (outputs >= 0).all() and ((outputs.sum(1) - 1).abs() < 1e-2).all()
        ):
            raise ValueError(
                f"criterion=NLLLoss expects probabilities, as from a softmax, and the "
                f"student {describe(self.module_)} gives others. Leave criterion at "
                "CrossEntropyLoss for a module that gives logits."
            )
