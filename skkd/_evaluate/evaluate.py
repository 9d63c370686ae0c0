"""Models measured on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skkd._evaluate.models import Subject
from skkd._evaluate.parts import unwrapped
from skkd._evaluate.predictions import (
    Asked,
)
from skkd._evaluate.quality import quality
from skkd._evaluate.statistics import (
    standard_error,
)


def check_labelled(subjects: Mapping[str, Subject], y: np.ndarray) -> None:
    """Raise where rows have no label, which would count as errors of all models."""
    for name, subject in subjects.items():
        body = subject.body
        last = unwrapped(body[-1]) if isinstance(body, Pipeline) else body
        mark = getattr(getattr(last, "estimator", last), "unlabeled", None)
        if mark is not None and (n := y.tolist().count(mark)):
            raise ValueError(
                f"{n} rows of y are {mark!r}, by which models[{name!r}] marks rows "
                "without a label: leave these out, of X and of y."
            )


def quality_of(
    asked: Asked, name: str, teacher: str | None, groups: np.ndarray | None
) -> dict[str, Any]:
    labels, proba = asked.labels[name], asked.proba[name]
    values: dict[str, Any] = quality(asked.truth, labels, proba)
    values["accuracy_error"] = standard_error(labels == asked.truth, groups)
    if not asked.knows_all[name]:
        values["log_loss"] = None
    values["agreement"] = None
    if teacher is not None and name != teacher:
        values["agreement"] = float(np.mean(labels == asked.labels[teacher]))
    return values
