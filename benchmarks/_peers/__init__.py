"""Other ways to distil the same student: each file is one, as its users write it.

Each has ``prepare(task, seed)``, which is not timed, and returns a function without
arguments, which is, and returns the trained student.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from skkd.students import Standardize


@dataclass(frozen=True)
class Task:
    """What all sides are given."""

    X: torch.Tensor  # (n, C, H, W), uint8
    y: torch.Tensor  # (n,), int64
    teacher: nn.Module  # in eval mode, its gradients off
    new_student: Callable[[], nn.Module]
    epochs: int = 10
    batch_size: int = 128
    temperature: float = 4.0
    alpha: float = 0.5  # weight of the teacher
    optimizer: str = "Adam"
    lr: float = 1e-3
    optimizer_kwargs: dict[str, Any] = field(default_factory=dict)

    def template(self, seed: int) -> nn.Module:
        """Return the untrained student of a round: the same weights for all sides."""
        torch.manual_seed(seed)
        return self.new_student()

    def student(self, seed: int) -> nn.Module:
        """Return the student with its scaling of the input known already.

        skkd learns this from the data, in its time; the others have it for nothing.
        """
        student = copy.deepcopy(self.template(seed))
        for module in student.modules():
            if isinstance(module, Standardize) and not module.adapted:
                module.adapt([(self.X, None)])
        return student

    def new_optimizer(self, student: nn.Module) -> torch.optim.Optimizer:
        """Return torch's optimizer for the student."""
        make = getattr(torch.optim, self.optimizer)
        return make(student.parameters(), lr=self.lr, **self.optimizer_kwargs)

    def first(self, n: int) -> "Task":
        """Return one epoch over the first `n` rows, to warm up."""
        return replace(self, X=self.X[:n], y=self.y[:n], epochs=1)
