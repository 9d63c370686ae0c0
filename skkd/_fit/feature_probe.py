"""Losses on features, built from a forward pass of some samples before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import unpack_data
from skorch.utils import to_numpy, to_tensor
from torch import Tensor

from skkd._data.batches import TrainingSet, batch_of
from skkd._data.keys import split_inputs
from skkd._data.rows import pick, with_columns
from skkd._fit.feature_terms import FeatureTerms, features_of
from skkd._fit.views import mixes_rows
from skkd._utils.modules import (
    cast_floats,
    describe,
    eval_mode,
    uncompiled,
)
from skkd.losses._registry import flatten
from skkd.teachers import Teacher


def build_feature_terms(
    estimator: Any,
    loss: Any,
    adapter: Teacher,
    X: Any,
    rows: TrainingSet,
    fit_params: Mapping[str, Any],
) -> FeatureTerms:
    """Pair layers of student and teacher, and build adapters for their features.

    Raises ValueError if a layer does not exist, two cannot be compared, or nothing
    would be learnt.
    """
    student, network = estimator.module_, adapter.network
    for compiled, whose in ((estimator.compile, "student"), (network, "teacher")):
        if compiled is True or uncompiled(compiled) is not compiled:
            raise ValueError(
                f"compile=True leaves no layers to look at, and the {whose} is "
                "compiled: a loss on features needs one that is not."
            )
    terms = FeatureTerms(flatten(loss), student, network)
    few = np.arange(min(2, len(rows)))
    of_student, of_teacher = _probe(estimator, X, rows, few)
    with eval_mode(student), torch.enable_grad(), terms.recorder as recorder:
        estimator.infer(of_student, **fit_params)
        mine = recorder.last()
    names = terms.teacher_names
    theirs = features_of(adapter, of_teacher, estimator.classes_, names)[1]
    _check_rows(terms.student_names, mine, "student", len(few))
    _check_rows(names, theirs, "teacher", len(few))
    _check_learning(estimator, terms, mine, labelled=bool((rows.y_encoded >= 0).any()))
    terms.build([part.detach() for part in mine], theirs, rows.y_encoded)
    if mixes_rows(estimator.augment) and terms.needs_indices:
        raise ValueError(
            f"augment={estimator.augment!r} mixes rows, and {terms.losses[0]!r} "
            "contrasts each row with others, which it may be mixed with: leave out "
            "one of the two."
        )
    return terms


def _probe(
    estimator: Any, X: Any, rows: TrainingSet, few: np.ndarray
) -> tuple[Any, Any]:
    """Return some samples as the student gets them in training, and as the teacher."""
    inputs = split_inputs(unpack_data(batch_of(rows, few.tolist()))[0])[0]
    augment = estimator.augment
    if augment is None or mixes_rows(augment):
        return inputs, pick(X, few)
    images = cast_floats(inputs, estimator.module_)
    view = augment(to_tensor(images, device=estimator.device))
    clean = estimator.teacher_view == "clean"
    return view, pick(X, few) if clean else with_columns(to_numpy(view), X)


def _check_rows(
    names: Sequence[Any], features: Sequence[Tensor], whose: str, n_rows: int
) -> None:
    for name, part in zip(names, features, strict=True):
        if part.ndim < 2 or len(part) != n_rows:
            raise ValueError(
                f"{whose}_layer={name!r} gives shape {tuple(part.shape)} for {n_rows} "
                "rows, expected (n, ...): name a layer that has the rows first."
            )


def _check_learning(
    estimator: Any, terms: FeatureTerms, features: Sequence[Tensor], *, labelled: bool
) -> None:
    """Raise if a layer does not learn, or if nothing but the layers does."""
    student = estimator.module_
    for name, part in zip(terms.student_names, features, strict=True):
        if not part.requires_grad:
            raise ValueError(
                f"student_layer={name!r} of {describe(student)} lies behind frozen "
                "parameters alone, so that nothing learns from it: name a layer after "
                "one that is trained, or thaw some."
            )
    on_logits = len(terms.parts) > len(terms.losses)
    if on_logits or (estimator.alpha < 1 and labelled):
        return
    learning = {n: p for n, p in student.named_parameters() if p.requires_grad}
    total = torch.stack([part.float().sum() for part in features]).sum()
    moved = torch.autograd.grad(total, [*learning.values()], allow_unused=True)
    idle = [name for name, g in zip(learning, moved, strict=True) if g is None]
    if idle:
        why = "alpha=1 uses no label" if labelled else "no row has a label"
        raise ValueError(
            f"{why}, and features alone teach nothing to {', '.join(idle[:5])}: add a "
            "loss on logits, WeightedSum([('kd', 'kd'), ...]), or use labels."
        )
