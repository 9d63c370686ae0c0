"""Several teachers as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch

from skkd.teachers._base import Teacher


class EnsembleTeacher(Teacher):
    """The weighted mean of teachers, with temperatures T_i of their own.

    It is sum_i w_i softmax(z_i / T_i), or sum_i w_i z_i / T_i for logits.
    """

    def __init__(
        self,
        members: Sequence[Teacher],
        weights: Sequence[float] | None = None,
        average: str = "proba",
        temperatures: Sequence[float] | None = None,
    ) -> None:
        super().__init__(list(members))
        if not members:
            raise ValueError("teacher is an empty list: expected at least one teacher.")
        shares = _one_each(weights, len(members))
        if shares is None or (shares < 0).any() or not shares.sum() > 0:
            raise ValueError(
                f"weights={weights!r}: expected {len(members)} numbers, one for each "
                "teacher, none negative and not all zero. None weighs all the same."
            )
        softening = _one_each(temperatures, len(members))
        if softening is None or (softening <= 0).any():
            raise ValueError(
                f"temperatures={temperatures!r}: expected {len(members)} finite "
                "numbers above 0, one for each teacher. 1, or None for all, leaves the "
                "probabilities as they are; above 1 softens them."
            )
        self.average = average
        self.weights = shares / shares.sum()
        self.temperatures = softening
        self.takes_tensors = all(member.takes_tensors for member in members)

    @property
    def described(self) -> str:
        return f"[{', '.join(member.described for member in self.model)}]"

    @property
    def network(self) -> torch.nn.Module:
        raise TypeError(
            f"The teacher {self.described} has no layers to learn features from: those "
            "of several networks have nothing in common. Name one of them as the "
            "teacher, or use a loss on logits, such as distillation='kd'."
        )

    def output_kind(self) -> str:
        return "logits" if self.average == "logits" else "log_proba"

    @property
    def n_parameters(self) -> int | None:
        counts = [member.n_parameters for member in self.model]
        return None if None in counts else sum(counts)

    @property
    def gives_scores(self) -> bool:
        return any(self.model[i].gives_scores for i in np.flatnonzero(self.weights))

    @property
    def _device(self) -> Any:
        return self.model[0]._device

    def batch_size(self, X: Any) -> int:
        return math.lcm(*(member.batch_size(X) for member in self.model))

    def check(self, classes: Any) -> None:
        for member in self.model:
            member.check(classes)

    def has_extra_classes(self, classes: Any) -> bool:
        return any(member.has_extra_classes(classes) for member in self.model)

    def match_encoded(self, classes: Any) -> Teacher:
        members = [member.match_encoded(classes) for member in self.model]
        known = [m.encoded_labels for m in members if m.encoded_labels is not None]
        if not known:
            return self
        for labels in known:
            # Whether the numbers mean these labels is seen from the mean alone.
            if labels != known[0]:
                raise ValueError(
                    f"y has the classes {np.asarray(classes).tolist()[:20]}, and the "
                    f"members of the teacher know {known[0][:20]} and {labels[:20]}: "
                    "the numbers can stand for one of these only. Name the columns of "
                    "each: as_teacher(model, classes=[...])."
                )
        matched = copy(self)
        matched.model, matched.encoded_labels = members, known[0]
        return matched

    def check_rows(self, X: Any) -> None:
        for member in self.model:
            member.check_rows(X)

    def _logits(self, X: Any, classes: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(self.weights)
        T = self.temperatures.tolist()  # Python's floats leave float32 as it is
        each = [self.model[i].logits(X, classes) / T[i] for i in used]
        z = torch.from_numpy(np.stack(each))  # (n_teachers, n, n_classes)
        w = torch.from_numpy(self.weights[used]).to(z.dtype)[:, None, None]
        if self.average == "logits":
            return (w * z).sum(dim=0).numpy()
        return torch.logsumexp(torch.log_softmax(z, dim=2) + w.log(), dim=0).numpy()


def _one_each(values: Any, n: int) -> np.ndarray | None:
    """Return `n` finite numbers, 1 by default; None if `values` are anything else."""
    if values is None:
        return np.ones(n)
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (n,) and np.isfinite(numbers).all() else None
