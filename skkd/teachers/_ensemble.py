"""Several teachers as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from skkd.teachers._base import Teacher


class EnsembleTeacher(Teacher):
    """The weighted mean of teachers, over probabilities or over logits."""

    def __init__(
        self,
        members: Sequence[Teacher],
        weights: Sequence[float] | None = None,
        average: str = "proba",
    ) -> None:
        super().__init__(list(members))
        if not members:
            raise ValueError("teacher is an empty list: expected at least one teacher.")
        shares = (
            np.ones(len(members)) if weights is None else np.asarray(weights, float)
        )
        fits = shares.shape == (len(members),) and np.isfinite(shares).all()
        if not fits or (shares < 0).any() or not shares.sum() > 0:
            raise ValueError(
                f"weights={weights!r}: expected {len(members)} numbers, one for each "
                "teacher, none negative and not all zero."
            )
        self.average = average
        self.weights = shares / shares.sum()

    @property
    def classes_(self) -> np.ndarray | None:
        """None: each member has classes of its own."""
        return None

    @property
    def n_parameters(self) -> int | None:
        counts = [member.n_parameters for member in self.model]
        return None if None in counts else sum(counts)

    def check(self, classes: Any) -> None:
        for member in self.model:
            member.check(classes)

    def logits(self, X: Any, classes: Any) -> np.ndarray:
        each = np.stack([member.logits(X, classes) for member in self.model])
        z = torch.from_numpy(each)  # (n_teachers, n, n_classes)
        w = torch.from_numpy(self.weights).to(z.dtype)[:, None, None]
        if self.average == "logits":
            return (w * z).sum(dim=0).numpy()
        return torch.logsumexp(torch.log_softmax(z, dim=2) + w.log(), dim=0).numpy()
